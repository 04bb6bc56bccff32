/**
 * Reads the decoder's geometry from GGUF metadata, and writes it as a Hugging Face `config.json` at the same time: the file is
 * translated into that config, which is then read like any other, so both formats pass the same checks.
 */
import { ModelConfigError, type Architecture, type DecoderConfig } from "../config.js";
import { optionalNumber, optionalString, requiredNumber, type GgufMetadata } from "./gguf-metadata.js";
import { configFromHuggingFace } from "./huggingface-config.js";
import { ropeFrequencies } from "./rope-frequencies.js";

/** What the tensors of the file say beyond its metadata. */
export interface GgufFacts {
  /** Rows of `token_embd.weight`. */
  readonly vocabSize: number;
  /** No `output.weight`. */
  readonly tiedEmbeddings: boolean;
  /** `rope_freqs.weight`: divisors of the frequencies, how llama.cpp stores Llama 3's scaling. Null: none. */
  readonly ropeFactors: Float32Array | null;
}

const CLASSES: Readonly<Record<Architecture, readonly [modelType: string, architecture: string]>> = {
  llama: ["llama", "LlamaForCausalLM"],
  qwen2: ["qwen2", "Qwen2ForCausalLM"],
  qwen3: ["qwen3", "Qwen3ForCausalLM"],
  gemma3: ["gemma3_text", "Gemma3ForCausalLM"],
};

/**
 * @param file named in errors
 * @throws ModelConfigError naming the metadata key that is missing, malformed, out of bounds or not supported
 */
export function configFromGguf(
  metadata: GgufMetadata,
  facts: GgufFacts,
  file: string,
): { config: DecoderConfig; huggingFaceConfig: Readonly<Record<string, unknown>> } {
  const architecture = optionalString(metadata, "general.architecture", file) ?? "";
  if (!Object.hasOwn(CLASSES, architecture)) {
    throw new ModelConfigError(
      file,
      "metadata general.architecture",
      `${JSON.stringify(architecture.slice(0, 60))} is not one of ${Object.keys(CLASSES).join(", ")}`,
    );
  }
  const kind = architecture as Architecture;
  refuseUnsupported(metadata, kind, file);
  const required = (key: string): number => requiredNumber(metadata, `${kind}.${key}`, file);
  const optional = (key: string): number | null => optionalNumber(metadata, `${kind}.${key}`, file);

  const hiddenSize = required("embedding_length");
  const headCount = required("attention.head_count");
  const headDim = optional("attention.key_length") ?? hiddenSize / headCount;
  for (const key of ["attention.value_length", "rope.dimension_count"]) {
    const value = optional(key);
    if (value !== null && value !== headDim) {
      throw new ModelConfigError(
        file,
        `metadata ${kind}.${key}`,
        `${value} differs from the heads' size ${headDim}, which is not supported`,
      );
    }
  }
  const layerCount = required("block_count");
  const maxPositions = required("context_length");
  const [modelType, className] = CLASSES[kind];
  const huggingFaceConfig: Record<string, unknown> = {
    architectures: [className],
    model_type: modelType,
    vocab_size: facts.vocabSize,
    hidden_size: hiddenSize,
    intermediate_size: required("feed_forward_length"),
    num_hidden_layers: layerCount,
    num_attention_heads: headCount,
    num_key_value_heads: optional("attention.head_count_kv") ?? headCount,
    head_dim: headDim,
    rms_norm_eps: required("attention.layer_norm_rms_epsilon"),
    max_position_embeddings: maxPositions,
    tie_word_embeddings: facts.tiedEmbeddings,
    attention_bias: false,
    ...specialIds(metadata, facts.vocabSize, file),
    ...(kind === "gemma3" ? gemmaFields(metadata, hiddenSize, headCount, headDim, layerCount, file) : { hidden_act: "silu" }),
    rope_parameters: ropeParameters(metadata, facts.ropeFactors, kind, headDim, file),
  };
  return { config: configFromHuggingFace(huggingFaceConfig, `${file} (metadata)`), huggingFaceConfig };
}

function refuseUnsupported(metadata: GgufMetadata, kind: Architecture, file: string): void {
  const refuse = (key: string, why: string): never => {
    throw new ModelConfigError(file, `metadata ${key}`, why);
  };
  if ((optionalNumber(metadata, "split.count", file) ?? 1) > 1)
    refuse("split.count", "this is one part of several; join them with llama-gguf-split --merge");
  if ((optionalNumber(metadata, `${kind}.expert_count`, file) ?? 0) > 0)
    refuse(`${kind}.expert_count`, "mixtures of experts are not supported");
  for (const key of ["attn_logit_softcapping", "final_logit_softcapping"]) {
    if ((optionalNumber(metadata, `${kind}.${key}`, file) ?? 0) !== 0)
      refuse(`${kind}.${key}`, "capped logits are not supported");
  }
  if (kind !== "gemma3" && (optionalNumber(metadata, `${kind}.attention.sliding_window`, file) ?? 0) > 0) {
    refuse(`${kind}.attention.sliding_window`, "sliding windows are read from GGUF for Gemma 3 only");
  }
}

