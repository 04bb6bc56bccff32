/**
 * Reads the decoder's geometry from a Hugging Face `config.json`: `llama`, `qwen2`, `qwen3`, `gemma3_text`, and `gemma3` (whose
 * `text_config` is taken). Both ways of writing rope are read: transformers 5's `rope_parameters`, and `rope_theta` with `rope_scaling`.
 * Defaults of missing fields are those of transformers' configuration classes.
 */
import { checkDecoderConfig, ModelConfigError, type Architecture, type DecoderConfig, type LayerConfig } from "../config.js";
import { huggingFaceRope } from "./huggingface-rope.js";
import { parseRawConfig, type RawConfig } from "./huggingface-schema.js";

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: "llama",
  qwen2: "qwen2",
  qwen3: "qwen3",
  gemma3_text: "gemma3",
};

/**
 * @param json the parsed `config.json`
 * @param file named in errors
 * @throws ModelConfigError naming the field that is missing, malformed, out of bounds or not supported
 */
export function configFromHuggingFace(json: unknown, file: string): DecoderConfig {
  const { modelType, fields } = textConfig(json, file);
  const architecture = Object.hasOwn(ARCHITECTURES, modelType) ? ARCHITECTURES[modelType] : undefined;
  if (architecture === undefined) {
    throw new ModelConfigError(
      file,
      "model_type",
      `${JSON.stringify(modelType.slice(0, 60))} is not one of llama, qwen2, qwen3, gemma3_text, gemma3`,
    );
  }
  const raw = parseRawConfig(fields, file);
  refuseUnsupported(raw, file);

  const gemma = architecture === "gemma3";
  const need = (field: keyof RawConfig, value: number | null | undefined): number => {
    if (value === null || value === undefined) throw new ModelConfigError(file, field, "is missing");
    return value;
  };
  const headCount = need("num_attention_heads", raw.num_attention_heads ?? (gemma ? 8 : undefined));
  const headDim = raw.head_dim ?? (gemma ? 256 : architecture === "qwen3" ? 128 : raw.hidden_size / headCount);
  const maxPositions = need("max_position_embeddings", raw.max_position_embeddings ?? (gemma ? 131_072 : undefined));
  const layers = layerConfigs(raw, architecture, file);
  const config: DecoderConfig = {
    architecture,
    vocabSize: need("vocab_size", raw.vocab_size ?? (gemma ? 262_208 : undefined)),
    hiddenSize: raw.hidden_size,
    intermediateSize: raw.intermediate_size,
    layerCount: raw.num_hidden_layers,
    headCount,
    kvHeadCount: raw.num_key_value_heads ?? (gemma ? 4 : headCount),
    headDim,
    rmsNormEpsilon: raw.rms_norm_eps ?? 1e-6,
    activation: activation(raw, architecture, file),
    qkvBias: architecture === "qwen2",
    qkNorm: architecture === "qwen3" || gemma,
    postNorms: gemma,
    normPlusOne: gemma,
    embeddingScale: gemma ? Math.fround(Math.sqrt(raw.hidden_size)) : 1,
    attentionScale: 1 / Math.sqrt(gemma ? (raw.query_pre_attn_scalar ?? 256) : headDim),
    tiedEmbeddings: raw.tie_word_embeddings ?? gemma,
    maxPositions,
    ...specialIds(raw, architecture),
    layers,
    ropeFrequencies: huggingFaceRope(raw, gemma, headDim, maxPositions, file),
  };
  return checkDecoderConfig(config, file);
}

