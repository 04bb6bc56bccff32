/** Small int32 tensors that tell ops their sizes: made once for each content and kept for the life of the process. */
import { keep, type Tensor } from "./tensor.js";
import { tensorflowDevice } from "./tensorflow.js";

const constants = new Map<string, Tensor>();

/** int32 [values.length]. Owned here: do not free it. */
export function constant(...values: number[]): Tensor {
  const key = values.join(",");
  let tensor = constants.get(key);
  if (!tensor) {
    tensor = keep(tensorflowDevice().upload(Int32Array.from(values), [values.length]));
    constants.set(key, tensor);
  }
  return tensor;
}
