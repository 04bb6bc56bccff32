/** What several native ops take beside their tensors. */
import { constant } from "./native-constants.js";
import type { AttentionConfig } from "./ops.js";
import type { Tensor } from "./tensor.js";

/** int32 [4]: query heads, key/value heads, head size, window. Owned by native-constants: do not free it. */
export function geometry({ heads, kvHeads, headDim, window }: AttentionConfig): Tensor {
  return constant(heads, kvHeads, headDim, window);
}
