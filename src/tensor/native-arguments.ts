/** What several native ops take beside their tensors. */
import { constant } from "./native-constants.js";
import type { Activation, AttentionConfig } from "./ops.js";
import { TensorError, type Tensor } from "./tensor.js";

const ACTIVATIONS: readonly Activation[] = ["silu", "gelu_tanh"];

/** int32 [4]: query heads, key/value heads, head size, window. Owned by native-constants: do not free it. */
export function geometry({ heads, kvHeads, headDim, window }: AttentionConfig): Tensor {
  return constant(heads, kvHeads, headDim, window);
}

/** int32 [1]. Owned by native-constants: do not free it. @throws TensorError for an activation that the kernels do not know. */
export function activationInput(activation: Activation): Tensor {
  const index = ACTIVATIONS.indexOf(activation);
  if (index < 0) throw new TensorError(`gated: activation "${activation}" is not one of ${ACTIVATIONS.join(", ")}`);
  return constant(index);
}
