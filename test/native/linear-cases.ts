/**
 * Linear layers with LoRA against plain float64 sums, over random shapes. Run in this process by the tests, and by child processes
 * for the other instruction sets, thread counts and the sanitised build (see linear-child.ts).
 */
import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import { nativeLinear } from "../../src/tensor/native-linear.js";
import type { LoraLayout, LoraPart, Precision } from "../../src/tensor/ops.js";
import { liveTensors, scope, type Tensor } from "../../src/tensor/tensor.js";
import { tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { generator, pick, toBfloat16, values } from "./random.js";

export interface LinearCase {
  readonly rows: number;
  readonly inputs: number;
  /** Outputs of each joined part. */
  readonly parts: readonly number[];
  readonly layout: LoraLayout | null;
  readonly parameterCount: number;
  readonly bias: boolean;
}

const ROWS = [1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 16, 17, 25, 31, 32, 33, 47, 70];
const SIZES = [1, 2, 3, 15, 16, 17, 31, 32, 33, 48, 64, 65, 96, 100];
const RANKS = [1, 2, 3, 8, 16, 17, 33];

export function randomCase(random: () => number): LinearCase {
  const parts = Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(random, SIZES));
  const outputs = parts.reduce((sum, n) => sum + n, 0);
  const inputs = pick(random, SIZES);
  let offset = Math.floor(random() * 5);
  let start = 0;
  const lora: LoraPart[] = [];
  for (const size of parts) {
    const rank = pick(random, RANKS);
    if (random() < 0.7) {
      const offsetA = offset;
      const offsetB = offsetA + rank * inputs + Math.floor(random() * 4);
      offset = offsetB + rank * size + Math.floor(random() * 4);
      lora.push({ rank, offsetA, offsetB, outputStart: start, outputEnd: start + size, scale: pick(random, [1, 2, 0.375]) });
    }
    start += size;
  }
  const layout = lora.length > 0 ? { inputs, outputs, parts: lora } : null;
  return { rows: pick(random, ROWS), inputs, parts, layout, parameterCount: offset, bias: random() < 0.5 };
}

/** Runs `count` random cases, checks every number, and returns a digest of all results, bit by bit. */
export function runLinearCases(seed: number, count: number, precision: Precision): string {
  const random = generator(seed);
  const hash = createHash("sha256");
  for (let i = 0; i < count; i++) {
    const shape = randomCase(random);
    try {
      scope(() => checkCase(shape, random, precision, hash));
      if (i % 8 === 0) checkNothingIsLeft(() => checkCase(shape, random, precision, hash));
    } catch (error) {
      throw new Error(`case ${i} (${precision}): ${JSON.stringify(shape)}: ${String(error)}`, { cause: error });
    }
  }
  return hash.digest("hex");
}

/** `body` has run before, so that the constants of its shape are there. */
function checkNothingIsLeft(body: () => void): void {
  const { count, bytes } = liveTensors();
  const handles = tensorflowDevice().handleCount();
  scope(body);
  assert.deepEqual(liveTensors(), { count, bytes });
  assert.equal(tensorflowDevice().handleCount(), handles);
}

