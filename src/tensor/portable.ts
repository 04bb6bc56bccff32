/**
 * The portable op set: {@link DecoderOps} in elementary tensor functions, for every device. bfloat16 needs TensorFlow.
 *
 * Large temporaries are bounded (attention by blocks of queries, cross-entropy by rows); the rest is plain. On a GPU the same ops run on
 * the device and none but squaredNorm and sample waits for it (see primitives-tensorflow.ts for what is assumed there).
 */
import type { DecoderOps, Precision } from "./ops.js";
import { attentionOps } from "./portable-attention.js";
import { blockOps } from "./portable-blocks.js";
import { decodeOps } from "./portable-decode.js";
import { linearOps } from "./portable-linear.js";
import { lossOps } from "./portable-loss.js";
import { primitivesOf } from "./primitives.js";
import { TensorError } from "./tensor.js";
import type { TensorflowDevice } from "./tensorflow.js";
import type { TfjsDevice } from "./tfjs-device.js";

/** @throws TensorError if bfloat16 is asked of a tfjs device. */
export function portableOps(device: TensorflowDevice | TfjsDevice, precision: Precision = "float32"): DecoderOps {
  if (precision === "bfloat16" && device.kind === "tfjs") {
    throw new TensorError(`portableOps: precision must be float32 on the ${device.placement} backend, got bfloat16`);
  }
  const p = primitivesOf(device);
  const blocks = blockOps(p, precision);
  return {
    name: "portable",
    device,
    precision,
    ...blocks,
    ...linearOps(p, precision),
    ...attentionOps(p, precision),
    ...lossOps(p, precision),
    ...decodeOps(p, precision, blocks.rope),
  };
}
