/**
 * The op set of the decoder: everything that `src/model` asks of a device, forward and backward.
 *
 * Two implementations: `native` (fused C++ kernels on the CPU, `src/native`) and `portable` (TensorFlow or tfjs ops, any backend).
 * Tests hold each against the other and against tfjs autograd.
 *
 * Conventions. N: packed tokens; D: hidden size; H query heads, K key/value heads of size d; F: intermediate size; V: vocabulary.
 * T is the op set's activation type (`precision`). The residual stream, norms' weights, losses and everything of LoRA's optimiser
 * are float32. No op pads or masks: a batch is packed rows, and segments say which rows see which.
 * Every op checks shapes and dtypes and throws `TensorError` before it computes.
 */
import type { Device } from "./device.js";
import type { Tensor } from "./tensor.js";

export type Precision = "float32" | "bfloat16";
export type Activation = "silu" | "gelu_tanh";

/** Attention geometry and rotary embedding of one layer. */
export interface AttentionConfig {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Multiplies q·k; usually 1/sqrt(headDim), Gemma 3 has its own. */
  readonly scale: number;
  /** Sliding window: a query at position p sees keys at positions > p - window. 0: no window. */
  readonly window: number;
}

/** Rotary embedding, with the per-head RMSNorm of q and k that Qwen 3 and Gemma 3 apply before it. */
export interface RopeConfig {
  /** float32 [d/2]: angle per position of each pair (j, j + d/2), scaling already applied. */
  readonly frequencies: Tensor;
  /** float32 [d] each, or null without QK norm. Gemma's (1 + w) is folded in at load. */
  readonly queryNorm: Tensor | null;
  readonly keyNorm: Tensor | null;
  readonly normEpsilon: number;
}

/**
 * A frozen linear layer y = x Wᵀ + b, or several that read the same x joined along the output (q|k|v, gate|up).
 * The implementation decides what it stores; `backward` is made by {@link DecoderOps.prepareBackward} on first training use.
 */
export interface LinearWeight {
  readonly inputs: number;
  readonly outputs: number;
  readonly forward: Tensor;
  backward: Tensor | null;
  /** float32 [outputs] or null. */
  readonly bias: Tensor | null;
}

/** Where one projection's LoRA factors stand in the flat parameter vector: A [rank, inputs] and B [outputEnd - outputStart, rank], row-major as in PEFT. */
export interface LoraPart {
  readonly rank: number;
  readonly offsetA: number;
  readonly offsetB: number;
  /** The columns of the joined output that this projection writes. */
  readonly outputStart: number;
  readonly outputEnd: number;
  /** PEFT's scaling: alpha / r, or alpha / sqrt(r) with rank-stabilised LoRA. */
  readonly scale: number;
}

/** LoRA of one joined linear layer; parts in output order, not overlapping, at least one. */
export interface LoraLayout {
  readonly inputs: number;
  readonly outputs: number;
  readonly parts: readonly LoraPart[];
}

/** LoRA factors of one linear layer, converted for compute (scale folded into B). Remade after each optimiser step. */
export interface LoraWeight {
  readonly layout: LoraLayout;
  /** Implementation's own tensors: forms for the forward, and for the backward when it was asked for. */
  readonly tensors: readonly Tensor[];
}

/** The frozen weights of one transformer block. */
export interface BlockWeights {
  readonly attentionNorm: Tensor;
  readonly qkv: LinearWeight;
  readonly rope: RopeConfig;
  readonly attention: AttentionConfig;
  readonly output: LinearWeight;
  /** Gemma 3 normalises what attention and feed-forward add to the stream; null elsewhere. */
  readonly postAttentionNorm: Tensor | null;
  readonly feedforwardNorm: Tensor;
  readonly gateUp: LinearWeight;
  readonly down: LinearWeight;
  readonly postFeedforwardNorm: Tensor | null;
}

/** The four joined linear layers of a block, by the projections that they hold. */
export interface BlockLora<T> {
  readonly qkv: T | null;
  readonly output: T | null;
  readonly gateUp: T | null;
  readonly down: T | null;
}

/** What enters a block: the residual stream, float32 [N, D], and what the block before adds to it, T [N, D] (null before the first). */
export interface BlockInput {
  readonly residual: Tensor;
  readonly branch: Tensor | null;
}

/** Sum of LoRA gradients over micro-batches, laid out as the flat parameter vector. */
export interface GradientVector {
  readonly size: number;
  /** float32 [size]; ends the accumulation: the tensor is the caller's to free. */
  take(): Tensor;
  /** Frees what has been accumulated. */
  free(): void;
}

export interface AdamWState {
  /** float32 [n] each. Native writes them in place; portable replaces them. */
  parameters: Tensor;
  firstMoment: Tensor;
  secondMoment: Tensor;
}

