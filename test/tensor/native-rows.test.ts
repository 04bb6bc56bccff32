import { describe, expect, it } from "vitest";
import { nativeOps } from "../../src/tensor/native.js";
import type { Precision } from "../../src/tensor/ops.js";
import { liveTensors, scope, TensorError, type Tensor } from "../../src/tensor/tensor.js";
import { FusedCases, ROW_CASES } from "../native/fused-cases.js";

const precisions: Precision[] = ["float32", "bfloat16"];

describe.each(precisions)("native row ops in %s", (precision) => {
  it("agree with float64 loops on 40 random shapes each", () => {
    new FusedCases(precision, 1).run(ROW_CASES, 40);
  });

  it("keep a row's bits whatever the rows beside it", () => {
    const cases = new FusedCases(precision, 2);
    const { ops } = cases;
    const [rows, width] = [67, 100];
    const [x, weight] = [cases.activations(rows * width), cases.activations(width)];
    const rowwise = (from: number, to: number): Float32Array[] =>
      scope(() => {
        const part = cases.active(x.slice(from * width, to * width), to - from, width);
        const results = [ops.rmsNorm(null, part, cases.float(weight, width), 1e-6).normed, ops.gated(part, "silu")];
        return results.map((tensor) => ops.device.download(tensor) as Float32Array);
      });
    const together = rowwise(0, rows);
    for (const row of [0, 31, 66]) {
      const alone = rowwise(row, row + 1);
      alone.forEach((values, i) => {
        expect(values).toEqual(together[i].slice(row * values.length, (row + 1) * values.length));
      });
    }
  });

  it("gather and scatter rows, adding where a row is named twice", () => {
    const ops = nativeOps(precision);
    const { device } = ops;
    scope(() => {
      const x = ops.cast(device.upload(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]));
      const rows = device.upload(Int32Array.of(2, 0, 2), [3]);
      const picked = ops.gatherRows(x, rows);
      expect(picked.dtype).toBe(precision);
      expect([...device.download(picked)]).toEqual([5, 6, 1, 2, 5, 6]);
      const added = ops.scatterRows(picked, rows, 4);
      expect(added.dtype).toBe("float32");
      expect([...device.download(added)]).toEqual([1, 2, 0, 0, 10, 12, 0, 0]);
    });
  });

  it("propagate NaN and infinity", () => {
    const ops = nativeOps(precision);
    const { device } = ops;
    scope(() => {
      const gateUp = ops.cast(device.upload(Float32Array.of(NaN, 100, -100, Infinity, 1, 2, 3, 1), [1, 8]));
      for (const activation of ["silu", "gelu_tanh"] as const) {
        const [a, b, c, d] = device.download(ops.gated(gateUp, activation)) as Float32Array;
        expect([Number.isNaN(a), b, Math.abs(c), d]).toEqual([true, 200, expect.closeTo(0, 6), Infinity]);
      }
      const row = device.upload(Float32Array.of(1, NaN, 2, 1, 1, 1), [2, 3]);
      const { normed } = ops.rmsNorm(row, null, device.upload(Float32Array.of(1, 1, 1), [3]), 0);
      expect([...device.download(normed)].map(Number.isNaN)).toEqual([true, true, true, false, false, false]);
    });
  });
});

