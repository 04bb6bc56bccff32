/**
 * The forward pass over a packed batch: embeddings, blocks, then negative log-likelihoods of the scored tokens.
 *
 * No tape: with `training`, each block keeps exactly what its hand-written backward reads (`backward.ts`). Above a memory budget it
 * keeps only its input and is computed again on the way back.
 */
import type { BlockInput, BlockLora, LoraWeight } from "../tensor/ops.js";
import { free, keep, scope, tensorsIn, type Tensor } from "../tensor/tensor.js";
import type { PackedBatch } from "./batch.js";
import type { Decoder, DecoderLayer } from "./decoder.js";
import type { ActiveLora } from "./lora.js";

/** A batch on the device. */
export interface BatchTensors {
  readonly ids: Tensor;
  readonly positions: Tensor;
  readonly segments: Tensor;
  /** int32 [M]: the scored rows. */
  readonly rows: Tensor;
}

interface Norm {
  readonly sum: Tensor;
  readonly inverseRms: Tensor;
}

/** What a block's backward reads. In the last block everything after attention is on the scored rows only. */
export interface BlockState {
  readonly attentionNorm: Norm & { readonly normed: Tensor };
  /** Before rope; kept only where QK norm makes rope's backward need it. */
  readonly qkv: Tensor | null;
  readonly rotated: Tensor;
  readonly attended: Tensor;
  readonly logSumExp: Tensor;
  /** `attended`, or its scored rows. */
  readonly attendedRows: Tensor;
  readonly postAttention: Norm | null;
  readonly feedforwardNorm: Norm & { readonly normed: Tensor };
  readonly gateUp: Tensor;
  readonly postFeedforward: Norm | null;
  /** x Aᵀ of each joined linear layer. */
  readonly projected: BlockLora<Tensor>;
}

export const NO_LORA: BlockLora<LoraWeight> = { qkv: null, output: null, gateUp: null, down: null };

export function uploadBatch(decoder: Decoder, batch: PackedBatch): BatchTensors {
  const { device } = decoder.ops;
  return {
    ids: device.upload(batch.ids, [batch.ids.length]),
    positions: device.upload(batch.positions, [batch.positions.length]),
    segments: device.upload(batch.segments, [batch.segments.length / 4, 4]),
    rows: device.upload(batch.rows, [batch.rows.length]),
  };
}

/** The part of a block before attention: norm and q|k|v. Shared with decoding, which attends to a cache. */
export function beforeAttention(decoder: Decoder, layer: DecoderLayer, lora: BlockLora<LoraWeight>, input: BlockInput) {
  const { ops, config } = decoder;
  const attentionNorm = ops.rmsNorm(input.residual, input.branch, layer.attentionNorm, config.rmsNormEpsilon);
  return { attentionNorm, qkv: ops.linear(attentionNorm.normed, layer.qkv, lora.qkv) };
}

/** The part of a block after attention: output projection and feed-forward, each added to the residual stream. */
export function afterAttention(
  decoder: Decoder,
  layer: DecoderLayer,
  lora: BlockLora<LoraWeight>,
  residual: Tensor,
  attended: Tensor,
) {
  const { ops, config } = decoder;
  const epsilon = config.rmsNormEpsilon;
  const output = ops.linear(attended, layer.output, lora.output);
  const postAttention = layer.postAttentionNorm && ops.rmsNorm(null, output.y, layer.postAttentionNorm, epsilon);
  const feedforwardNorm = ops.rmsNorm(residual, postAttention?.normed ?? output.y, layer.feedforwardNorm, epsilon);
  const gateUp = ops.linear(feedforwardNorm.normed, layer.gateUp, lora.gateUp);
  const down = ops.linear(ops.gated(gateUp.y, config.activation), layer.down, lora.down);
  const postFeedforward = layer.postFeedforwardNorm && ops.rmsNorm(null, down.y, layer.postFeedforwardNorm, epsilon);
  const next: BlockInput = { residual: feedforwardNorm.sum, branch: postFeedforward?.normed ?? down.y };
  return { next, output, postAttention, feedforwardNorm, gateUp, down, postFeedforward };
}

