/** Random blocks of a decode step: one call gives the bits that the ops give one after the other. See fused-cases.ts. */
import assert from "node:assert/strict";
import type { Activation, BlockInput, BlockLora, DecodeBlock, LinearWeight, LoraPart, LoraWeight } from "../../src/tensor/ops.js";
import { scope, type Tensor } from "../../src/tensor/tensor.js";
import { randomAttention, type FusedCases } from "./fused-cases.js";
import { pick, values } from "./random.js";

const CONFIG = { rmsNormEpsilon: 1e-5 };

export function decodeBlockCase(c: FusedCases): string {
  const { ops } = c;
  const attention = randomAttention(c);
  const [width, inner] = [c.integer(1, 80), c.integer(1, 70)];
  const activation = pick<Activation>(c.random, ["silu", "gelu_tanh"]);
  const promptLength = c.integer(0, 30);
  const slots = c.integer(1, 33);
  const shape = `slots ${slots}, width ${width}, inner ${inner}, prompt ${promptLength}, ${activation}, ${JSON.stringify(attention)}`;
  const layers = Array.from({ length: c.integer(1, 2) }, () => randomBlock(c, attention, width, inner));
  /** The same layers with caches of their own, so that both ways start from the same. */
  const open = (): DecodeBlock[] =>
    layers.map((layer) => ({
      ...layer,
      prompts: ops.layerCache(1, 30, attention),
      completions: ops.layerCache(slots, 3, attention),
    }));
  const ways = [open(), open()];
  if (promptLength > 0) {
    const wide = (attention.heads + 2 * attention.kvHeads) * attention.headDim;
    const prompt = c.active(c.activations(promptLength * wide), promptLength, wide);
    const segments = [{ start: 0, length: promptLength, slot: 0 }];
    for (const block of ways.flat()) ops.fillCache(block.prompts, prompt, segments, attention);
  }
  for (let length = 0; length < 3; length++) {
    const chosen = Array.from({ length: slots }, (_, slot) => slot).filter((slot) => slot === 0 || c.random() < 0.8);
    const rows = chosen.map((slot) => ({ promptSlot: 0, promptLength, slot, length })).reverse();
    scope(() => {
      const input = {
        residual: c.float(values(c.random, rows.length * width), rows.length, width),
        branch: c.random() < 0.5 ? c.active(c.activations(rows.length * width), rows.length, width) : null,
      };
      const together = ops.decodeBlocks!(input, ways[0], rows, { ...CONFIG, activation });
      const apart = ways[1].reduce<BlockInput>((entering, block) => blockByOps(c, entering, block, rows, activation), input);
      for (const part of ["residual", "branch"] as const) {
        const [one, other] = [together[part]!, apart[part]!].map((x) => ops.device.download(x) as Float32Array);
        assert.deepEqual(one, other, `${shape}: ${part} at length ${length}`);
        assert.ok(one.every(Number.isFinite), `${shape}: ${part} is not finite`);
        c.hash.update(new Uint8Array(one.buffer, one.byteOffset, one.byteLength));
      }
      // A caller may go on with its input.
      assert.ok(input.residual.isLive && input.branch?.isLive !== false);
    });
  }
  for (const { prompts, completions } of ways.flat()) {
    prompts.free();
    completions.free();
  }
  return shape;
}

function blockByOps(
  { ops }: FusedCases,
  input: BlockInput,
  { weights: w, lora, prompts, completions }: DecodeBlock,
  rows: Parameters<typeof ops.decodeAttention>[3],
  activation: Activation,
): BlockInput {
  const norm = (residual: Tensor | null, branch: Tensor | null, weight: Tensor) =>
    ops.rmsNorm(residual, branch, weight, CONFIG.rmsNormEpsilon);
  const before = norm(input.residual, input.branch, w.attentionNorm);
  const qkv = ops.linear(before.normed, w.qkv, lora.qkv).y;
  const attended = ops.decodeAttention(qkv, prompts, completions, rows, w.attention, w.rope);
  const output = ops.linear(attended, w.output, lora.output).y;
  const added = w.postAttentionNorm ? norm(null, output, w.postAttentionNorm).normed : output;
  const middle = norm(before.sum, added, w.feedforwardNorm);
  const gateUp = ops.linear(middle.normed, w.gateUp, lora.gateUp).y;
  const down = ops.linear(ops.gated(gateUp, activation), w.down, lora.down).y;
  return { residual: middle.sum, branch: w.postFeedforwardNorm ? norm(null, down, w.postFeedforwardNorm).normed : down };
}

/** Some projections with biases, some with LoRA, some blocks with the norms of Qwen 3 and Gemma 3. */
function randomBlock(
  c: FusedCases,
  attention: ReturnType<typeof randomAttention>,
  width: number,
  inner: number,
): Pick<DecodeBlock, "weights" | "lora"> {
  const { heads, kvHeads, headDim } = attention;
  const vector = (size: number): Tensor => c.float(values(c.random, size), size);
  const maybe = (size: number): Tensor | null => (c.random() < 0.5 ? vector(size) : null);
  const linear = (inputs: number, outputs: readonly number[]): LinearWeight => {
    const bias = c.random() < 0.5;
    return c.ops.linearWeight(
      inputs,
      outputs.map((size) => ({
        weight: values(c.random, inputs * size).map((x) => x / Math.sqrt(inputs)),
        bias: bias ? values(c.random, size) : null,
      })),
    );
  };
  const sizes: Record<keyof BlockLora<unknown>, [inputs: number, outputs: number[]]> = {
    qkv: [width, [heads * headDim, kvHeads * headDim, kvHeads * headDim]],
    output: [heads * headDim, [width]],
    gateUp: [width, [inner, inner]],
    down: [inner, [width]],
  };
  const weights = {
    attentionNorm: vector(width),
    qkv: linear(...sizes.qkv),
    rope: { frequencies: vector(headDim / 2), queryNorm: maybe(headDim), keyNorm: maybe(headDim), normEpsilon: 1e-6 },
    attention,
    output: linear(...sizes.output),
    postAttentionNorm: maybe(width),
    feedforwardNorm: vector(width),
    gateUp: linear(...sizes.gateUp),
    down: linear(...sizes.down),
    postFeedforwardNorm: maybe(width),
  };
  const lora = (name: keyof typeof sizes): LoraWeight | null => randomLora(c, ...sizes[name]);
  return { weights, lora: { qkv: lora("qkv"), output: lora("output"), gateUp: lora("gateUp"), down: lora("down") } };
}

function randomLora(c: FusedCases, inputs: number, outputs: readonly number[]): LoraWeight | null {
  const parts: LoraPart[] = [];
  let [offset, start] = [0, 0];
  for (const size of outputs) {
    const rank = c.integer(1, 18);
    if (c.random() < 0.6) {
      const offsetB = offset + rank * inputs;
      parts.push({ rank, offsetA: offset, offsetB, outputStart: start, outputEnd: start + size, scale: 0.5 });
      offset = offsetB + rank * size;
    }
    start += size;
  }
  if (parts.length === 0) return null;
  const parameters = c.float(
    values(c.random, offset).map((x) => x / 4),
    offset,
  );
  return c.ops.loraWeight(parameters, { inputs, outputs: start, parts }, false);
}
