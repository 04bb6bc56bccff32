import { describe, expect, it } from "vitest";
import { nativeOps } from "../../src/tensor/native.js";
import type { AttentionConfig, Precision } from "../../src/tensor/ops.js";
import { liveTensors, scope, TensorError, type Tensor } from "../../src/tensor/tensor.js";
import { attentionCase, checkAttention, FusedCases } from "../native/fused-cases.js";
import * as reference from "./reference.js";

const precisions: Precision[] = ["float32", "bfloat16"];
const config: AttentionConfig = { heads: 6, kvHeads: 2, headDim: 16, scale: 0.25, window: 0 };
const width = (config.heads + 2 * config.kvHeads) * config.headDim;

describe("the float64 reference", () => {
  it("has the gradient that finite differences of its forward show", () => {
    const cases = new FusedCases("float32", 1);
    const segments = [0, 5, 0, 0, 5, 4, 0, 3];
    const small = { ...config, headDim: 4, window: 4 };
    const qkv = Float64Array.from(cases.activations(9 * 40));
    const [direction, dOutput] = [cases.activations(qkv.length), cases.activations(9 * 24)];
    const loss = (x: Float64Array): number =>
      reference.attention(x, segments, small).output.reduce((sum, value, i) => sum + value * dOutput[i], 0);
    const moved = (step: number): Float64Array => qkv.map((x, i) => x + step * direction[i]);
    const slope = (loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5;
    const gradient = reference.attentionGradient(qkv, segments, small, dOutput);
    expect(gradient.reduce((sum, g, i) => sum + g * direction[i], 0)).toBeCloseTo(slope, 7);
  });
});

describe.each(precisions)("native attention in %s", (precision) => {
  it("agrees with float64 loops on 60 random shapes, forward and backward", () => {
    new FusedCases(precision, 3).run([attentionCase], 60);
  });

  it.each([
    ["beyond the key block", 700, 0, [0, 700, 0, 0]],
    ["with a window that starts inside a block", 700, 300, [0, 400, 0, 0, 400, 300, 0, 390]],
  ])("agrees on long segments %s", (_, rows, window, segments) => {
    const cases = new FusedCases(precision, 4);
    const long = { ...config, heads: 2, kvHeads: 1, window };
    const activations = [cases.activations(rows * 64), cases.activations(rows * 32)] as const;
    scope(() => {
      checkAttention(cases, long, segments, rows, ...activations, "long");
    });
  });

  /** Attention and its gradient on some rows of one long random batch. */
  const cases = new FusedCases(precision, 5);
  const [all, allGradients] = [cases.activations(400 * width), cases.activations(400 * 96)];
  function run(segments: readonly number[], rows: number, from = 0): Float32Array[] {
    const { ops } = cases;
    return scope(() => {
      const qkv = cases.active(all.slice(from * width, (from + rows) * width), rows, width);
      const dOutput = cases.active(allGradients.slice(from * 96, (from + rows) * 96), rows, 96);
      const table = cases.ints(segments, segments.length / 4, 4);
      const { output, logSumExp } = ops.attention(qkv, table, config);
      const gradient = ops.attentionGradient(qkv, table, config, output, logSumExp, dOutput);
      return [output, gradient].map((tensor) => ops.device.download(tensor) as Float32Array);
    });
  }

  it("gives a segment the same bits whatever is packed beside it", () => {
    const [output, gradient] = run([0, 37, 0, 0, 37, 300, 0, 0, 340, 60, 0, 0], 400);
    const alone = run([0, 300, 0, 0], 300, 37);
    expect(alone[0]).toEqual(output.slice(37 * 96, 337 * 96));
    expect(alone[1]).toEqual(gradient.slice(37 * width, 337 * width));
  });

  it("gives rows of no segment zeros", () => {
    const [output, gradient] = run([2, 3, 0, 1, 7, 2, 0, 0], 10);
    for (const row of [0, 1, 5, 6, 9]) expect(output.slice(row * 96, (row + 1) * 96).every((x) => x === 0)).toBe(true);
    expect(gradient.slice(1 * width, 2 * width).every((x) => x === 0)).toBe(true);
    // Row 0 is the prefix of a segment: no query, but its key and value have gradients.
    expect(gradient.slice(0, 96).every((x) => x === 0)).toBe(true);
    expect(gradient.slice(96, width).some((x) => x !== 0)).toBe(true);
  });

  it("takes 2,500 tokens in one segment, finite and without a matrix of all pairs", () => {
    const { ops } = cases;
    const rows = 2500;
    scope(() => {
      const big = { heads: 2, kvHeads: 1, headDim: 64, scale: 0.125, window: 0 };
      const qkv = cases.active(cases.activations(rows * 256), rows, 256);
      const table = cases.ints([0, rows, 0, 0], 1, 4);
      const { output, logSumExp } = ops.attention(qkv, table, big);
      const gradient = ops.attentionGradient(qkv, table, big, output, logSumExp, output);
      expect((ops.device.download(gradient) as Float32Array).every(Number.isFinite)).toBe(true);
    });
  });

  it("lets a NaN reach every row that sees it, and no other", () => {
    const { ops } = cases;
    scope(() => {
      const x = all.slice(0, 6 * width);
      x[2 * width + 96] = NaN;
      const qkv = cases.active(x, 6, width);
      const { output } = ops.attention(qkv, cases.ints([0, 4, 0, 0, 4, 2, 0, 0], 2, 4), config);
      const values = ops.device.download(output) as Float32Array;
      const spoiled = [0, 1, 2, 3, 4, 5].map((row) => values.slice(row * 96, row * 96 + 16).some(Number.isNaN));
      expect(spoiled).toEqual([false, false, true, true, false, false]);
    });
  });
});

describe("native attention", () => {
  it("rejects segments that do not fit, naming the segment, and leaves nothing behind", () => {
    const ops = nativeOps("float32");
    const { device } = ops;
    const f = (...shape: number[]): Tensor => device.upload(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
    const segments = (...x: number[]): Tensor => device.upload(Int32Array.from(x), [x.length / 4, 4]);
    const on = (...x: number[]): unknown => ops.attention(f(8, width), segments(...x), config);
    const wrong: [RegExp, () => unknown][] = [
      [/"segments".*segment 0: queries \[0, 9\).*8 rows/, () => on(0, 9, 0, 0)],
      [/segment 1: queries \[-1, 1\)/, () => on(0, 1, 0, 0, -1, 2, 0, 0)],
      [/segment 0: queries \[4, 2\)/, () => on(4, -2, 0, 0)],
      [/segment 0: queries \[2147483647, /, () => on(2147483647, 2147483647, 0, 0)],
      [/segment 0: prefix \[6, 9\)/, () => on(0, 2, 6, 3)],
      [/segment 0: prefix \[1, 3\) overlaps/, () => on(2, 4, 1, 2)],
      [/segment 1: row 3 is a query of another segment/, () => on(0, 4, 0, 0, 3, 2, 0, 0)],
      [/"qkv".*\[any, 160\]/, () => ops.attention(f(8, width + 1), segments(0, 8, 0, 0), config)],
      [/"geometry".*multiple/, () => ops.attention(f(8, width), segments(0, 8, 0, 0), { ...config, heads: 5 })],
      [/"geometry".*window/, () => ops.attention(f(8, width), segments(0, 8, 0, 0), { ...config, window: -1 })],
      [/"scale".*not finite/, () => ops.attention(f(8, width), segments(0, 8, 0, 0), { ...config, scale: Infinity })],
      [/"log_sum_exp"/, () => ops.attentionGradient(f(8, width), segments(0, 8, 0, 0), config, f(8, 96), f(6, 7), f(8, 96))],
      [/"d_output"/, () => ops.attentionGradient(f(8, width), segments(0, 8, 0, 0), config, f(8, 96), f(6, 8), f(8, 95))],
    ];
    const before = liveTensors();
    for (const [message, call] of wrong) {
      expect(() => scope(() => void call()), String(message)).toThrow(TensorError);
      expect(() => scope(() => void call())).toThrow(message);
    }
    expect(liveTensors()).toEqual(before);
  });
});
