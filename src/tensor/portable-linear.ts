/**
 * Portable linear layers: frozen weights, embedding rows, and LoRA.
 *
 * A weight is stored once, [outputs, inputs] in T; products take it transposed or not, so `backward` is the very tensor of `forward`
 * (freeing both is harmless). Products run in T with float32 accumulation inside TensorFlow; what is added to a product
 * (bias, LoRA) is added in float32 and rounded once.
 */
import { expect, expectFinite, expectIndices, expectInteger, expectLayout, expectTensor } from "./portable-checks.js";
import type { DecoderOps, GradientVector, LinearWeight, LoraLayout, LoraWeight, Precision } from "./ops.js";
import type { Primitives } from "./primitives.js";
import { keep, scope, TensorError, type Tensor } from "./tensor.js";

type LinearOps = Pick<
  DecoderOps,
  "linearWeight" | "prepareBackward" | "embed" | "loraWeight" | "linear" | "linearGradient" | "gradientVector" | "addLoraGradient"
>;

/** A bfloat16 weight is widened in pieces of this many values (128 MiB) where a float32 result is asked for. */
const WIDEN_VALUES = 2 ** 25;

export function linearOps(p: Primitives, precision: Precision): LinearOps {
  const { device } = p;
  const wide = (x: Tensor): Tensor => (x.dtype === "float32" ? x : p.cast(x, "float32"));
  const narrow = (x: Tensor): Tensor => (x.dtype === precision ? x : p.cast(x, precision));

  /** x Wᵀ in float32, without rounding the result through bfloat16. */
  function wideProduct(x: Tensor, weight: LinearWeight): Tensor {
    const { inputs, outputs, forward } = weight;
    if (precision === "float32") return p.matMul(x, forward, false, true);
    return scope(() => {
      const rows = Math.max(1, Math.floor(WIDEN_VALUES / inputs));
      const x32 = wide(x);
      const pieces: Tensor[] = [];
      for (let from = 0; from < outputs; from += rows) {
        const size = [Math.min(rows, outputs - from), inputs];
        pieces.push(scope(() => p.matMul(x32, wide(p.slice(forward, [from, 0], size)), false, true)));
      }
      return p.concat(pieces, 1);
    });
  }

  return {
    linearWeight(inputs, parts) {
      expectInteger("linearWeight", "inputs", inputs, 1);
      expect(parts.length > 0, "linearWeight", "parts", "at least one part", parts.length);
      let outputs = 0;
      for (const [i, { weight, bias }] of parts.entries()) {
        const rows = weight.length / inputs;
        expect(
          Number.isInteger(rows) && rows > 0,
          "linearWeight",
          `parts[${i}].weight`,
          `rows of ${inputs} values`,
          weight.length,
        );
        expect(!bias || bias.length === rows, "linearWeight", `parts[${i}].bias`, `${rows} values`, bias?.length);
        outputs += rows;
      }
      const joined = parts.length === 1 ? parts[0].weight : new Float32Array(outputs * inputs);
      const biases = parts.some(({ bias }) => bias) ? new Float32Array(outputs) : null;
      let row = 0;
      for (const { weight, bias } of parts) {
        if (joined !== weight) joined.set(weight, row * inputs);
        if (bias) biases!.set(bias, row);
        row += weight.length / inputs;
      }
      return scope(() => ({
        inputs,
        outputs,
        forward: device.upload(joined, [outputs, inputs], precision),
        backward: null,
        bias: biases && device.upload(biases, [outputs]),
      }));
    },

    prepareBackward(weight) {
      weight.backward ??= weight.forward;
    },

    embed(table, ids, scale) {
      expectTensor("embed", "table.forward", table.forward, precision, [table.outputs, table.inputs]);
      expectIndices("embed", "ids", device, ids, "N", table.outputs);
      expectFinite("embed", "scale", scale);
      return scope(() => {
        const rows = wide(p.gather(table.forward, ids));
        return scale === 1 ? rows : p.multiply(rows, scale);
      });
    },

    loraWeight(parameters, layout) {
      expectTensor("loraWeight", "parameters", parameters, "float32", ["n"]);
      expectLayout("loraWeight", layout, parameters.size);
      return scope(() => {
        const matrix = (offset: number, rows: number, columns: number): Tensor =>
          p.reshape(p.slice(parameters, [offset], [rows * columns]), [rows, columns]);
        const a = layout.parts.map((part) => matrix(part.offsetA, part.rank, layout.inputs));
        // B of the joined layer: each part's block at its own rows and ranks, zeros elsewhere.
        const ranks = totalRank(layout);
        const b: Tensor[] = [];
        let rankBefore = 0;
        let row = 0;
        const zeros = (rows: number, columns: number): Tensor[] => (rows && columns ? [p.fill([rows, columns], 0)] : []);
        for (const { rank, offsetB, outputStart, outputEnd, scale } of layout.parts) {
          const rows = outputEnd - outputStart;
          const block = p.multiply(matrix(offsetB, rows, rank), scale);
          b.push(...zeros(outputStart - row, ranks));
          b.push(p.concat([...zeros(rows, rankBefore), block, ...zeros(rows, ranks - rankBefore - rank)], 1));
          rankBefore += rank;
          row = outputEnd;
        }
        b.push(...zeros(layout.outputs - row, ranks));
        return { layout, tensors: [narrow(p.concat(a, 0)), narrow(p.concat(b, 0))] };
      });
    },

    linear(x, weight, lora, output) {
      expectTensor("linear", "x", x, precision, ["N", weight.inputs]);
      expectWeight("linear", weight, weight.forward);
      const factors = lora && expectLora("linear", lora, weight);
      return scope(() => {
        const projected = factors && p.matMul(x, factors.a, false, true);
        const delta = projected && p.matMul(projected, factors.b, false, true);
        let y = output ? wideProduct(x, weight) : p.matMul(x, weight.forward, false, true);
        if (delta) y = p.add(wide(y), wide(delta));
        if (weight.bias) y = p.add(wide(y), weight.bias);
        return { y: output ? y : narrow(y), projected };
      });
    },

    linearGradient(dy, weight, lora) {
      expect(weight.backward !== null, "linearGradient", "weight", "prepared by prepareBackward", "an unprepared weight");
      expectTensor("linearGradient", "dy", dy, precision, ["N", weight.outputs]);
      expectWeight("linearGradient", weight, weight.backward);
      const { backward } = weight;
      const factors = lora && expectLora("linearGradient", lora, weight);
      return scope(() => {
        const dx = p.matMul(dy, backward);
        if (!factors) return { dx, dProjected: null };
        const dProjected = p.matMul(dy, factors.b);
        return { dx: narrow(p.add(wide(dx), wide(p.matMul(dProjected, factors.a)))), dProjected };
      });
    },

    gradientVector(size) {
      expectInteger("gradientVector", "size", size, 1);
      return new PieceVector(p, size);
    },

    addLoraGradient(vector, layout, x, projected, dy, dProjected) {
      const op = "addLoraGradient";
      if (!(vector instanceof PieceVector))
        throw new TensorError(`${op}: vector must be made by gradientVector of the portable ops`);
      expectLayout(op, layout, vector.size);
      const ranks = totalRank(layout);
      const [rows] = expectTensor(op, "x", x, precision, ["N", layout.inputs]);
      expectTensor(op, "projected", projected, precision, [rows, ranks]);
      expectTensor(op, "dy", dy, precision, [rows, layout.outputs]);
      expectTensor(op, "dProjected", dProjected, precision, [rows, ranks]);
      scope(() => {
        const dA = p.matMul(wide(dProjected), wide(x), true);
        const dB = p.matMul(wide(dy), wide(projected), true);
        const pieces: { offset: number; values: Tensor }[] = [];
        let rank0 = 0;
        for (const { rank, offsetA, offsetB, outputStart, outputEnd, scale } of layout.parts) {
          const blockB = p.slice(dB, [outputStart, rank0], [outputEnd - outputStart, rank]);
          pieces.push({ offset: offsetA, values: flat(p.slice(dA, [rank0, 0], [rank, layout.inputs])) });
          pieces.push({ offset: offsetB, values: flat(p.multiply(blockB, scale)) });
          rank0 += rank;
        }
        vector.add(pieces);
      });
    },
  };

  function flat(x: Tensor): Tensor {
    return p.reshape(x, [x.size]);
  }

  function expectWeight(op: string, weight: LinearWeight, stored: Tensor): void {
    expectTensor(op, "weight", stored, precision, [weight.outputs, weight.inputs]);
    if (weight.bias) expectTensor(op, "weight.bias", weight.bias, "float32", [weight.outputs]);
  }

  function expectLora(op: string, lora: LoraWeight, weight: LinearWeight): { a: Tensor; b: Tensor } {
    const { layout, tensors } = lora;
    const fits = layout.inputs === weight.inputs && layout.outputs === weight.outputs;
    expect(fits, op, "lora", `for a [${weight.outputs}, ${weight.inputs}] weight`, `[${layout.outputs}, ${layout.inputs}]`);
    expect(tensors.length === 2, op, "lora.tensors", "made by loraWeight of the portable ops", `${tensors.length} tensors`);
    const ranks = totalRank(layout);
    expectTensor(op, "lora A", tensors[0], precision, [ranks, layout.inputs]);
    expectTensor(op, "lora B", tensors[1], precision, [layout.outputs, ranks]);
    return { a: tensors[0], b: tensors[1] };
  }
}