function specialIds(metadata: GgufMetadata, vocabSize: number, file: string): Record<string, unknown> {
  const id = (name: string): number | null => {
    const value = optionalNumber(metadata, `tokenizer.ggml.${name}_token_id`, file);
    // llama.cpp writes 2^32 - 1 for "none".
    return value === null || value === 0xffffffff || value === -1 ? null : value;
  };
  for (const name of ["bos", "eos", "eot", "eom", "padding"]) {
    const value = id(name);
    if (value !== null && !(Number.isInteger(value) && value >= 0 && value < vocabSize)) {
      throw new ModelConfigError(
        file,
        `metadata tokenizer.ggml.${name}_token_id`,
        `${value} is not an id of the ${vocabSize} in the vocabulary`,
      );
    }
  }
  const ends = [id("eos"), id("eot"), id("eom")].filter((value) => value !== null);
  return { bos_token_id: id("bos"), eos_token_id: [...new Set(ends)], pad_token_id: id("padding") };
}

/** What llama.cpp knows of Gemma 3 without metadata: five local layers to a global one, base 10,000 for those, the 27B's own scale. */
function gemmaFields(
  metadata: GgufMetadata,
  hiddenSize: number,
  headCount: number,
  headDim: number,
  layerCount: number,
  file: string,
): Record<string, unknown> {
  const key = "gemma3.attention.sliding_window_pattern";
  if (metadata.has(key) && metadata.get(key) !== 6)
    throw new ModelConfigError(file, `metadata ${key}`, "is not 6, the pattern of Gemma 3");
  return {
    hidden_activation: "gelu_pytorch_tanh",
    sliding_window: requiredNumber(metadata, "gemma3.attention.sliding_window", file),
    sliding_window_pattern: 6,
    query_pre_attn_scalar: layerCount === 62 ? hiddenSize / headCount : headDim,
  };
}

function ropeParameters(
  metadata: GgufMetadata,
  factors: Float32Array | null,
  kind: Architecture,
  headDim: number,
  file: string,
): Record<string, unknown> {
  const theta = optionalNumber(metadata, `${kind}.rope.freq_base`, file) ?? (kind === "gemma3" ? 1_000_000 : 10_000);
  // Files older than the type have the factor alone.
  const type = optionalString(metadata, `${kind}.rope.scaling.type`, file) ?? "linear";
  const stated =
    optionalNumber(metadata, `${kind}.rope.scaling.factor`, file) ??
    optionalNumber(metadata, `${kind}.rope.scale_linear`, file) ??
    1;
  const factor = type === "none" ? 1 : stated;
  if (type !== "none" && type !== "linear") {
    throw new ModelConfigError(
      file,
      `metadata ${kind}.rope.scaling.type`,
      `${JSON.stringify(type.slice(0, 60))} is not supported (none, linear are)`,
    );
  }
  const plain = factor === 1 ? { rope_type: "default", rope_theta: theta } : { rope_type: "linear", rope_theta: theta, factor };
  if (kind === "gemma3") {
    const local = optionalNumber(metadata, "gemma3.rope.freq_base_swa", file) ?? 10_000;
    return { full_attention: plain, sliding_attention: { rope_type: "default", rope_theta: local } };
  }
  if (factors === null) return plain;
  if (factor !== 1)
    throw new ModelConfigError(file, "tensor rope_freqs.weight", "stands beside a linear rope factor, which is not supported");
  return llama3Parameters(theta, factors, headDim, file);
}

/** Llama 3.1's rule with the constants that Meta published; only its factor varies (8 in 3.1 and 3.3, 32 in 3.2). */
function llama3Parameters(theta: number, factors: Float32Array, headDim: number, file: string): Record<string, unknown> {
  const factor = factors.reduce((a, b) => Math.max(a, b), 0);
  const rule = { type: "llama3", theta, factor, lowFrequencyFactor: 1, highFrequencyFactor: 4, original: 8192 } as const;
  const where = "tensor rope_freqs.weight";
  if (factors.length !== headDim / 2)
    throw new ModelConfigError(file, where, `has ${factors.length} factors for a head of ${headDim}`);
  const wanted = ropeFrequencies({ type: "default", theta }, headDim).map((frequency, i) => frequency / factors[i]);
  const made = ropeFrequencies(rule, headDim);
  if (!(factor >= 1) || made.some((frequency, i) => !(Math.abs(frequency - wanted[i]) <= 1e-5 * frequency))) {
    throw new ModelConfigError(file, where, "is not the rope scaling of Llama 3.1 to 3.3, the only one known in this form");
  }
  return {
    rope_type: "llama3",
    rope_theta: theta,
    factor,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };
}
