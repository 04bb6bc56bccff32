/** The op set on the compiled kernels of `src/native`: fused C++ ops on the CPU, called through TensorFlow on raw handles. */
import { nativeAddon } from "./native-addon.js";
import { nativeAttention } from "./native-attention.js";
import { nativeDecode } from "./native-decode.js";
import { nativeLinear } from "./native-linear.js";
import { nativeLoss } from "./native-loss.js";
import { nativeRows } from "./native-rows.js";
import type { DecoderOps, Precision } from "./ops.js";
import { tensorflowDevice } from "./tensorflow.js";

/** @throws NativeUnavailableError if TensorFlow or the compiled ops are missing or do not load. */
export function nativeOps(precision: Precision): DecoderOps {
  nativeAddon();
  const device = tensorflowDevice();
  return {
    name: "native",
    device,
    precision,
    ...nativeRows(device, precision),
    ...nativeAttention(device),
    ...nativeLinear(device, precision),
    ...nativeLoss(device, precision),
    ...nativeDecode(device, precision),
  };
}