describe("native row ops", () => {
  it("round to bfloat16 as IEEE does: to nearest, ties to even, NaN kept", () => {
    const ops = nativeOps("bfloat16");
    const { device } = ops;
    const bits = Uint32Array.of(0x3f808000, 0x3f818000, 0x3f808001, 0x7fffffff, 0x7f7fffff, 0xff800000);
    const floats = new Float32Array(bits.buffer);
    scope(() => {
      const rounded = device.download(ops.cast(device.upload(floats, [1, 6]))) as Float32Array;
      const out = new Uint32Array(Float32Array.from(rounded).buffer);
      expect([...out.slice(0, 3)]).toEqual([0x3f800000, 0x3f820000, 0x3f810000]);
      expect([Number.isNaN(rounded[3]), rounded[4], rounded[5]]).toEqual([true, Infinity, -Infinity]);
    });
  });

  it("have an exponential of 2 ulp: SiLU over the whole range of floats", () => {
    const ops = nativeOps("float32");
    const { device } = ops;
    const count = 40_001;
    const gates = Float32Array.from({ length: count }, (_, i) => -87 + (174 * i) / (count - 1));
    const gateUp = new Float32Array(2 * count).fill(1);
    gateUp.set(gates);
    scope(() => {
      const result = device.download(ops.gated(device.upload(gateUp, [1, 2 * count]), "silu")) as Float32Array;
      let worst = 0;
      gates.forEach((x, i) => {
        const exact = x / (1 + Math.exp(-x));
        if (Math.abs(exact) > 1e-35) worst = Math.max(worst, Math.abs(result[i] / exact - 1) / 2 ** -24);
      });
      // Two more roundings (the quotient and the product) come on top of the exponential's.
      expect(worst).toBeLessThan(6);
    });
  });

  it("reject what does not fit, naming op and input, and leave nothing behind", () => {
    const ops = nativeOps("float32");
    const { device } = ops;
    const f = (...shape: number[]): Tensor => device.upload(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
    const ints = (...x: number[]): Tensor => device.upload(Int32Array.from(x), [x.length]);
    const config = { heads: 2, kvHeads: 1, headDim: 4, scale: 1, window: 0 };
    const rope = (n: number): Parameters<typeof ops.rope>[3] => ({
      frequencies: f(n),
      queryNorm: null,
      keyNorm: null,
      normEpsilon: 0,
    });
    const wrong: [RegExp, () => unknown][] = [
      [/rmsNorm.*both null/, () => ops.rmsNorm(null, null, f(4), 0)],
      [/RmsNorm.*"branch".*\[2, 4\].*got float32 \[3, 4\]/, () => ops.rmsNorm(f(2, 4), f(3, 4), f(4), 0)],
      [/RmsNorm.*"residual".*\[any, 5\]/, () => ops.rmsNorm(f(2, 4), null, f(5), 0)],
      [/RmsNorm.*"epsilon".*not finite/, () => ops.rmsNorm(f(2, 4), null, f(4), NaN)],
      [/RmsNormGradient.*"inverse_rms"/, () => ops.rmsNormGradient(f(2, 4), f(3), f(4), f(2, 4), null)],
      [/Rope.*"positions".*-1 at index 1/, () => ops.rope(f(2, 16), ints(0, -1), config, rope(2))],
      [/Rope.*"positions".*\[2\]/, () => ops.rope(f(2, 16), ints(0), config, rope(2))],
      [/Rope.*"frequencies"/, () => ops.rope(f(2, 16), ints(0, 0), config, rope(3))],
      [/Rope.*"qkv".*\[any, 16\]/, () => ops.rope(f(2, 15), ints(0, 0), config, rope(2))],
      [/Rope.*"geometry".*multiple/, () => ops.rope(f(2, 16), ints(0, 0), { ...config, heads: 3, kvHeads: 2 }, rope(2))],
      [/Rope.*"geometry".*even/, () => ops.rope(f(2, 20), ints(0, 0), { ...config, headDim: 5 }, rope(2))],
      [/Gated.*as many gates/, () => ops.gated(f(2, 5), "silu")],
      [/GatedGradient.*"d_output"/, () => ops.gatedGradient(f(2, 6), f(2, 4), "silu")],
      [/activation "relu"/, () => ops.gated(f(2, 6), "relu" as "silu")],
      [/GatherRows.*"rows".*value 2 at index 0/, () => ops.gatherRows(f(2, 3), ints(2))],
      [/ScatterRows.*"rows".*value 3 at index 1/, () => ops.scatterRows(f(2, 3), ints(0, 3), 3)],
      [/ScatterRows.*negative/, () => ops.scatterRows(f(0, 3), ints(), -1)],
    ];
    const before = liveTensors();
    for (const [message, call] of wrong) {
      expect(() => scope(() => void call()), String(message)).toThrow(TensorError);
      expect(() => scope(() => void call())).toThrow(message);
    }
    expect(liveTensors()).toEqual(before);
  });

  it("take zero rows", () => {
    const ops = nativeOps("bfloat16");
    const { device } = ops;
    scope(() => {
      const none = device.upload(new Float32Array(0), [0, 4]);
      expect(ops.gated(device.upload(new Float32Array(0), [0, 4], "bfloat16"), "silu").shape).toEqual([0, 2]);
      expect(() => ops.rmsNorm(none, null, device.upload(new Float32Array(4), [4]), 0)).toThrow(TensorError);
    });
  });
});
