/** Portable RMSNorm, rotary embedding with QK norm, and gated activation. All arithmetic is float32; results are rounded to T once. */
import { expect, expectPositive, expectRope, expectTensor, qkvWidth } from "./portable-checks.js";
import type { Activation, AttentionConfig, DecoderOps, Precision, RopeConfig } from "./ops.js";
import type { Primitives } from "./primitives.js";
import { scope, TensorError, type Tensor } from "./tensor.js";

type BlockOps = Pick<DecoderOps, "rmsNorm" | "rmsNormGradient" | "rope" | "ropeGradient" | "gated" | "gatedGradient">;

export function blockOps(p: Primitives, precision: Precision): BlockOps {
  const wide = (x: Tensor): Tensor => (x.dtype === "float32" ? x : p.cast(x, "float32"));
  const narrow = (x: Tensor): Tensor => (x.dtype === precision ? x : p.cast(x, precision));

  /** 1 / sqrt(mean(x²) + epsilon) over the last axis, which stays with length 1. */
  function inverseRms(x: Tensor, epsilon: number): Tensor {
    return p.rsqrt(p.add(p.divide(p.sumLast(p.square(x)), x.shape.at(-1)!), epsilon));
  }

  /** Of y = x r w with r = inverseRms(x): dx = r (w dy) - x r³ mean(w dy x). */
  function normGradient(x: Tensor, r: Tensor, weight: Tensor, dy: Tensor): Tensor {
    const scaled = p.multiply(dy, weight);
    const mean = p.divide(p.sumLast(p.multiply(scaled, x)), x.shape.at(-1)!);
    const pull = p.multiply(p.multiply(p.square(r), r), mean);
    return p.subtract(p.multiply(scaled, r), p.multiply(x, pull));
  }

  /** Columns of heads [first, first + heads) as float32 [N, heads, d]. */
  function takeHeads(qkv: Tensor, first: number, heads: number, headDim: number): Tensor {
    const rows = qkv.shape[0];
    return p.reshape(wide(p.slice(qkv, [0, first * headDim], [rows, heads * headDim])), [rows, heads, headDim]);
  }

  /** Rotates the pairs (j, j + d/2) of x [N, heads, d] by positions · frequencies; backwards for the gradient. */
  function rotate(x: Tensor, positions: Tensor, frequencies: Tensor, direction: 1 | -1): Tensor {
    const [rows, heads, d] = x.shape;
    const turns = p.multiply(p.reshape(p.cast(positions, "float32"), [rows, 1, 1]), p.reshape(frequencies, [1, 1, d / 2]));
    const cosine = p.cos(turns);
    const sine = direction === 1 ? p.sin(turns) : p.multiply(p.sin(turns), -1);
    const left = p.slice(x, [0, 0, 0], [rows, heads, d / 2]);
    const right = p.slice(x, [0, 0, d / 2], [rows, heads, d / 2]);
    return p.concat(
      [p.subtract(p.multiply(left, cosine), p.multiply(right, sine)), p.add(p.multiply(right, cosine), p.multiply(left, sine))],
      2,
    );
  }

  /** Maps queries and keys of qkv by `f`, leaves values; `norm` is the QK norm's weight of that part. */
  function mapQueriesAndKeys(
    qkv: Tensor,
    attention: AttentionConfig,
    rope: RopeConfig,
    f: (first: number, heads: number, norm: Tensor | null) => Tensor,
  ): Tensor {
    const { heads, kvHeads, headDim } = attention;
    const rows = qkv.shape[0];
    const flat = (x: Tensor): Tensor => narrow(p.reshape(x, [rows, x.shape[1] * headDim]));
    const values = p.slice(qkv, [0, (heads + kvHeads) * headDim], [rows, kvHeads * headDim]);
    if (!rope.queryNorm && !rope.keyNorm) return p.concat([flat(f(0, heads + kvHeads, null)), values], 1);
    return p.concat([flat(f(0, heads, rope.queryNorm)), flat(f(heads, kvHeads, rope.keyNorm)), values], 1);
  }

  return {
    rmsNorm(residual, branch, weight, epsilon) {
      const first = residual ?? branch;
      if (!first) throw new TensorError("rmsNorm: residual and branch must not both be null");
      expectTensor("rmsNorm", "weight", weight, "float32", ["D"]);
      const shape = [first.shape[0] || "N", weight.size];
      if (residual) expectTensor("rmsNorm", "residual", residual, "float32", shape);
      if (branch) expectTensor("rmsNorm", "branch", branch, precision, shape);
      expectPositive("rmsNorm", "epsilon", epsilon);
      return scope(() => {
        const sum = residual && branch ? p.add(residual, wide(branch)) : p.cast(first, "float32");
        const r = inverseRms(sum, epsilon);
        const normed = narrow(p.multiply(p.multiply(sum, r), weight));
        return { sum, normed, inverseRms: p.reshape(r, [r.size]) };
      });
    },

    rmsNormGradient(sum, inverse, weight, dNormed, dSum) {
      const op = "rmsNormGradient";
      const [rows, width] = expectTensor(op, "sum", sum, "float32", ["N", "D"]);
      expectTensor(op, "inverseRms", inverse, "float32", [rows]);
      expectTensor(op, "weight", weight, "float32", [width]);
      expectTensor(op, "dNormed", dNormed, precision, [rows, width]);
      if (dSum) expectTensor(op, "dSum", dSum, "float32", [rows, width]);
      return scope(() => {
        const own = normGradient(sum, p.reshape(inverse, [rows, 1]), weight, wide(dNormed));
        const residual = dSum ? p.add(own, dSum) : own;
        return { residual, branch: p.cast(residual, precision) };
      });
    },

    rope(qkv, positions, attention, rope) {
      expectRope("rope", attention, rope);
      const [rows] = expectTensor("rope", "qkv", qkv, precision, ["N", qkvWidth(attention)]);
      expectTensor("rope", "positions", positions, "int32", [rows]);
      return scope(() =>
        mapQueriesAndKeys(qkv, attention, rope, (first, heads, norm) => {
          const x = takeHeads(qkv, first, heads, attention.headDim);
          const normed = norm ? p.multiply(p.multiply(x, inverseRms(x, rope.normEpsilon)), norm) : x;
          return rotate(normed, positions, rope.frequencies, 1);
        }),
      );
    },

    ropeGradient(dRotated, qkv, positions, attention, rope) {
      const op = "ropeGradient";
      expectRope(op, attention, rope);
      const [rows] = expectTensor(op, "dRotated", dRotated, precision, ["N", qkvWidth(attention)]);
      if (rope.queryNorm || rope.keyNorm) expectTensor(op, "qkv", qkv, precision, [rows, qkvWidth(attention)]);
      expectTensor(op, "positions", positions, "int32", [rows]);
      return scope(() =>
        mapQueriesAndKeys(dRotated, attention, rope, (first, heads, norm) => {
          const dNormed = rotate(takeHeads(dRotated, first, heads, attention.headDim), positions, rope.frequencies, -1);
          if (!norm) return dNormed;
          const x = takeHeads(qkv, first, heads, attention.headDim);
          return normGradient(x, inverseRms(x, rope.normEpsilon), norm, dNormed);
        }),
      );
    },

    gated(gateUp, activation) {
      const [rows, half] = expectGateUp("gated", gateUp, activation);
      return scope(() => {
        const { gate, up } = split(gateUp, rows, half);
        return narrow(p.multiply(activate(gate, activation).value, up));
      });
    },

    gatedGradient(gateUp, dOutput, activation) {
      const [rows, half] = expectGateUp("gatedGradient", gateUp, activation);
      expectTensor("gatedGradient", "dOutput", dOutput, precision, [rows, half]);
      return scope(() => {
        const { gate, up } = split(gateUp, rows, half);
        const { value, slope } = activate(gate, activation);
        const d = wide(dOutput);
        const dGate = narrow(p.multiply(p.multiply(d, up), slope()));
        const dUp = narrow(p.multiply(d, value));
        return { dGateUp: p.concat([dGate, dUp], 1), output: narrow(p.multiply(value, up)) };
      });
    },
  };

  function expectGateUp(op: string, gateUp: Tensor, activation: Activation): [rows: number, half: number] {
    const [rows, width] = expectTensor(op, "gateUp", gateUp, precision, ["N", "2F"]);
    expect(width % 2 === 0, op, "gateUp's width", "even", width);
    expect(activation === "silu" || activation === "gelu_tanh", op, "activation", `"silu" or "gelu_tanh"`, activation);
    return [rows, width / 2];
  }

  function split(gateUp: Tensor, rows: number, half: number): { gate: Tensor; up: Tensor } {
    return { gate: wide(p.slice(gateUp, [0, 0], [rows, half])), up: wide(p.slice(gateUp, [0, half], [rows, half])) };
  }

  /** The activation of x and, when asked, its derivative. */
  function activate(x: Tensor, activation: Activation): { value: Tensor; slope: () => Tensor } {
    if (activation === "silu") {
      const s = p.sigmoid(x);
      const value = p.multiply(x, s);
      // s + x s (1 - s)
      return { value, slope: () => p.add(s, p.subtract(value, p.multiply(value, s))) };
    }
    // 0.5 x (1 + t), t = tanh(c (x + k x³))
    const c = Math.sqrt(2 / Math.PI);
    const k = 0.044715;
    const squared = p.square(x);
    const t = p.tanh(p.multiply(p.multiply(x, p.add(p.multiply(squared, k), 1)), c));
    const half = p.multiply(p.add(t, 1), 0.5);
    return {
      value: p.multiply(x, half),
      slope: () => {
        const inner = p.multiply(p.add(p.multiply(squared, 3 * k), 1), c / 2);
        const bend = p.subtract(inner, p.multiply(inner, p.square(t)));
        return p.add(half, p.multiply(x, bend));
      },
    };
  }
}
