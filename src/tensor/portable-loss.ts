/** Portable scored rows, cross-entropy in pieces of rows, AdamW and the gradient's norm. All arithmetic is float32. */
import { expect, expectFinite, expectIndices, expectInteger, expectPositive, expectTensor } from "./portable-checks.js";
import type { DecoderOps, Precision } from "./ops.js";
import type { Primitives } from "./primitives.js";
import { free, keep, scope, TensorError, type Tensor } from "./tensor.js";

type LossOps = Pick<
  DecoderOps,
  "gatherRows" | "scatterRows" | "cast" | "crossEntropy" | "crossEntropyGradient" | "adamW" | "squaredNorm"
>;

/** Logits are worked through in pieces of about this many values (64 MiB), at least one row. */
const PIECE_VALUES = 2 ** 24;

export function lossOps(p: Primitives, precision: Precision): LossOps {
  const { device } = p;

  /** Runs `body` on pieces of rows [from, from + count) and frees all but its results. */
  function inPieces<R>(rows: number, width: number, body: (from: number, count: number) => R): R[] {
    const step = Math.max(1, Math.floor(PIECE_VALUES / width));
    const results: R[] = [];
    for (let from = 0; from < rows; from += step) results.push(scope(() => body(from, Math.min(step, rows - from))));
    return results;
  }

  function someRows(x: Tensor, from: number, count: number): Tensor {
    return x.shape.length === 1 ? p.slice(x, [from], [count]) : p.slice(x, [from, 0], [count, x.shape[1]]);
  }

  return {
    gatherRows(x, rows) {
      if (x.dtype === "int32") throw new TensorError("gatherRows: x must be float32 or bfloat16, got int32");
      const [count] = expectTensor("gatherRows", "x", x, x.dtype, ["N", "D"]);
      expectIndices("gatherRows", "rows", device, rows, "M", count);
      return p.gather(x, rows);
    },

    scatterRows(dy, rows, rowCount) {
      if (dy.dtype === "int32") throw new TensorError("scatterRows: dy must be float32 or bfloat16, got int32");
      expectInteger("scatterRows", "rowCount", rowCount, 1);
      const [count] = expectTensor("scatterRows", "dy", dy, dy.dtype, ["M", "D"]);
      expectIndices("scatterRows", "rows", device, rows, count, rowCount);
      return scope(() => p.scatterAdd(p.cast(dy, "float32"), rows, rowCount));
    },

    cast(x) {
      if (x.dtype !== "float32") throw new TensorError(`cast: x must be float32, got ${x.dtype}`);
      return p.cast(x, precision);
    },

    crossEntropy(logits, targets, temperature) {
      const [rows, width] = expectTensor("crossEntropy", "logits", logits, "float32", ["M", "V"]);
      const ids = expectIndices("crossEntropy", "targets", device, targets, rows, width);
      expectPositive("crossEntropy", "temperature", temperature);
      return scope(() => {
        const pieces = inPieces(rows, width, (from, count) => {
          const own = someRows(logits, from, count);
          const x = temperature === 1 ? own : p.divide(own, temperature);
          const top = p.maxLast(x);
          const logSum = p.add(p.log(p.sumLast(p.exp(p.subtract(x, top)))), top);
          const places = Int32Array.from({ length: count }, (_, i) => i * width + ids[from + i]);
          const chosen = p.gather(p.reshape(x, [count * width]), device.upload(places, [count]));
          const logSumExp = p.reshape(logSum, [count]);
          return { nll: p.subtract(logSumExp, chosen), logSumExp };
        });
        const joined = (xs: Tensor[]): Tensor => (xs.length === 1 ? xs[0] : p.concat(xs, 0));
        return { nll: joined(pieces.map((piece) => piece.nll)), logSumExp: joined(pieces.map((piece) => piece.logSumExp)) };
      });
    },

    crossEntropyGradient(logits, targets, logSumExp, weights, temperature) {
      const op = "crossEntropyGradient";
      const [rows, width] = expectTensor(op, "logits", logits, "float32", ["M", "V"]);
      expectIndices(op, "targets", device, targets, rows, width);
      expectTensor(op, "logSumExp", logSumExp, "float32", [rows]);
      expectTensor(op, "weights", weights, "float32", [rows]);
      expectPositive(op, "temperature", temperature);
      return scope(() => {
        const pieces = inPieces(rows, width, (from, count) => {
          const column = (x: Tensor): Tensor => p.reshape(someRows(x, from, count), [count, 1]);
          const own = someRows(logits, from, count);
          const x = temperature === 1 ? own : p.divide(own, temperature);
          const probabilities = p.exp(p.subtract(x, column(logSumExp)));
          const off = p.subtract(probabilities, p.oneHot(someRows(targets, from, count), width));
          return p.cast(p.multiply(off, p.divide(column(weights), temperature)), precision);
        });
        return pieces.length === 1 ? pieces[0] : p.concat(pieces, 0);
      });
    },

    adamW(state, gradient, options) {
      const { learningRate, beta1, beta2, epsilon, weightDecay, step, gradientScale } = options;
      const { parameters, firstMoment, secondMoment } = state;
      const [size] = expectTensor("adamW", "state.parameters", parameters, "float32", ["n"]);
      expectTensor("adamW", "state.firstMoment", firstMoment, "float32", [size]);
      expectTensor("adamW", "state.secondMoment", secondMoment, "float32", [size]);
      expectTensor("adamW", "gradient", gradient, "float32", [size]);
      for (const name of ["learningRate", "weightDecay", "gradientScale"] as const) {
        expectFinite("adamW", `options.${name}`, options[name]);
      }
      for (const name of ["beta1", "beta2"] as const) {
        expect(options[name] >= 0 && options[name] < 1, "adamW", `options.${name}`, "in [0, 1)", options[name]);
      }
      expect(epsilon >= 0 && Number.isFinite(epsilon), "adamW", "options.epsilon", "at least 0", epsilon);
      expectInteger("adamW", "options.step", step, 0);
      const next = scope(() => {
        const g = gradientScale === 1 ? gradient : p.multiply(gradient, gradientScale);
        const first = p.add(p.multiply(firstMoment, beta1), p.multiply(g, 1 - beta1));
        const second = p.add(p.multiply(secondMoment, beta2), p.multiply(p.square(g), 1 - beta2));
        const root = p.add(p.divide(p.sqrt(second), Math.sqrt(1 - beta2 ** (step + 1))), epsilon);
        const move = p.multiply(p.divide(first, root), learningRate / (1 - beta1 ** (step + 1)));
        const decayed = weightDecay === 0 ? parameters : p.multiply(parameters, 1 - learningRate * weightDecay);
        return { parameters: p.subtract(decayed, move), firstMoment: first, secondMoment: second };
      });
      // The state outlives any scope that a step runs in.
      state.parameters = keep(next.parameters);
      state.firstMoment = keep(next.firstMoment);
      state.secondMoment = keep(next.secondMoment);
      free(parameters, firstMoment, secondMoment);
    },

    squaredNorm(x) {
      expectTensor("squaredNorm", "x", x, "float32", x.shape);
      let sum = 0;
      for (const value of device.download(x)) sum += value * value;
      return sum;
    },
  };
}
