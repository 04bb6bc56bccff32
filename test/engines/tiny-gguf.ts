/** The tiny random model as a GGUF file, with a chat template, as llama.cpp's conversion would write it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeTinyModel } from "../../src/experiments/tiny-model.js";
import { openWeights, type WeightSource } from "../../src/model/weights/source.js";
import {
  floatField,
  ggufBytes,
  textField,
  textsField,
  u64,
  uintField,
  type GgufField,
  type GgufTensorSpec,
} from "../model/weights/files.js";

export const TEMPLATE =
  "{% for m in messages %}[{{ m.role }}]{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

/** Writes the model twice below `folder`, as a folder and as a file. */
export function writeTinyGguf(folder: string): { readonly folder: string; readonly gguf: string } {
  const path = writeTinyModel(folder);
  writeFileSync(join(path, "chat_template.jinja"), TEMPLATE);
  const weights = openWeights(path);
  const gguf = join(folder, "tiny.gguf");
  writeFileSync(gguf, ggufBytes({ fields: [...modelFields(weights), ...tokenizerFields(path)], tensors: tensors(weights) }));
  weights.close();
  return { folder: path, gguf };
}

function modelFields({ config }: WeightSource): GgufField[] {
  return [
    textField("general.architecture", "llama"),
    textField("general.name", "tiny"),
    uintField("llama.block_count", config.layerCount),
    uintField("llama.context_length", config.maxPositions),
    uintField("llama.embedding_length", config.hiddenSize),
    uintField("llama.feed_forward_length", config.intermediateSize),
    uintField("llama.attention.head_count", config.headCount),
    uintField("llama.attention.head_count_kv", config.kvHeadCount),
    floatField("llama.attention.layer_norm_rms_epsilon", config.rmsNormEpsilon),
    floatField("llama.rope.freq_base", 10_000),
    textField("tokenizer.chat_template", TEMPLATE),
  ];
}

function tokenizerFields(path: string): GgufField[] {
  const { model, added_tokens: added } = JSON.parse(readFileSync(join(path, "tokenizer.json"), "utf8")) as {
    model: { vocab: Record<string, number>; merges: string[][] };
    added_tokens: { id: number; content: string }[];
  };
  // By id: an object gives "0" to "9" first.
  const byId = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
  const tokens = [...byId.map(([token]) => token), ...added.map(({ content }) => content)];
  const [{ id: end }] = added;
  // 1: normal, 3: control.
  const types = Int32Array.from(tokens, (_, id) => (id === end ? 3 : 1));
  const head = Buffer.alloc(4);
  head.writeUInt32LE(5);
  return [
    textField("tokenizer.ggml.model", "gpt2"),
    textField("tokenizer.ggml.pre", "gpt-2"),
    textsField("tokenizer.ggml.tokens", tokens),
    ["tokenizer.ggml.token_type", 9, Buffer.concat([head, u64(types.length), Buffer.from(types.buffer)])],
    textsField(
      "tokenizer.ggml.merges",
      model.merges.map((pair) => pair.join(" ")),
    ),
    uintField("tokenizer.ggml.bos_token_id", end),
    uintField("tokenizer.ggml.eos_token_id", end),
    ["tokenizer.ggml.add_bos_token", 7, Buffer.from([0])],
  ];
}

const NAMES: Readonly<Record<string, string>> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

function tensors(weights: WeightSource): GgufTensorSpec[] {
  const { headCount, kvHeadCount } = weights.config;
  return weights.names.map((name) => {
    const [, layer, module] = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name) ?? [];
    const outer: Record<string, string> = {
      "model.embed_tokens.weight": "token_embd.weight",
      "model.norm.weight": "output_norm.weight",
    };
    const shape = weights.shape(name);
    let values = weights.read(name);
    if (module === "self_attn.q_proj") values = neighbouringPairs(values, shape, headCount);
    if (module === "self_attn.k_proj") values = neighbouringPairs(values, shape, kvHeadCount);
    const data = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const own = layer === undefined ? outer[name] : `blk.${layer}.${NAMES[module]}.weight`;
    return { name: own, sizes: [...shape].reverse(), type: 0, data };
  });
}

/** llama.cpp rotates neighbouring rows of a head where transformers rotates its halves. */
function neighbouringPairs(values: Float32Array, [rows, columns]: readonly number[], heads: number): Float32Array {
  const half = rows / heads / 2;
  const result = new Float32Array(values.length);
  for (let head = 0; head < heads; head++)
    for (let part = 0; part < 2; part++)
      for (let i = 0; i < half; i++) {
        const from = (head * 2 + part) * half + i;
        const to = (head * half + i) * 2 + part;
        result.set(values.subarray(from * columns, (from + 1) * columns), to * columns);
      }
  return result;
}