/** torch.optim.AdamW: decoupled weight decay, bias correction, eps outside the root. */
export interface AdamWOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Steps taken before this one, from 0. */
  readonly step: number;
  /** Multiplies the gradient (clipping by global norm, averaging over micro-batches). */
  readonly gradientScale: number;
}

/** Keys and values of one layer for decoding: T [slots, K, capacity, d] each, in whatever form the implementation keeps. */
export interface LayerCache {
  readonly slots: number;
  readonly capacity: number;
  readonly heads: number;
  readonly headDim: number;
  free(): void;
}

/**
 * One row of a decode step: it attends to `promptLength` tokens in `promptSlot` of the prompt cache (shared by all samples of a
 * prompt), then to `length` earlier tokens and itself in `slot` of the completion cache. Its position is promptLength + length.
 */
export interface DecodeRow {
  readonly promptSlot: number;
  readonly promptLength: number;
  readonly slot: number;
  readonly length: number;
}

/** A block as decoding meets it: its weights, an adapter's, and the caches of its layer. */
export interface DecodeBlock {
  readonly weights: BlockWeights;
  readonly lora: BlockLora<LoraWeight>;
  readonly prompts: LayerCache;
  readonly completions: LayerCache;
}

export interface SamplingOptions {
  /** 0: greedy (ties: the lowest id). */
  readonly temperature: number;
  /** Nucleus: the smallest set of most likely tokens whose probability reaches topP; 1: all. */
  readonly topP: number;
  /** One number in [0, 1) a row; unused when greedy. */
  readonly uniforms: Float32Array;
}

export interface DecoderOps {
  readonly name: "native" | "portable";
  readonly device: Device;
  readonly precision: Precision;

  // ---- weights ------------------------------------------------------------------------------------------------------------
  /** Joins and stores frozen weights. parts: row-major [outputs_i, inputs] as in PyTorch; biases likewise, zeros where a part has none. */
  linearWeight(inputs: number, parts: readonly { weight: Float32Array; bias?: Float32Array | null }[]): LinearWeight;
  /** Makes `weight.backward` if it is missing. */
  prepareBackward(weight: LinearWeight): void;
  /** Rows of a tied or untied embedding stored as a LinearWeight (inputs D, outputs V), times scale. ids int32 [N] -> float32 [N, D]. */
  embed(table: LinearWeight, ids: Tensor, scale: number): Tensor;

  // ---- blocks -------------------------------------------------------------------------------------------------------------
  /**
   * sum = residual + branch (either may be null, not both); normed = sum · inverseRms · weight.
   * residual float32 [N, D]; branch T [N, D]; weight float32 [D] -> sum float32 [N, D], normed T [N, D], inverseRms float32 [N].
   */
  rmsNorm(
    residual: Tensor | null,
    branch: Tensor | null,
    weight: Tensor,
    epsilon: number,
  ): { sum: Tensor; normed: Tensor; inverseRms: Tensor };
  /**
   * Gradient with respect to sum, plus the gradient that reaches sum by the residual stream (null: none).
   * dNormed T [N, D], dSum float32 [N, D] -> the total as float32 (residual) and as T (branch).
   */
  rmsNormGradient(
    sum: Tensor,
    inverseRms: Tensor,
    weight: Tensor,
    dNormed: Tensor,
    dSum: Tensor | null,
  ): { residual: Tensor; branch: Tensor };

  /** QK norm if any, then rotation of q and k by position; v unchanged. qkv T [N, (H + 2K) d], positions int32 [N] -> T, same shape. */
  rope(qkv: Tensor, positions: Tensor, attention: AttentionConfig, rope: RopeConfig): Tensor;
  /** dRotated T, `qkv` as given to rope (read only with QK norm) -> dQkv T. */
  ropeGradient(dRotated: Tensor, qkv: Tensor, positions: Tensor, attention: AttentionConfig, rope: RopeConfig): Tensor;

  /**
   * Causal attention over packed segments. segments int32 [S, 4]: [query start, query length, prefix start, prefix length]; a query sees
   * its segment's prefix rows, then its own segment's rows up to itself. Query ranges are disjoint; rows of no segment get zeros.
   * qkv T [N, (H + 2K) d] after rope -> output T [N, H d], logSumExp float32 [H, N].
   */
  attention(qkv: Tensor, segments: Tensor, config: AttentionConfig): { output: Tensor; logSumExp: Tensor };
  /** Prefix rows collect the gradients of all segments that read them. -> dQkv T. */
  attentionGradient(
    qkv: Tensor,
    segments: Tensor,
    config: AttentionConfig,
    output: Tensor,
    logSumExp: Tensor,
    dOutput: Tensor,
  ): Tensor;