/**
 * One transformer block over a packed batch.
 * @param rows in the last block: the rows that matter after attention; null: all
 * @param onRotated sees q|k|v after rope (to fill a cache)
 */
export function blockForward(
  decoder: Decoder,
  layer: DecoderLayer,
  lora: BlockLora<LoraWeight>,
  input: BlockInput,
  batch: BatchTensors,
  rows: Tensor | null,
  onRotated?: (rotated: Tensor) => void,
): { next: BlockInput; state: BlockState } {
  const { ops } = decoder;
  const { attentionNorm, qkv } = beforeAttention(decoder, layer, lora, input);
  const rotated = ops.rope(qkv.y, batch.positions, layer.attention, layer.rope);
  onRotated?.(rotated);
  const { output: attended, logSumExp } = ops.attention(rotated, batch.segments, layer.attention);
  const attendedRows = rows === null ? attended : ops.gatherRows(attended, rows);
  const residual = rows === null ? attentionNorm.sum : ops.gatherRows(attentionNorm.sum, rows);
  const after = afterAttention(decoder, layer, lora, residual, attendedRows);
  const norm = (n: Norm | null): Norm | null => n && { sum: n.sum, inverseRms: n.inverseRms };
  return {
    next: after.next,
    state: {
      attentionNorm,
      qkv: layer.rope.queryNorm === null ? null : qkv.y,
      rotated,
      attended,
      logSumExp,
      attendedRows,
      postAttention: norm(after.postAttention),
      feedforwardNorm: after.feedforwardNorm,
      gateUp: after.gateUp.y,
      postFeedforward: norm(after.postFeedforward),
      projected: {
        qkv: qkv.projected,
        output: after.output.projected,
        gateUp: after.gateUp.projected,
        down: after.down.projected,
      },
    },
  };
}

/** What a training pass keeps of a block: all that its backward reads, or only the input to compute it again from. */
export type KeptBlock = { readonly state: BlockState } | { readonly input: BlockInput };

/**
 * All blocks, then the final norm on the scored rows.
 * @returns hidden T [M, D] and its norm's state; `blocks` only when training
 */
export function forwardHidden(
  decoder: Decoder,
  batch: BatchTensors,
  lora: ActiveLora | null,
  training: { readonly recompute: boolean } | null,
  onRotated?: (layer: number, rotated: Tensor) => void,
): { hidden: Tensor; finalNorm: Norm; blocks: KeptBlock[] } {
  const { ops, config, layers } = decoder;
  const last = layers.length - 1;
  const blocks: KeptBlock[] = [];
  let input: BlockInput = { residual: ops.embed(decoder.embedding, batch.ids, config.embeddingScale), branch: null };
  layers.forEach((layer, index) => {
    const rows = index === last ? batch.rows : null;
    const { next, kept } = scope(() => {
      const { next, state } = blockForward(decoder, layer, lora?.blocks[index] ?? NO_LORA, input, batch, rows, (rotated) =>
        onRotated?.(index, rotated),
      );
      return { next, kept: training && (training.recompute ? { input } : { state }) };
    });
    if (kept !== null) blocks.push(kept);
    // A kept state holds the residual that entered the block: it is the sum of the norm before it.
    if (!training?.recompute) free(input.branch);
    if (training === null) free(input.residual);
    input = next;
  });
  const final = ops.rmsNorm(input.residual, input.branch, decoder.finalNorm, config.rmsNormEpsilon);
  return { hidden: final.normed, finalNorm: { sum: final.sum, inverseRms: final.inverseRms }, blocks };
}

/** Rows of logits that are computed at once: at most this many bytes of float32. */
const LOGIT_BYTES = 64 * 2 ** 20;
/** Logits that a training pass may keep for its backward: more are computed again there. */
const KEPT_LOGIT_BYTES = 256 * 2 ** 20;
/** Activations that a training pass may keep before it switches to recomputation. */
const KEPT_BYTES = 2 * 2 ** 30;

interface HeadChunk {
  readonly start: number;
  readonly count: number;
  readonly targets: Tensor;
  readonly logSumExp: Tensor;
  /** Null: computed again in the backward. */
  readonly logits: Tensor | null;
}

