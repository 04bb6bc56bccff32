/** Small inputs of the native ops: float settings, and tensors without elements for arguments that are left out. */
import { constant } from "./native-constants.js";
import type { AttentionConfig } from "./ops.js";
import { keep, type DType, type Tensor } from "./tensor.js";
import { tensorflowDevice } from "./tensorflow.js";

const settings = new Map<string, Tensor>();
const absent = new Map<DType, Tensor>();

/** float32 [values.length], made once for each content and owned here: do not free it. For settings of a model, which are few. */
export function floatConstant(...values: number[]): Tensor {
  const key = values.join(",");
  let tensor = settings.get(key);
  if (!tensor) {
    tensor = keep(tensorflowDevice().upload(Float32Array.from(values), [values.length]));
    settings.set(key, tensor);
  }
  return tensor;
}

/** The tensor, or one without elements where it is null: how native ops take optional inputs. */
export function orEmpty(tensor: Tensor | null, dtype: DType = "float32"): Tensor {
  if (tensor) return tensor;
  let empty = absent.get(dtype);
  if (!empty) {
    // float32 data can be uploaded as float32 and bfloat16, the two types an optional input may have.
    empty = keep(tensorflowDevice().upload(new Float32Array(0), [0], dtype));
    absent.set(dtype, empty);
  }
  return empty;
}

/** int32 [4]: query heads, key/value heads, head size, window. */
export function geometry({ heads, kvHeads, headDim, window }: AttentionConfig): Tensor {
  return constant(heads, kvHeads, headDim, window);
}
