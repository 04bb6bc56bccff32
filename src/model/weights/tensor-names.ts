/** The tensors a decoder is made of: Hugging Face's names and PyTorch's shapes ([outputs, inputs] for linear layers). */
import type { DecoderConfig } from "../config.js";

/** Every tensor of the model, in layer order. */
export function decoderTensors(config: DecoderConfig): ReadonlyMap<string, readonly number[]> {
  const { vocabSize, hiddenSize, intermediateSize, headCount, kvHeadCount, headDim } = config;
  const shapes = new Map<string, readonly number[]>([["model.embed_tokens.weight", [vocabSize, hiddenSize]]]);
  const norms = config.postNorms
    ? ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]
    : ["input_layernorm", "post_attention_layernorm"];
  const projections: [module: string, outputs: number, inputs: number][] = [
    ["self_attn.q_proj", headCount * headDim, hiddenSize],
    ["self_attn.k_proj", kvHeadCount * headDim, hiddenSize],
    ["self_attn.v_proj", kvHeadCount * headDim, hiddenSize],
    ["self_attn.o_proj", hiddenSize, headCount * headDim],
    ["mlp.gate_proj", intermediateSize, hiddenSize],
    ["mlp.up_proj", intermediateSize, hiddenSize],
    ["mlp.down_proj", hiddenSize, intermediateSize],
  ];
  for (let layer = 0; layer < config.layerCount; layer++) {
    const prefix = `model.layers.${layer}`;
    for (const norm of norms) shapes.set(`${prefix}.${norm}.weight`, [hiddenSize]);
    for (const [module, outputs, inputs] of projections) {
      shapes.set(`${prefix}.${module}.weight`, [outputs, inputs]);
      if (config.qkvBias && /[qkv]_proj$/.test(module)) shapes.set(`${prefix}.${module}.bias`, [outputs]);
    }
    if (config.qkNorm) for (const norm of ["q_norm", "k_norm"]) shapes.set(`${prefix}.self_attn.${norm}.weight`, [headDim]);
  }
  shapes.set("model.norm.weight", [hiddenSize]);
  if (!config.tiedEmbeddings) shapes.set("lm_head.weight", [vocabSize, hiddenSize]);
  return shapes;
}

/** The name without the prefixes under which multimodal checkpoints keep their language model. */
export function canonicalName(name: string): string {
  return name.replace(/^language_model\./, "").replace(/^model\.language_model\./, "model.");
}
