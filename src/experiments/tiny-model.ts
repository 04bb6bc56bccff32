/**
 * A Llama of two layers and random weights, with a byte-level tokenizer: the whole of an experiment runs on it in seconds and
 * without a download. What it says means nothing.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors, type TensorToWrite } from "../model/weights/safetensors-write.js";
import { createRandom } from "../random.js";
import { removeTemporaries, writeJson } from "./run-folder.js";

/** Its name as a model. */
export const TINY_RANDOM = "tiny-random";

const SIZES = { hidden: 48, intermediate: 96, layers: 2, heads: 4, kvHeads: 2, headDim: 12 };
/** Words that become one token each, so that a verdict is as short as with a real tokenizer. */
const WORDS = ["harmful", "safe", "Intent", "Harm"];
const END = "<|end|>";
const CHAT_TEMPLATE =
  "{% for message in messages %}[{{ message.role }}]\n{{ message.content }}{{ eos_token }}\n{% endfor %}" +
  "{% if add_generation_prompt %}[assistant]\n{% endif %}";

/**
 * Writes the model's folder below `folder`, the same bytes every time. Returns its path.
 * @param words more that become one token each, mostly: without them a text has as many tokens as bytes
 */
export function writeTinyModel(folder: string, words: readonly string[] = []): string {
  const path = join(folder, "model");
  mkdirSync(path, { recursive: true });
  removeTemporaries(path);
  const { vocabulary, merges } = byteLevelBpe([...WORDS, ...words]);
  const vocabSize = Object.keys(vocabulary).length + 1;
  const endId = vocabSize - 1;
  writeSafetensors(join(path, "model.safetensors"), randomWeights(vocabSize), { format: "pt" });
  writeJson(join(path, "config.json"), {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: SIZES.hidden,
    intermediate_size: SIZES.intermediate,
    num_hidden_layers: SIZES.layers,
    num_attention_heads: SIZES.heads,
    num_key_value_heads: SIZES.kvHeads,
    head_dim: SIZES.headDim,
    hidden_act: "silu",
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
    vocab_size: vocabSize,
    bos_token_id: endId,
    eos_token_id: endId,
    pad_token_id: endId,
  });
  const added = { id: endId, content: END, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  writeJson(join(path, "tokenizer.json"), {
    version: "1.0",
    added_tokens: [added],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab: vocabulary, merges },
  });
  const names = { eos_token: END, pad_token: END };
  writeJson(join(path, "tokenizer_config.json"), { ...names, add_bos_token: false, chat_template: CHAT_TEMPLATE });
  return path;
}

/** All bytes as GPT-2 spells them, and merges that build ASCII words letter by letter, with a space before them too. */
function byteLevelBpe(words: readonly string[]): { vocabulary: Record<string, number>; merges: [string, string][] } {
  const tokens = byteSpellings();
  const merges: [string, string][] = [];
  const merge = (left: string, right: string): void => {
    if (tokens.includes(left + right)) return;
    merges.push([left, right]);
    tokens.push(left + right);
  };
  for (const word of words) {
    for (let end = 1; end < word.length; end++) merge(word.slice(0, end), word[end]);
    merge("Ġ", word);
  }
  return { vocabulary: Object.fromEntries(tokens.map((token, id) => [token, id])), merges };
}

/** GPT-2's bytes_to_unicode: printable bytes stand for themselves, the others for characters from U+0100 on. */
function byteSpellings(): string[] {
  let next = 0x100;
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

function randomWeights(vocabSize: number): TensorToWrite[] {
  const { hidden, intermediate, layers, heads, kvHeads, headDim } = SIZES;
  const random = createRandom(0, TINY_RANDOM);
  const matrix = (name: string, outputs: number, inputs: number): TensorToWrite => {
    const values = Float32Array.from({ length: outputs * inputs }, () => ((random.uniform() - 0.5) * 3.4) / Math.sqrt(inputs));
    return { name: `${name}.weight`, shape: [outputs, inputs], dtype: "F32", values: () => values };
  };
  const norm = (name: string): TensorToWrite => {
    const values = new Float32Array(hidden).fill(1);
    return { name: `${name}.weight`, shape: [hidden], dtype: "F32", values: () => values };
  };
  const blocks = Array.from({ length: layers }, (_, layer) => {
    const at = `model.layers.${layer}`;
    return [
      norm(`${at}.input_layernorm`),
      matrix(`${at}.self_attn.q_proj`, heads * headDim, hidden),
      matrix(`${at}.self_attn.k_proj`, kvHeads * headDim, hidden),
      matrix(`${at}.self_attn.v_proj`, kvHeads * headDim, hidden),
      matrix(`${at}.self_attn.o_proj`, hidden, heads * headDim),
      norm(`${at}.post_attention_layernorm`),
      matrix(`${at}.mlp.gate_proj`, intermediate, hidden),
      matrix(`${at}.mlp.up_proj`, intermediate, hidden),
      matrix(`${at}.mlp.down_proj`, hidden, intermediate),
    ];
  });
  return [matrix("model.embed_tokens", vocabSize, hidden), ...blocks.flat(), norm("model.norm")];
}
