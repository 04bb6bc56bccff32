/** Native cross-entropy, optimiser step and sampling (src/native/ops_loss.cc). */
import { floatConstant } from "./native-constants.js";
import type { AdamWOptions, DecoderOps, Precision } from "./ops.js";
import { scope, TensorError } from "./tensor.js";
import { attribute, type TensorflowDevice } from "./tensorflow.js";

type LossOps = Pick<DecoderOps, "crossEntropy" | "crossEntropyGradient" | "adamW" | "squaredNorm" | "sample">;

/** @internal Composed by `nativeOps`. */
export function nativeLoss(device: TensorflowDevice, precision: Precision): LossOps {
  const asPrecision = [attribute.dtype("U", precision)];
  return {
    crossEntropy(logits, targets, temperature) {
      const [nll, logSumExp] = device.execute("TrueIntentsCrossEntropy", [], [logits, targets, floatConstant(temperature)], 2);
      return { nll, logSumExp };
    },

    crossEntropyGradient(logits, targets, logSumExp, weights, temperature) {
      const inputs = [logits, targets, logSumExp, weights, floatConstant(temperature)];
      return device.execute("TrueIntentsCrossEntropyGradient", asPrecision, inputs, 1)[0];
    },

    adamW: (state, gradient, options) =>
      scope(() => {
        const step = device.upload(stepNumbers(options), [9]);
        device.execute("TrueIntentsAdamW", [], [state.parameters, state.firstMoment, state.secondMoment, gradient, step], 0);
      }),

    squaredNorm: (x) =>
      scope(() => {
        const [norm] = device.execute("TrueIntentsSquaredNorm", [], [x], 1);
        const [large, rest] = device.download(norm) as Float32Array;
        return large + rest;
      }),

    sample: (logits, { temperature, topP, uniforms }) =>
      scope(() => {
        if (temperature > 0 && uniforms.length !== logits.shape[0]) {
          throw new TensorError(`sample: ${uniforms.length} uniforms for ${logits.shape[0]} rows of logits`);
        }
        const numbers = [device.upload(Float32Array.of(temperature, topP), [2]), device.upload(uniforms, [uniforms.length])];
        const [ids, logProbs] = device.execute("TrueIntentsSample", [], [logits, ...numbers], 2);
        // Copies: the binding may share a tensor's memory, which ends with the scope.
        return { ids: Int32Array.from(device.download(ids)), logProbs: Float32Array.from(device.download(logProbs)) };
      }),
  };
}

/** The fields of AdamWStep (src/native/fused_kernels.h), computed in float64. */
function stepNumbers(options: AdamWOptions): Float32Array {
  const { learningRate, beta1, beta2, epsilon, weightDecay, step, gradientScale } = options;
  const inUnit = (beta: number): boolean => beta >= 0 && beta < 1;
  if (!inUnit(beta1) || !inUnit(beta2)) throw new TensorError(`adamW: beta1 and beta2 must be in [0, 1), got ${beta1}, ${beta2}`);
  if (!Number.isInteger(step) || step < 0) throw new TensorError(`adamW: step must be an integer from 0, got ${step}`);
  return Float32Array.of(
    beta1,
    1 - beta1,
    beta2,
    1 - beta2,
    1 - learningRate * weightDecay,
    learningRate / (1 - beta1 ** (step + 1)),
    1 / Math.sqrt(1 - beta2 ** (step + 1)),
    epsilon,
    gradientScale,
  );
}
