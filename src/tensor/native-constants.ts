/** Small tensors that tell ops their sizes and settings: made once for each content and kept while they are in use. */
import { keep, type DType, type Tensor } from "./tensor.js";
import { tensorflowDevice } from "./tensorflow.js";

/** The one that was asked for last stands last. */
const constants = new Map<string, Tensor>();
const keys = new WeakMap<Tensor, string>();
/** A model needs a few dozen; a process that opens many models must not gather theirs for ever. */
const MOST_CONSTANTS = 4096;

/** int32 [values.length]. Owned here: do not free it. */
export function constant(...values: number[]): Tensor {
  return interned("int32", values, () => Int32Array.from(values));
}

/** float32 [values.length]. Owned here: do not free it. */
export function floatConstant(...values: number[]): Tensor {
  return interned("float32", values, () => Float32Array.from(values));
}

/** A tensor without elements, which stands for an optional input left out. Owned here: do not free it. */
export function nothing(dtype: DType): Tensor {
  return interned(dtype, [], () => (dtype === "int32" ? new Int32Array(0) : new Float32Array(0)));
}

function interned(dtype: DType, values: number[], data: () => Int32Array | Float32Array): Tensor {
  const key = `${dtype} ${values.join(",")}`;
  const known = constants.get(key);
  if (known && renew(known)) return known;
  if (constants.size >= MOST_CONSTANTS) forgetOldest();
  const tensor = keep(tensorflowDevice().upload(data(), [values.length], dtype)).exempt();
  constants.set(key, tensor);
  keys.set(tensor, key);
  return tensor;
}

/**
 * For who remembers a constant: counts as asking for it, so that it is not forgotten before the others that an op asks for.
 * @returns false if it is forgotten already
 */
export function renew(tensor: Tensor): boolean {
  const key = keys.get(tensor);
  if (key === undefined || !tensor.isLive) return false;
  constants.delete(key);
  constants.set(key, tensor);
  return true;
}

function forgetOldest(): void {
  const [key, tensor] = constants.entries().next().value!;
  tensor.free();
  constants.delete(key);
}
