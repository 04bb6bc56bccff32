/**
 * The backward pass, written out block by block. Frozen weights get no gradient; LoRA factors do, into one flat vector.
 *
 * A loss is a function of the negative log-likelihoods of the scored tokens: SFT, DPO and GRPO differ only in the weights
 * d(loss)/d(nll) that they hand in here.
 */
import type { BlockLora, GradientVector, LoraWeight } from "../tensor/ops.js";
import { free, scope, TensorError, type Tensor } from "../tensor/tensor.js";
import type { Decoder, DecoderLayer } from "./decoder.js";
import { blockForward, headLogits, NO_LORA, type BatchTensors, type BlockState, type ForwardPass } from "./forward.js";
import type { ActiveLora } from "./lora.js";

/** The gradient that flows from block to block: of the residual stream, in float32 and as the activation type. */
interface StreamGradient {
  readonly residual: Tensor;
  readonly branch: Tensor;
}

/**
 * Adds d(Σ weights·nll)/d(LoRA factors) to `gradient`.
 * @param weights one a scored token: d(loss)/d(nll)
 */
export function backward(
  decoder: Decoder,
  pass: ForwardPass,
  lora: ActiveLora,
  weights: Float32Array,
  gradient: GradientVector,
): void {
  if (weights.length !== pass.nll.length)
    throw new TensorError(`backward got ${weights.length} weights for ${pass.nll.length} scored tokens`);
  if (pass.blocks.length === 0) throw new TensorError("backward needs a forward pass made with training: true");
  const lowest = lora.blocks.findIndex((block) => Object.values(block).some((weight) => weight !== null));
  scope(() => {
    let stream = headBackward(decoder, pass, weights);
    for (let index = decoder.layers.length - 1; index >= lowest; index--) {
      const next = scope(() => layerBackward(decoder, pass, lora, index, stream, gradient, index > lowest));
      free(stream.residual, stream.branch);
      if (next === null) return;
      stream = next;
    }
  });
}

function headBackward(decoder: Decoder, pass: ForwardPass, weights: Float32Array): StreamGradient {
  const { ops } = decoder;
  return scope(() => {
    const chunks = pass.head.map((chunk) =>
      scope(() => {
        const chunkWeights = ops.device.upload(weights.subarray(chunk.start, chunk.start + chunk.count), [chunk.count]);
        const logits = chunk.logits ?? headLogits(decoder, pass.hidden, chunk.start, chunk.count);
        const dLogits = ops.crossEntropyGradient(logits, chunk.targets, chunk.logSumExp, chunkWeights, pass.temperature);
        return ops.linearGradient(dLogits, decoder.head, null).dx;
      }),
    );
    const dHidden = chunks.length === 1 ? chunks[0] : joinRows(decoder, chunks);
    return ops.rmsNormGradient(pass.finalNorm.sum, pass.finalNorm.inverseRms, decoder.finalNorm, dHidden, null);
  });
}

/** Chunks exist only where the logits are too many to hold at once; what they leave is small, so it may pass through the host. */
function joinRows(decoder: Decoder, chunks: readonly Tensor[]): Tensor {
  const { ops } = decoder;
  const width = chunks[0].shape[1];
  const total = chunks.reduce((sum, chunk) => sum + chunk.shape[0], 0);
  const values = new Float32Array(total * width);
  let row = 0;
  for (const chunk of chunks) {
    values.set(ops.device.download(chunk), row * width);
    row += chunk.shape[0];
  }
  return ops.device.upload(values, [total, width], ops.precision);
}

function layerBackward(
  decoder: Decoder,
  pass: ForwardPass,
  lora: ActiveLora,
  index: number,
  stream: StreamGradient,
  gradient: GradientVector,
  goOn: boolean,
): StreamGradient | null {
  const layer = decoder.layers[index];
  const rows = index === decoder.layers.length - 1 ? pass.tensors.rows : null;
  const block = pass.blocks[index];
  const weights = lora.blocks[index] ?? NO_LORA;
  const state = "state" in block ? block.state : blockForward(decoder, layer, weights, block.input, pass.tensors, rows).state;
  return blockBackward(decoder, layer, weights, state, pass.tensors, rows, stream, gradient, goOn);
}

/** @param goOn whether the gradient of the block's input is wanted */
function blockBackward(
  decoder: Decoder,
  layer: DecoderLayer,
  lora: BlockLora<LoraWeight>,
  state: BlockState,
  batch: BatchTensors,
  rows: Tensor | null,
  stream: StreamGradient,
  gradient: GradientVector,
  goOn: boolean,
): StreamGradient | null {
  const { ops, config } = decoder;
  const addLora = (name: keyof BlockLora<LoraWeight>, x: Tensor, dy: Tensor, dProjected: Tensor | null): void => {
    const weight = lora[name];
    if (weight !== null && dProjected !== null)
      ops.addLoraGradient(gradient, weight.layout, x, state.projected[name]!, dy, dProjected);
  };
  const postNorm = (norm: { sum: Tensor; inverseRms: Tensor } | null, weight: Tensor | null, dNormed: Tensor): Tensor =>
    norm === null || weight === null ? dNormed : ops.rmsNormGradient(norm.sum, norm.inverseRms, weight, dNormed, null).branch;

  const dDown = postNorm(state.postFeedforward, layer.postFeedforwardNorm, stream.branch);
  const down = ops.linearGradient(dDown, layer.down, lora.down);
  const gated = ops.gatedGradient(state.gateUp, down.dx, config.activation);
  addLora("down", gated.output, dDown, down.dProjected);

  const { sum, inverseRms, normed } = state.feedforwardNorm;
  const gateUp = ops.linearGradient(gated.dGateUp, layer.gateUp, lora.gateUp);
  addLora("gateUp", normed, gated.dGateUp, gateUp.dProjected);
  const dFeedforward = ops.rmsNormGradient(sum, inverseRms, layer.feedforwardNorm, gateUp.dx, stream.residual);

  const dOutput = postNorm(state.postAttention, layer.postAttentionNorm, dFeedforward.branch);
  const output = ops.linearGradient(dOutput, layer.output, lora.output);
  addLora("output", state.attendedRows, dOutput, output.dProjected);
  const count = batch.ids.shape[0];
  const dAttended = rows === null ? output.dx : ops.cast(ops.scatterRows(output.dx, rows, count));
  const dResidual = rows === null ? dFeedforward.residual : ops.scatterRows(dFeedforward.residual, rows, count);

  const dRotated = ops.attentionGradient(
    state.rotated,
    batch.segments,
    layer.attention,
    state.attended,
    state.logSumExp,
    dAttended,
  );
  const dQkv = ops.ropeGradient(dRotated, state.qkv ?? state.rotated, batch.positions, layer.attention, layer.rope);
  const qkv = ops.linearGradient(dQkv, layer.qkv, lora.qkv);
  addLora("qkv", state.attentionNorm.normed, dQkv, qkv.dProjected);
  if (!goOn) return null;
  return ops.rmsNormGradient(state.attentionNorm.sum, state.attentionNorm.inverseRms, layer.attentionNorm, qkv.dx, dResidual);
}