/** The text part of a config: itself, or `text_config` of a multimodal Gemma 3 with the outer ids and tying. */
export function textConfig(json: unknown, file: string): { modelType: string; fields: Record<string, unknown> } {
  if (!isObject(json)) throw new ModelConfigError(file, "contents", "is not a JSON object");
  const modelType = json.model_type;
  if (typeof modelType !== "string") throw new ModelConfigError(file, "model_type", "is missing or not a string");
  if (modelType !== "gemma3") return { modelType, fields: json };
  if (!isObject(json.text_config)) throw new ModelConfigError(file, "text_config", "is missing or not an object");
  const fields = { ...json.text_config };
  for (const key of ["bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings", "quantization_config"]) {
    if (json[key] !== undefined && json[key] !== null) fields[key] = json[key];
  }
  return { modelType: "gemma3_text", fields };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuseUnsupported(raw: RawConfig, file: string): void {
  const refuse = (field: keyof RawConfig, why: string): never => {
    throw new ModelConfigError(file, field, why);
  };
  if (raw.attention_bias === true) refuse("attention_bias", "biases on all four attention projections are not supported");
  if (raw.mlp_bias === true) refuse("mlp_bias", "biases in the feed-forward are not supported");
  if (raw.attn_logit_softcapping) refuse("attn_logit_softcapping", "capped attention logits (Gemma 2) are not supported");
  if (raw.final_logit_softcapping) refuse("final_logit_softcapping", "capped logits (Gemma 2) are not supported");
  if (raw.use_bidirectional_attention) refuse("use_bidirectional_attention", "only causal attention is supported");
  if (raw.quantization_config !== undefined && raw.quantization_config !== null) {
    refuse("quantization_config", "quantised checkpoints are read from GGUF only; use the full-precision one");
  }
}

function activation(raw: RawConfig, architecture: Architecture, file: string): DecoderConfig["activation"] {
  const [field, name] =
    architecture === "gemma3"
      ? (["hidden_activation", raw.hidden_activation ?? "gelu_pytorch_tanh"] as const)
      : (["hidden_act", raw.hidden_act ?? "silu"] as const);
  if (name === "silu") return "silu";
  if (name === "gelu_pytorch_tanh") return "gelu_tanh";
  throw new ModelConfigError(file, field, `${JSON.stringify(name.slice(0, 60))} is not silu or gelu_pytorch_tanh`);
}

function specialIds(raw: RawConfig, architecture: Architecture): Pick<DecoderConfig, "bosId" | "eosIds" | "padId"> {
  const defaults = { llama: [1, 2, null], qwen2: [null, null, null], qwen3: [null, null, null], gemma3: [2, 1, 0] } as const;
  const [bos, eos, pad] = defaults[architecture];
  const list = (value: RawConfig["eos_token_id"], otherwise: number | null): number[] =>
    [value === undefined ? otherwise : value].flat().filter((id) => id !== null);
  return {
    bosId: list(raw.bos_token_id, bos)[0] ?? null,
    eosIds: [...new Set(list(raw.eos_token_id, eos))],
    // -1 is how some Llama checkpoints write "no padding token".
    padId: list(raw.pad_token_id, pad).find((id) => id !== -1) ?? null,
  };
}

function layerConfigs(raw: RawConfig, architecture: Architecture, file: string): LayerConfig[] {
  const count = raw.num_hidden_layers;
  if (count > 1024) throw new ModelConfigError(file, "num_hidden_layers", `${count} is more than 1024`);
  const gemma = architecture === "gemma3";
  const window = gemma ? (raw.sliding_window ?? 4096) : raw.use_sliding_window === true ? (raw.sliding_window ?? 4096) : 0;
  const pattern = raw.sliding_window_pattern ?? raw._sliding_window_pattern ?? 6;
  const isLocal = (index: number): boolean => {
    if (architecture === "llama") return false;
    if (!raw.layer_types) return gemma ? (index + 1) % pattern !== 0 : window > 0 && index >= (raw.max_window_layers ?? 28);
    const type = raw.layer_types[index];
    if (type === "sliding_attention") return true;
    if (type === "full_attention") return false;
    throw new ModelConfigError(file, `layer_types.${index}`, "is not full_attention or sliding_attention");
  };
  return Array.from({ length: count }, (_, index) => {
    const local = isLocal(index);
    if (local && window < 1) throw new ModelConfigError(file, "sliding_window", `layer ${index} slides, but no window is given`);
    return { rope: local && gemma ? "local" : "global", window: local ? window : 0 };
  });
}
