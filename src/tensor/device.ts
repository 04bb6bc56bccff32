/**
 * Where tensors live. Two kinds of device: TensorFlow's C library through the tfjs-node binding (CPU or GPU; raw handles, so
 * bfloat16 works), and plain tfjs (WASM or JavaScript; float32 only) where that library is missing.
 */
import type { DType, Tensor, TensorOwner } from "./tensor.js";

export interface Device extends TensorOwner {
  readonly kind: "tensorflow" | "tfjs";
  /** "cpu" and "gpu" are TensorFlow's; "wasm" and "javascript" are tfjs backends. */
  readonly placement: "cpu" | "gpu" | "wasm" | "javascript";
  /** Copies host data to the device; float32 data may be stored as bfloat16 (round to nearest even). */
  upload(data: Float32Array | Int32Array, shape: readonly number[], dtype?: DType): Tensor;
  /** Copies a tensor to the host; bfloat16 comes back widened. */
  download(tensor: Tensor): Float32Array | Int32Array;
}