function checkCase(shape: LinearCase, random: () => number, precision: Precision, hash: Hash): void {
  const { rows, inputs, layout } = shape;
  const outputs = shape.parts.reduce((sum, n) => sum + n, 0);
  const round = precision === "bfloat16" ? toBfloat16 : Math.fround;
  const device = tensorflowDevice();
  const ops = nativeLinear(device, precision);
  const upload = (data: Float32Array, dims: number[]): Tensor => device.upload(data, dims, precision);

  const x = values(random, rows * inputs).map(round);
  const dy = values(random, rows * outputs).map(round);
  const weights = shape.parts.map((n) => values(random, n * inputs));
  const biases = shape.parts.map((n) => (shape.bias ? values(random, n) : null));
  const parameters = values(random, shape.parameterCount);

  const result = scope(() => {
    const weight = ops.linearWeight(
      inputs,
      weights.map((w, i) => ({ weight: w, bias: biases[i] })),
    );
    ops.prepareBackward(weight);
    const vector = device.upload(parameters, [parameters.length]);
    const lora = layout && ops.loraWeight(vector, layout, true);
    const xs = upload(x, [rows, inputs]);
    const dys = upload(dy, [rows, outputs]);
    const forward = ops.linear(xs, weight, lora);
    const logits = ops.linear(xs, weight, lora, "float32");
    const backward = ops.linearGradient(dys, weight, lora);
    const gradient = ops.gradientVector(parameters.length);
    if (layout) {
      for (let i = 0; i < 2; i++) ops.addLoraGradient(gradient, layout, xs, forward.projected!, dys, backward.dProjected!);
    }
    const ids = Int32Array.from({ length: rows }, () => Math.floor(random() * outputs));
    const read = (tensor: Tensor | null): Float32Array =>
      tensor ? (device.download(tensor) as Float32Array) : new Float32Array(0);
    const taken = gradient.take();
    const all = {
      y: read(forward.y),
      logits: read(logits.y),
      projected: read(forward.projected),
      dx: read(backward.dx),
      dProjected: read(backward.dProjected),
      gradient: read(taken),
      embedded: read(ops.embed(weight, device.upload(ids, [rows]), 1.5)),
    };
    taken.free();
    return { ...all, ids };
  });
  for (const array of Object.values(result)) hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));

  const w = join(weights).map(round);
  const bias = join(biases.map((b, i) => b ?? new Float32Array(shape.parts[i])));
  const epsilon = precision === "bfloat16" ? 2 ** -8 : 2 ** -23;
  const parts = layout?.parts ?? [];
  const ranks = parts.reduce((sum, part) => sum + part.rank, 0);
  const a = (part: LoraPart, i: number, k: number): number => round(parameters[part.offsetA + i * inputs + k]);
  const b = (part: LoraPart, o: number, i: number): number =>
    round(Math.fround(part.scale * parameters[part.offsetB + o * part.rank + i]));

  let column = 0;
  for (const part of parts) {
    for (let i = 0; i < part.rank; i++, column++) {
      for (let row = 0; row < rows; row++) {
        const forward = new Sum();
        for (let k = 0; k < inputs; k++) forward.add(x[row * inputs + k] * a(part, i, k));
        forward.expect(result.projected[row * ranks + column], epsilon, `projected[${row}, ${column}]`);
        const backward = new Sum();
        for (let o = part.outputStart; o < part.outputEnd; o++)
          backward.add(dy[row * outputs + o] * b(part, o - part.outputStart, i));
        backward.expect(result.dProjected[row * ranks + column], epsilon, `dProjected[${row}, ${column}]`);
      }
    }
  }

  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      const sum = new Sum();
      sum.add(bias[o]);
      for (let k = 0; k < inputs; k++) sum.add(x[row * inputs + k] * w[o * inputs + k]);
      let first = 0;
      for (const part of parts) {
        if (o >= part.outputStart && o < part.outputEnd) {
          // From the projected rows as returned: they are what the second factor multiplies.
          for (let i = 0; i < part.rank; i++)
            sum.add(result.projected[row * ranks + first + i] * b(part, o - part.outputStart, i));
        }
        first += part.rank;
      }
      sum.expect(result.y[row * outputs + o], epsilon, `y[${row}, ${o}]`);
      sum.expect(result.logits[row * outputs + o], 2 ** -23, `float32 y[${row}, ${o}]`);
    }
    for (let k = 0; k < inputs; k++) {
      const sum = new Sum();
      for (let o = 0; o < outputs; o++) sum.add(dy[row * outputs + o] * w[o * inputs + k]);
      let first = 0;
      for (const part of parts) {
        for (let i = 0; i < part.rank; i++) sum.add(result.dProjected[row * ranks + first + i] * a(part, i, k));
        first += part.rank;
      }
      sum.expect(result.dx[row * inputs + k], epsilon, `dx[${row}, ${k}]`);
      const embedded = Math.fround(1.5 * w[result.ids[row] * inputs + k]);
      assert.equal(result.embedded[row * inputs + k], embedded, `embedded[${row}, ${k}]`);
    }
  }
  if (layout) checkGradient();

  /** Twice dA and dB at their places, zeros everywhere else. */
  function checkGradient(): void {
    const expected = Array.from({ length: parameters.length }, () => new Sum());
    let first = 0;
    for (const part of parts) {
      for (let i = 0; i < part.rank; i++) {
        for (let row = 0; row < rows; row++) {
          const u = result.dProjected[row * ranks + first + i];
          for (let k = 0; k < inputs; k++) expected[part.offsetA + i * inputs + k].add(2 * u * x[row * inputs + k]);
          const t = part.scale * result.projected[row * ranks + first + i];
          for (let o = part.outputStart; o < part.outputEnd; o++) {
            expected[part.offsetB + (o - part.outputStart) * part.rank + i].add(2 * t * dy[row * outputs + o]);
          }
        }
      }
      first += part.rank;
    }
    expected.forEach((sum, index) => sum.expect(result.gradient[index], 2 ** -23, `gradient[${index}]`));
  }
}

/** A float64 sum with what its float32 rounding can come to. */
class Sum {
  value = 0;
  magnitude = 0;
  terms = 0;
  add(term: number): void {
    this.value += term;
    this.magnitude += Math.abs(term);
    this.terms++;
  }
  /** epsilon: relative error of the final rounding. */
  expect(actual: number, epsilon: number, name: string): void {
    const tolerance = epsilon * Math.abs(this.value) + (this.terms + 4) * 2 ** -24 * this.magnitude;
    assert.ok(Math.abs(actual - this.value) <= tolerance, `${name}: ${actual}, expected ${this.value} within ${tolerance}`);
  }
}

function join(arrays: readonly Float32Array[]): Float32Array {
  return Float32Array.from(arrays.flatMap((array) => [...array]));
}
