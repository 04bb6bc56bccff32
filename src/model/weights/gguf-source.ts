/** A GGUF file as a model: its tensors under Hugging Face's names and with Hugging Face's meaning. */
import type { DecoderConfig } from "../config.js";
import { quoted, WeightFileError } from "./errors.js";
import { openGguf, type GgufFile } from "./gguf.js";
import { configFromGguf } from "./gguf-config.js";
import type { OpenedWeights } from "./source.js";

const LAYER_NAMES: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};
/** `ffn_norm` is the norm before the feed-forward, which Hugging Face calls by where it stands in the Llama family. */
const LLAMA_NORMS: Readonly<Record<string, string>> = { ffn_norm: "post_attention_layernorm" };
const GEMMA_NORMS: Readonly<Record<string, string>> = {
  post_attention_norm: "post_attention_layernorm",
  ffn_norm: "pre_feedforward_layernorm",
  post_ffw_norm: "post_feedforward_layernorm",
};
const OUTER_NAMES: Readonly<Record<string, string>> = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
};

/** @throws WeightFileError or ModelConfigError; the file is closed again */
export function openGgufSource(path: string): OpenedWeights {
  const file = openGguf(path);
  try {
    const embedding = file.tensors.get("token_embd.weight");
    if (embedding?.shape.length !== 2) throw new WeightFileError(path, "tensor token_embd.weight", "is missing or not a matrix");
    const facts = {
      vocabSize: embedding.shape[0],
      tiedEmbeddings: !file.tensors.has("output.weight"),
      ropeFactors: readRopeFactors(file),
    };
    const { config, huggingFaceConfig } = configFromGguf(file.metadata, facts, path);
    const stored = new Map<string, string>();
    for (const own of file.tensors.keys()) {
      const name = huggingFaceName(own, config, path);
      if (name !== null) stored.set(name, own);
    }
    return {
      config,
      huggingFaceConfig,
      stored: new Map([...stored].map(([name, own]) => [name, file.tensors.get(own)!.shape])),
      tokenizer: { kind: "gguf", file: path, metadata: file.metadata },
      read: (name) => undoConversion(name, file.read(stored.get(name)!), config),
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function readRopeFactors(file: GgufFile): Float32Array | null {
  const factors = file.tensors.get("rope_freqs.weight");
  if (factors === undefined) return null;
  if (factors.shape.length !== 1 || factors.shape[0] > 512)
    throw new WeightFileError(file.path, "tensor rope_freqs.weight", "is not a short vector");
  return file.read("rope_freqs.weight");
}

/** Null: a tensor outside the layers that the decoder does not use. @throws WeightFileError for one inside them */
function huggingFaceName(name: string, config: DecoderConfig, path: string): string | null {
  const layer = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name);
  if (layer) {
    const [, index, part, kind] = layer;
    const names = { ...LAYER_NAMES, ...(config.architecture === "gemma3" ? GEMMA_NORMS : LLAMA_NORMS) };
    if (Object.hasOwn(names, part)) return `model.layers.${index}.${names[part]}.${kind}`;
  }
  if (name.startsWith("blk.")) {
    throw new WeightFileError(path, `tensor ${quoted(name)}`, `is no part of ${config.architecture} as this engine computes it`);
  }
  const outer = /^(\w+)\.weight$/.exec(name);
  return outer && Object.hasOwn(OUTER_NAMES, outer[1]) ? `${OUTER_NAMES[outer[1]]}.weight` : null;
}

/** The converter changes some tensors for llama.cpp's sake; this gives back what the original checkpoint held. */
function undoConversion(name: string, values: Float32Array, config: DecoderConfig): Float32Array {
  // llama.cpp rotates neighbouring pairs for this architecture, so the converter interleaves each head's halves.
  if (config.architecture === "llama" && /self_attn\.[qk]_proj\.weight$/.test(name))
    return separateHalves(values, config.headDim, config.hiddenSize);
  // llama.cpp multiplies by the stored norm; Gemma's checkpoints hold w for a factor of 1 + w.
  if (config.normPlusOne && name.endsWith("norm.weight")) return values.map((value) => value - 1);
  return values;
}

/** Rows 0, 2, 4, … of each head, then rows 1, 3, 5, …. */
function separateHalves(values: Float32Array, headDim: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  const half = headDim / 2;
  for (let row = 0; row < values.length / columns; row++) {
    const [head, within] = [Math.floor(row / headDim), row % headDim];
    const from = head * headDim + (within % half) * 2 + Math.floor(within / half);
    result.set(values.subarray(from * columns, (from + 1) * columns), row * columns);
  }
  return result;
}
