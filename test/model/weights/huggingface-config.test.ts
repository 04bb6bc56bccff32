import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ModelConfigError } from "../../../src/model/config.js";
import { configFromHuggingFace } from "../../../src/model/weights/huggingface-config.js";
import { ropeFrequencies } from "../../../src/model/weights/rope-frequencies.js";
import { readReferenceJson, REFERENCE } from "./files.js";

/** SmolLM2-135M-Instruct, as published before transformers 5. */
const smollm2 = {
  model_type: "llama",
  vocab_size: 49152,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  hidden_act: "silu",
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  rope_scaling: null,
  tie_word_embeddings: true,
  attention_bias: false,
  bos_token_id: 1,
  eos_token_id: 2,
  pad_token_id: 2,
};
/** Llama 3.2 1B Instruct. */
const llama32 = {
  model_type: "llama",
  vocab_size: 128256,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 64,
  hidden_act: "silu",
  max_position_embeddings: 131072,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  rope_scaling: {
    factor: 32,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
  tie_word_embeddings: true,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
};
/** Gemma 3 4B, whose text part leaves most fields to the defaults. */
const gemma4b = {
  model_type: "gemma3",
  eos_token_id: [1, 106],
  text_config: {
    model_type: "gemma3_text",
    hidden_size: 2560,
    intermediate_size: 10240,
    num_hidden_layers: 34,
    rope_scaling: { factor: 8, rope_type: "linear" },
    sliding_window: 1024,
  },
  vision_config: { model_type: "siglip_vision_model" },
};
const read = (json: unknown): ReturnType<typeof configFromHuggingFace> => configFromHuggingFace(json, "config.json");

interface RopeCase {
  head_dim: number;
  rope_parameters: { rope_type: string };
  frequencies: number[];
}
const ropeCases = (readReferenceJson("gguf", "rope.json") as { cases: RopeCase[] }).cases;

const expectClose = (actual: Float32Array | null, expected: ArrayLike<number>): void => {
  expect(actual?.length).toBe(expected.length);
  // Two roundings of float32 at most.
  for (let i = 0; i < expected.length; i++) expect(Math.abs(actual![i] / expected[i] - 1)).toBeLessThan(2.5e-7);
};

describe("configFromHuggingFace", () => {
  it("reads a Llama with the rope fields of transformers 4", () => {
    const config = read(smollm2);
    expect(config).toMatchObject({
      architecture: "llama", vocabSize: 49152, hiddenSize: 576, layerCount: 30, headCount: 9, kvHeadCount: 3, headDim: 64, rmsNormEpsilon: 1e-5,
      tiedEmbeddings: true, bosId: 1, eosIds: [2], padId: 2, attentionScale: 0.125, embeddingScale: 1, qkvBias: false, qkNorm: false, postNorms: false,
      activation: "silu", maxPositions: 8192,
    }); // prettier-ignore
    expect(config.layers).toEqual(Array(30).fill({ rope: "global", window: 0 }));
    expectClose(config.ropeFrequencies.global, ropeCases[0].frequencies);
    expect(config.ropeFrequencies.local).toBeNull();
  });

  it("reads Llama 3.2's rope scaling and its several end ids", () => {
    const config = read(llama32);
    expect(config.eosIds).toEqual([128001, 128008, 128009]);
    expect(config.padId).toBeNull();
    expectClose(config.ropeFrequencies.global, ropeCases[2].frequencies);
  });

  it.each(ropeCases)("computes frequencies as transformers does: $rope_parameters.rope_type, head $head_dim", (rope) => {
    const heads = { num_attention_heads: 2, num_key_value_heads: 2, rope_theta: undefined, rope_scaling: undefined };
    expectClose(read({ ...smollm2, ...heads, ...rope }).ropeFrequencies.global, rope.frequencies);
  });

  it("fills in the text part of a multimodal Gemma 3", () => {
    const config = read(gemma4b);
    expect(config).toMatchObject({
      architecture: "gemma3", vocabSize: 262208, headCount: 8, kvHeadCount: 4, headDim: 256, attentionScale: 1 / 16, activation: "gelu_tanh", tiedEmbeddings: true,
      bosId: 2, eosIds: [1, 106], padId: 0, qkNorm: true, postNorms: true, normPlusOne: true, embeddingScale: Math.fround(Math.sqrt(2560)),
    }); // prettier-ignore
    expect(config.layers.map(({ rope }) => rope[0]).join("")).toBe("lllllg".repeat(6).slice(0, 34));
    expect(config.layers.every(({ rope, window }) => window === (rope === "local" ? 1024 : 0))).toBe(true);
    expectClose(config.ropeFrequencies.global, ropeCases[4].frequencies);
    expectClose(config.ropeFrequencies.local, ropeFrequencies({ type: "default", theta: 10000 }, 256));
  });

  it("windows Qwen's upper layers only where the config switches them on", () => {
    const qwen = {
      ...smollm2,
      model_type: "qwen2",
      num_hidden_layers: 4,
      use_sliding_window: true,
      sliding_window: 32,
      max_window_layers: 2,
    };
    expect(read(qwen).layers.map(({ window }) => window)).toEqual([0, 0, 32, 32]);
    expect(read({ ...qwen, use_sliding_window: false }).layers.map(({ window }) => window)).toEqual([0, 0, 0, 0]);
    expect(read(qwen)).toMatchObject({ qkvBias: true, qkNorm: false });
    expect(read({ ...qwen, model_type: "qwen3", head_dim: 128 })).toMatchObject({ qkvBias: false, qkNorm: true, headDim: 128 });
  });

  it.each(["llama", "llama-tied", "qwen2", "qwen3", "gemma3"])("reads the config that transformers 5 wrote: %s", (name) => {
    const file = join(REFERENCE, "checkpoints", name, "config.json");
    const json = JSON.parse(readFileSync(file, "utf8")) as { vocab_size: number; num_hidden_layers: number };
    const config = configFromHuggingFace(json, file);
    expect(config.vocabSize).toBe(json.vocab_size);
    expect(config.layers.length).toBe(json.num_hidden_layers);
  });

  it("takes no scale from a name's prototype", () => {
    expect(() => read({ ...smollm2, model_type: "constructor" })).toThrow(/model_type: "constructor" is not one of/);
    expect(() => read(JSON.parse('{"__proto__":{"model_type":"llama"}}'))).toThrow(/model_type: is missing/);
  });

  const refusals: [field: string, change: Record<string, unknown>][] = [
    ["model_type", { model_type: "mistral" }],
    ["model_type", { model_type: undefined }],
    ["hidden_size", { hidden_size: undefined }],
    ["hidden_size", { hidden_size: "576" }],
    ["hidden_size", { hidden_size: 1e300 }],
    ["hiddenSize", { hidden_size: 1e9, head_dim: 64 }],
    ["vocab_size", { vocab_size: undefined }],
    ["num_hidden_layers", { num_hidden_layers: 1e9 }],
    ["num_attention_heads", { num_attention_heads: 0 }],
    ["kvHeadCount", { num_key_value_heads: 2 }],
    ["head_dim", { num_attention_heads: 7, num_key_value_heads: 7 }],
    ["head_dim", { head_dim: 63 }],
    ["hidden_act", { hidden_act: "relu" }],
    ["attention_bias", { attention_bias: true }],
    ["mlp_bias", { mlp_bias: true }],
    ["quantization_config", { quantization_config: { quant_method: "gptq" } }],
    ["eosIds", { eos_token_id: [2, 49152] }],
    ["eos_token_id", { eos_token_id: "2" }],
    ["rms_norm_eps", { rms_norm_eps: -1 }],
    ["rope_scaling.rope_type", { rope_scaling: { rope_type: "yarn", factor: 4 } }],
    ["rope_scaling.rope_type", { rope_scaling: { type: "dynamic", factor: 4 } }],
    ["rope_scaling.rope_type", { rope_scaling: { type: "longrope", factor: 4 } }],
    ["rope_scaling.factor", { rope_scaling: { type: "linear" } }],
    ["rope_scaling.factor", { rope_scaling: { type: "linear", factor: 0 } }],
    ["rope_scaling.low_freq_factor", { rope_scaling: { rope_type: "llama3", factor: 8 } }],
    [
      "rope_scaling.high_freq_factor",
      { rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4 } },
    ],
    ["rope_parameters.partial_rotary_factor", { partial_rotary_factor: 0.5 }],
    ["ropeFrequencies.global", { rope_theta: 1e308 }],
  ];
  it.each(refusals)("refuses and names %s", (field, change) => {
    const attempt = (): unknown => read({ ...smollm2, ...change });
    expect(attempt).toThrow(ModelConfigError);
    expect(attempt).toThrow(`config.json: ${field}: `);
  });

  const gemmaRefusals: [field: string, change: Record<string, unknown>][] = [
    ["attn_logit_softcapping", { attn_logit_softcapping: 50 }],
    ["final_logit_softcapping", { final_logit_softcapping: 30 }],
    ["use_bidirectional_attention", { use_bidirectional_attention: true }],
    ["sliding_window", { sliding_window: 0 }],
    ["layer_types.33", { layer_types: [...Array<string>(33).fill("full_attention"), "chunked_attention"] }],
    ["layer_types.2", { layer_types: ["full_attention", "full_attention"] }],
  ];
  it.each(gemmaRefusals)("refuses of Gemma 3 and names %s", (field, change) => {
    const attempt = (): unknown => read({ ...gemma4b, text_config: { ...gemma4b.text_config, ...change } });
    expect(attempt).toThrow(ModelConfigError);
    expect(attempt).toThrow(`config.json: ${field}: `);
  });

  it.each([null, 3, "x", [], [{}], { model_type: 3 }, { model_type: "gemma3", text_config: null }])("refuses %j", (json) => {
    expect(() => read(json)).toThrow(ModelConfigError);
  });
});
