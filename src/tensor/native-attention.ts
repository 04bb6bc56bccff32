/** Native attention over packed segments, forward and backward (src/native/ops_attention.cc). */
import { geometry } from "./native-arguments.js";
import { floatConstant } from "./native-constants.js";
import type { DecoderOps } from "./ops.js";
import type { TensorflowDevice } from "./tensorflow.js";

type AttentionOps = Pick<DecoderOps, "attention" | "attentionGradient">;

/** @internal Composed by `nativeOps`. */
export function nativeAttention(device: TensorflowDevice): AttentionOps {
  return {
    attention(qkv, segments, config) {
      const inputs = [qkv, segments, floatConstant(config.scale), geometry(config)];
      const [output, logSumExp] = device.execute("TrueIntentsAttention", [], inputs, 2);
      return { output, logSumExp };
    },

    attentionGradient(qkv, segments, config, output, logSumExp, dOutput) {
      const inputs = [qkv, segments, floatConstant(config.scale), geometry(config), output, logSumExp, dOutput];
      return device.execute("TrueIntentsAttentionGradient", [], inputs, 1)[0];
    },
  };
}