/** A training pass between its forward and its backward. Owns its tensors until `free`. */
export interface ForwardPass {
  readonly batch: PackedBatch;
  readonly tensors: BatchTensors;
  readonly temperature: number;
  /** Negative log-likelihood of each scored token, in the batch's order. */
  readonly nll: Float32Array;
  readonly hidden: Tensor;
  readonly finalNorm: Norm;
  readonly blocks: KeptBlock[];
  readonly head: readonly HeadChunk[];
  free(): void;
}

export interface ForwardOptions {
  /** Logits are divided by it (GRPO's rollouts are sampled at one). Default 1. */
  readonly temperature?: number;
  /** Keep what the backward needs. Default false: only `nll` is of use then. */
  readonly training?: boolean;
  /** Keep block inputs only. Default: when the kept activations would pass 2 GiB. */
  readonly recompute?: boolean;
}

/** Scores the batch: one negative log-likelihood a scored token. Call `free` on the result, also after its backward. */
export function forward(
  decoder: Decoder,
  batch: PackedBatch,
  lora: ActiveLora | null,
  options: ForwardOptions = {},
): ForwardPass {
  const { temperature = 1, training = false } = options;
  const recompute = options.recompute ?? batch.tokenCount * keptBytesPerToken(decoder) > KEPT_BYTES;
  const pass = scope(() => {
    const tensors = uploadBatch(decoder, batch);
    const { hidden, finalNorm, blocks } = forwardHidden(decoder, tensors, lora, training ? { recompute } : null);
    const { nll, head } = headForward(decoder, hidden, batch.targets, temperature, training);
    return { batch, tensors, temperature, nll, hidden, finalNorm, blocks, head };
  });
  const owned = new Set(tensorsIn(pass));
  for (const tensor of owned) keep(tensor);
  return { ...pass, free: () => owned.forEach((tensor) => tensor.free()) };
}

function headForward(
  decoder: Decoder,
  hidden: Tensor,
  targets: Int32Array,
  temperature: number,
  training: boolean,
): { nll: Float32Array; head: HeadChunk[] } {
  const { ops, config } = decoder;
  const rowBytes = 4 * config.vocabSize;
  const chunkRows = Math.max(1, Math.floor(LOGIT_BYTES / rowBytes));
  const keepsLogits = targets.length * rowBytes <= KEPT_LOGIT_BYTES;
  const nll = new Float32Array(targets.length);
  const head: HeadChunk[] = [];
  for (let start = 0; start < targets.length; start += chunkRows) {
    const count = Math.min(chunkRows, targets.length - start);
    const chunk = scope(() => {
      const ids = ops.device.upload(targets.subarray(start, start + count), [count]);
      const logits = headLogits(decoder, hidden, start, count);
      const result = ops.crossEntropy(logits, ids, temperature);
      nll.set(ops.device.download(result.nll), start);
      return training ? { start, count, targets: ids, logSumExp: result.logSumExp, logits: keepsLogits ? logits : null } : null;
    });
    if (chunk !== null) head.push(chunk);
  }
  return { nll, head };
}

/** float32 logits of `count` hidden rows from `start`. */
export function headLogits(decoder: Decoder, hidden: Tensor, start = 0, count = hidden.shape[0]): Tensor {
  const { ops } = decoder;
  if (start === 0 && count === hidden.shape[0]) return ops.linear(hidden, decoder.head, null, "float32").y;
  return scope(() => {
    const rows = ops.device.upload(
      Int32Array.from({ length: count }, (_, i) => start + i),
      [count],
    );
    return ops.linear(ops.gatherRows(hidden, rows), decoder.head, null, "float32").y;
  });
}

/** What blockForward keeps for one token over all layers, LoRA's projections left out. */
function keptBytesPerToken(decoder: Decoder): number {
  const { config, ops } = decoder;
  const t = ops.precision === "bfloat16" ? 2 : 4;
  const qkv = (config.headCount + 2 * config.kvHeadCount) * config.headDim * (config.qkNorm ? 2 : 1);
  const streams = config.postNorms ? 4 : 2;
  const perLayer =
    4 * config.hiddenSize * streams +
    t * (2 * config.hiddenSize + qkv + config.headCount * config.headDim + 2 * config.intermediateSize);
  return perLayer * config.layerCount;
}
