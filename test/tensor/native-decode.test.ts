import { describe, expect, it } from "vitest";
import { nativeOps } from "../../src/tensor/native.js";
import type { Activation, AttentionConfig, BlockWeights, DecodeRow, Precision } from "../../src/tensor/ops.js";
import { liveTensors, scope, TensorError, type Tensor } from "../../src/tensor/tensor.js";
import { decodeBlockCase } from "../native/decode-block-case.js";
import { decodeCase, FusedCases } from "../native/fused-cases.js";

const precisions: Precision[] = ["float32", "bfloat16"];
const config: AttentionConfig = { heads: 6, kvHeads: 2, headDim: 16, scale: 0.25, window: 0 };
const width = 160;

describe.each(precisions)("native decoding in %s", (precision) => {
  it("agrees with attention over whole sequences in 40 random worlds", () => {
    new FusedCases(precision, 21).run([decodeCase], 40);
  });

  it("computes 30 random blocks in one call each, to the bits of the ops one after the other", () => {
    new FusedCases(precision, 23).run([decodeBlockCase], 30);
  });

  it("gives a row the same bits whatever the batch", () => {
    const cases = new FusedCases(precision, 22);
    const { ops } = cases;
    const steps = Array.from({ length: 4 }, () => cases.activations(9 * width));
    const promptRows = cases.activations(33 * width);
    const frequencies = cases.activations(8);
    /** Rows `chosen` of every step, decoded together. */
    const run = (chosen: readonly number[]): Map<number, Float32Array[]> => {
      const [prompts, completions] = [ops.layerCache(1, 40, config), ops.layerCache(9, 4, config)];
      const results = new Map(chosen.map((row) => [row, [] as Float32Array[]]));
      scope(() => {
        const rope = { frequencies: cases.float(frequencies, 8), queryNorm: null, keyNorm: null, normEpsilon: 0 };
        ops.fillCache(prompts, cases.active(promptRows, 33, width), [{ start: 0, length: 33, slot: 0 }], config);
        for (const [length, tokens] of steps.entries()) {
          const x = Float32Array.from(chosen.flatMap((row) => [...tokens.subarray(row * width, (row + 1) * width)]));
          const rows: DecodeRow[] = chosen.map((slot) => ({ promptSlot: 0, promptLength: slot * 4, slot, length }));
          const output = ops.decodeAttention(cases.active(x, chosen.length, width), prompts, completions, rows, config, rope);
          const values = ops.device.download(output) as Float32Array;
          chosen.forEach((row, i) => results.get(row)!.push(values.slice(i * 96, (i + 1) * 96)));
        }
      });
      prompts.free();
      completions.free();
      return results;
    };
    const together = run([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    for (const row of [0, 5, 8]) expect(run([row]).get(row)).toEqual(together.get(row));
    expect(run([7, 3]).get(3)).toEqual(together.get(3));
  });
});

describe("native decoding", () => {
  it("rejects a block whose parts do not fit together, and leaves nothing behind", () => {
    const ops = nativeOps("float32");
    const before = liveTensors();
    const caches = { prompts: ops.layerCache(1, 4, config), completions: ops.layerCache(2, 4, config) };
    const run = (change: Partial<BlockWeights>, rows = 2, activation: Activation = "silu"): unknown => {
      const [vector, linear] = [
        (size: number) => ops.device.upload(new Float32Array(size).fill(1), [size]),
        (inputs: number, outputs: number) => ops.linearWeight(inputs, [{ weight: new Float32Array(inputs * outputs) }]),
      ];
      const weights: BlockWeights = {
        attentionNorm: vector(20),
        qkv: linear(20, width),
        rope: { frequencies: vector(8), queryNorm: null, keyNorm: null, normEpsilon: 0 },
        attention: config,
        output: linear(96, 20),
        postAttentionNorm: null,
        feedforwardNorm: vector(20),
        gateUp: linear(20, 60),
        down: linear(30, 20),
        postFeedforwardNorm: null,
        ...change,
      };
      const lora = { qkv: null, output: null, gateUp: null, down: null };
      const residual = ops.device.upload(new Float32Array(rows * 20), [rows, 20]);
      const places = Array.from({ length: 2 }, (_, slot) => ({ promptSlot: 0, promptLength: 0, slot, length: 0 }));
      const blocks = [{ weights, lora, ...caches }];
      return ops.decodeBlocks!({ residual, branch: null }, blocks, places, { rmsNormEpsilon: 1e-5, activation });
    };
    scope(() => void run({}));
    const linear = (inputs: number, outputs: number) =>
      ops.linearWeight(inputs, [{ weight: new Float32Array(inputs * outputs) }]);
    const wrong: [RegExp, () => unknown][] = [
      [/"residual".*\[2, 20\], got float32 \[3, 20\]/, () => run({}, 3)],
      [/"qkv_layout": expected a layer of 20 -> 160, got 20 -> 161/, () => run({ qkv: linear(20, 161) })],
      [/"output_layout": expected a layer of 96 -> 20, got 95 -> 20/, () => run({ output: linear(95, 20) })],
      [/"gate_up_layout": expected a layer of 20 -> 60, got 20 -> 30/, () => run({ gateUp: linear(20, 30) })],
      [/"down_layout": expected a layer of 30 -> 20, got 30 -> 96/, () => run({ down: linear(30, 96) })],
      [/"post_attention_norm".*\[20\], got float32 \[96\]/, () => run({ postAttentionNorm: ops.device.upload(new Float32Array(96), [96]) })], // prettier-ignore
      [/activation "relu"/, () => run({}, 2, "relu" as Activation)],
    ];
    for (const [message, call] of wrong) {
      expect(() => scope(() => void call()), String(message)).toThrow(TensorError);
      expect(() => scope(() => void call())).toThrow(message);
    }
    caches.prompts.free();
    caches.completions.free();
    expect(liveTensors()).toEqual(before);
  });

  it("rejects slots, lengths and shapes that do not fit, and leaves nothing behind", () => {
    const ops = nativeOps("float32");
    const { device } = ops;
    const f = (...shape: number[]): Tensor => device.upload(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
    const before = liveTensors();
    const [prompts, completions] = [ops.layerCache(2, 20, config), ops.layerCache(3, 5, config)];
    const narrow = ops.layerCache(2, 20, { ...config, heads: 1, kvHeads: 1 });
    const row = { promptSlot: 0, promptLength: 4, slot: 0, length: 0 };
    const on = (rows: readonly DecodeRow[], caches = [prompts, completions], more = {}): unknown => {
      const rope = { frequencies: f(8), queryNorm: null, keyNorm: null, normEpsilon: 0 };
      return ops.decodeAttention(f(2, width), caches[0], caches[1], rows, { ...config, ...more }, rope);
    };
    const fill = (start: number, length: number, slot: number): void => {
      ops.fillCache(prompts, f(30, width), [{ start, length, slot }], config);
    };
    const other = { ...row, slot: 1 };
    const wrong: [RegExp, () => unknown][] = [
      [/"rows".*\[2, 4\]/, () => on([row])],
      [/row 1: prompt slot 2 is outside \[0, 2\)/, () => on([row, { ...other, promptSlot: 2 }])],
      [/row 0: prompt length 33 is outside \[0, 33\)/, () => on([{ ...row, promptLength: 33 }, other])],
      [/row 1: prompt length -1/, () => on([row, { ...other, promptLength: -1 }])],
      [/row 1: slot 3 is outside \[0, 3\)/, () => on([row, { ...row, slot: 3 }])],
      [/row 1: slot 0 belongs to another row/, () => on([row, row])],
      [/slot 0 is full \(capacity 5\)/, () => on([{ ...row, length: 5 }, other])],
      [/row 0: length -1/, () => on([{ ...row, length: -1 }, other])],
      [/row 0: prompt slot 1 is written in this step/, () => on([{ ...row, promptSlot: 1 }, other], [completions, completions])],
      [/"frequencies".*\[4\]/, () => on([row, other], undefined, { headDim: 8 })],
      [/"prompt_keys".*\[any, 2, any, 16\]/, () => on([row, other], [narrow, completions])],
      [/"segments": row 0: rows \[20, 35\)/, () => { fill(20, 15, 0); }], // prettier-ignore
      [/"segments": row 0: slot 2/, () => { fill(0, 10, 2); }], // prettier-ignore
      [/21 tokens for slot 0 of capacity 20/, () => { fill(0, 21, 0); }], // prettier-ignore
      [/LayerCache.*positive/, () => ops.layerCache(0, 5, config)],
      [/LayerCache.*even/, () => ops.layerCache(1, 5, { ...config, headDim: 5 })],
      [/another op set/, () => on([row, other], [{ ...prompts, keys: undefined, values: undefined } as never, completions])],
    ];
    for (const [message, call] of wrong) {
      expect(() => scope(() => void call()), String(message)).toThrow(TensorError);
      expect(() => scope(() => void call())).toThrow(message);
    }
    for (const cache of [prompts, completions, narrow]) cache.free();
    expect(liveTensors()).toEqual(before);
  });
});