  /** gateUp T [N, 2F] (gate first) -> activation(gate) · up, T [N, F]. */
  gated(gateUp: Tensor, activation: Activation): Tensor;
  /** -> dGateUp T [N, 2F] and the forward's output again (recomputed, for the LoRA gradient of the layer after it). */
  gatedGradient(gateUp: Tensor, dOutput: Tensor, activation: Activation): { dGateUp: Tensor; output: Tensor };

  // ---- linear layers with LoRA --------------------------------------------------------------------------------------------
  /** parameters: the flat float32 vector. training: also the forms that linearGradient needs. */
  loraWeight(parameters: Tensor, layout: LoraLayout, training: boolean): LoraWeight;
  /**
   * y = x Wᵀ + b + scale (x Aᵀ) Bᵀ. x T [N, inputs] -> y [N, outputs] as T (or float32 if asked: logits), and
   * projected = x Aᵀ, T [N, sum of ranks] (null without LoRA), which the gradient of B needs.
   */
  linear(x: Tensor, weight: LinearWeight, lora: LoraWeight | null, output?: "float32"): { y: Tensor; projected: Tensor | null };
  /** dx = dy W + scale (dy B) A, T [N, inputs]; dProjected = scale dy B, T [N, sum of ranks]. The weight must be prepared. */
  linearGradient(dy: Tensor, weight: LinearWeight, lora: LoraWeight | null): { dx: Tensor; dProjected: Tensor | null };
  gradientVector(size: number): GradientVector;
  /** Adds dA = dProjectedᵀ x and dB = scale dyᵀ projected to the parts' places in the vector. */
  addLoraGradient(vector: GradientVector, layout: LoraLayout, x: Tensor, projected: Tensor, dy: Tensor, dProjected: Tensor): void;

  // ---- scored rows and loss -----------------------------------------------------------------------------------------------
  /** rows int32 [M] -> x[rows], same dtype. */
  gatherRows(x: Tensor, rows: Tensor): Tensor;
  /** The gradient of gatherRows: zeros [N, D] float32 with dy added at rows (a row may be named twice). */
  scatterRows(dy: Tensor, rows: Tensor, rowCount: number): Tensor;
  /** float32 -> T. */
  cast(x: Tensor): Tensor;
  /** logits float32 [M, V] / temperature; targets int32 [M] -> nll float32 [M], logSumExp float32 [M] (of logits / temperature). */
  crossEntropy(logits: Tensor, targets: Tensor, temperature: number): { nll: Tensor; logSumExp: Tensor };
  /** d(sum of weights · nll)/d logits, T [M, V]. weights float32 [M]. */
  crossEntropyGradient(logits: Tensor, targets: Tensor, logSumExp: Tensor, weights: Tensor, temperature: number): Tensor;

  // ---- optimiser ----------------------------------------------------------------------------------------------------------
  adamW(state: AdamWState, gradient: Tensor, options: AdamWOptions): void;
  /** Sum of squares, in float64 order-independent of threads. */
  squaredNorm(x: Tensor): number;

  // ---- decoding -----------------------------------------------------------------------------------------------------------
  layerCache(slots: number, capacity: number, config: AttentionConfig): LayerCache;
  /** Copies keys and values of packed rows (after rope) into the cache: slots[i] gets segment i's own rows from position 0. */
  fillCache(
    cache: LayerCache,
    qkv: Tensor,
    segments: readonly { start: number; length: number; slot: number }[],
    config: AttentionConfig,
  ): void;
  /**
   * One new token a row: rope, append to the completion cache, attend to prompt and completion. qkv T [B, (H + 2K) d] before rope.
   * The result for a row does not depend on the other rows. -> T [B, H d].
   */
  decodeAttention(
    qkv: Tensor,
    prompts: LayerCache,
    completions: LayerCache,
    rows: readonly DecodeRow[],
    config: AttentionConfig,
    rope: RopeConfig,
  ): Tensor;
  /**
   * All blocks of a decode step, one new token a row: the bits that rmsNorm, linear, decodeAttention and gated give block by block,
   * with fewer calls. Null: not offered, compose it of these.
   */
  readonly decodeBlocks:
    | ((
        input: BlockInput,
        blocks: readonly DecodeBlock[],
        rows: readonly DecodeRow[],
        config: { readonly rmsNormEpsilon: number; readonly activation: Activation },
      ) => BlockInput)
    | null;
  /** Draws one id a row from float32 [B, V]; logProbs are of softmax(logits / temperature), of softmax(logits) when greedy. */
  sample(logits: Tensor, options: SamplingOptions): { ids: Int32Array; logProbs: Float32Array };
}
