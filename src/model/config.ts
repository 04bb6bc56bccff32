/**
 * What the decoder must know of a model, the same for every family and every file format: sizes, switches between families as
 * plain fields, and rotary frequencies already computed. `weights/huggingface-config.ts` reads it from a `config.json`,
 * `weights/gguf-config.ts` from the metadata of a GGUF file.
 */
export type Architecture = "llama" | "qwen2" | "qwen3" | "gemma3";

/** One layer's attention: which frequencies rotate it, and its sliding window in tokens (a query at p sees keys > p - window; 0: all). */
export interface LayerConfig {
  readonly rope: "global" | "local";
  readonly window: number;
}

export interface DecoderConfig {
  readonly architecture: Architecture;
  /** Rows of the embedding, which may be more than the tokenizer has tokens. */
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layerCount: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly headDim: number;
  readonly rmsNormEpsilon: number;
  readonly activation: "silu" | "gelu_tanh";
  /** Biases on q, k and v (Qwen 2). */
  readonly qkvBias: boolean;
  /** RMSNorm over each head of q and k before the rotation (Qwen 3, Gemma 3). */
  readonly qkNorm: boolean;
  /** Norms also after attention and after the feed-forward, before each is added to the residual (Gemma 3). */
  readonly postNorms: boolean;
  /** A norm multiplies by (1 + w) rather than w (Gemma 3); weights are always stored as w. */
  readonly normPlusOne: boolean;
  /** Multiplies the embedding at the input (Gemma 3: sqrt(hiddenSize); 1 elsewhere). */
  readonly embeddingScale: number;
  /** Multiplies q·k. */
  readonly attentionScale: number;
  /** The head reads the embedding; there is no `lm_head.weight`. */
  readonly tiedEmbeddings: boolean;
  readonly maxPositions: number;
  readonly bosId: number | null;
  /** Every id that ends a turn or a text; may be empty. */
  readonly eosIds: readonly number[];
  readonly padId: number | null;
  /** One entry a layer. */
  readonly layers: readonly LayerConfig[];
  /** Radians per position of each pair (j, j + headDim/2), length headDim/2; local is null where no layer uses it. */
  readonly ropeFrequencies: { readonly global: Float32Array; readonly local: Float32Array | null };
}

/** A config that is missing, malformed, out of bounds or of a kind this engine does not run; `field` names where. */
export class ModelConfigError extends Error {
  override readonly name = "ModelConfigError";

  constructor(
    readonly file: string,
    readonly field: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${file}: ${field}: ${problem}`, options);
  }
}

/** Largest sizes accepted: above every published decoder, small enough that nothing derived from them overflows. */
const LIMITS = {
  vocabSize: 4_194_304,
  hiddenSize: 65_536,
  intermediateSize: 1_048_576,
  layerCount: 1_024,
  headCount: 1_024,
  kvHeadCount: 1_024,
  headDim: 1_024,
  maxPositions: 2 ** 31 - 1,
} as const;

/** Checks every bound and every relation between sizes. Returns the config. @throws ModelConfigError naming the field. */
export function checkDecoderConfig(config: DecoderConfig, file: string): DecoderConfig {
  const fail = (field: string, problem: string): never => {
    throw new ModelConfigError(file, field, problem);
  };
  for (const field of Object.keys(LIMITS) as (keyof typeof LIMITS)[]) {
    const value = config[field];
    if (!Number.isInteger(value) || value < 1 || value > LIMITS[field]) {
      fail(field, `${value} is not an integer from 1 to ${LIMITS[field]}`);
    }
  }
  if (config.headDim % 2 !== 0) fail("headDim", `${config.headDim} is odd; rotary embedding turns pairs`);
  if (config.headCount % config.kvHeadCount !== 0) {
    fail("kvHeadCount", `${config.kvHeadCount} does not divide the ${config.headCount} query heads`);
  }
  if (!(config.rmsNormEpsilon > 0 && config.rmsNormEpsilon < 1))
    fail("rmsNormEpsilon", `${config.rmsNormEpsilon} is not in (0, 1)`);
  for (const field of ["embeddingScale", "attentionScale"] as const) {
    if (!(config[field] > 0 && Number.isFinite(config[field]))) fail(field, `${config[field]} is not a positive number`);
  }
  for (const [field, id] of [
    ["bosId", config.bosId],
    ["padId", config.padId],
    ...config.eosIds.map((id) => ["eosIds", id] as const),
  ] as const) {
    // -1 and ids at the end of an unpadded vocabulary occur in the wild only by mistake; the embedding has no such row.
    if (id !== null && (!Number.isInteger(id) || id < 0 || id >= config.vocabSize)) {
      fail(field, `${id} is not an id of the ${config.vocabSize} in the vocabulary`);
    }
  }
  if (config.layers.length !== config.layerCount)
    fail("layers", `describes ${config.layers.length} layers of ${config.layerCount}`);
  for (const [index, layer] of config.layers.entries()) {
    if (!Number.isInteger(layer.window) || layer.window < 0 || layer.window > LIMITS.maxPositions) {
      fail(`layers[${index}].window`, `${layer.window} is not a number of tokens`);
    }
    if (config.ropeFrequencies[layer.rope] === null) fail(`layers[${index}].rope`, `no ${layer.rope} frequencies are given`);
  }
  for (const [field, frequencies] of Object.entries(config.ropeFrequencies)) {
    if (frequencies === null) continue;
    if (frequencies.length !== config.headDim / 2) {
      fail(`ropeFrequencies.${field}`, `has ${frequencies.length} frequencies for a head of ${config.headDim}`);
    }
    if (!frequencies.every((frequency) => frequency > 0 && Number.isFinite(frequency))) {
      fail(`ropeFrequencies.${field}`, "holds a frequency that is not a positive number");
    }
  }
  return config;
}