function totalRank(layout: LoraLayout): number {
  return layout.parts.reduce((sum, part) => sum + part.rank, 0);
}

/** Sums pieces of a flat vector, each at its own offset; what no piece covers is zero. */
class PieceVector implements GradientVector {
  readonly #pieces = new Map<number, Tensor>();
  #ended = false;

  constructor(
    private readonly p: Primitives,
    readonly size: number,
  ) {}

  /** Adds pieces; the stored sums belong to this vector. All or, when an argument is wrong, none. */
  add(pieces: readonly { offset: number; values: Tensor }[]): void {
    if (this.#ended) throw new TensorError("addLoraGradient: the gradient vector was already taken or freed");
    for (const { offset, values } of pieces) {
      const before = this.#pieces.get(offset);
      const clash = !before && [...this.#pieces].some(([start, t]) => start < offset + values.size && offset < start + t.size);
      expect(
        !clash && (!before || before.size === values.size),
        "addLoraGradient",
        "layout",
        "disjoint from earlier ones",
        offset,
      );
    }
    for (const { offset, values } of pieces) {
      const before = this.#pieces.get(offset);
      this.#pieces.set(offset, keep(before ? this.p.add(before, values) : values));
      before?.free();
    }
  }

  take(): Tensor {
    if (this.#ended) throw new TensorError("take: the gradient vector was already taken or freed");
    const vector = scope(() => {
      const all: Tensor[] = [];
      let end = 0;
      for (const [offset, values] of [...this.#pieces].sort(([a], [b]) => a - b)) {
        if (offset > end) all.push(this.p.fill([offset - end], 0));
        all.push(values);
        end = offset + values.size;
      }
      if (end < this.size) all.push(this.p.fill([this.size - end], 0));
      return this.p.concat(all, 0);
    });
    this.free();
    return vector;
  }

  free(): void {
    this.#ended = true;
    for (const piece of this.#pieces.values()) piece.free();
    this.#pieces.clear();
  }
}
