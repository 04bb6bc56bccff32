/**
 * The fused native kernels against float64 loops (test/tensor/reference.ts) over random shapes. Run in this process by the tests of
 * each group of ops, and by child processes for the other instruction sets and thread counts (see fused-child.ts).
 */
import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import { nativeOps } from "../../src/tensor/native.js";
import type { Activation, AttentionConfig, DecoderOps, Precision } from "../../src/tensor/ops.js";
import { liveTensors, scope, type Tensor } from "../../src/tensor/tensor.js";
import * as reference from "../tensor/reference.js";
import { generator, pick, toBfloat16, values } from "./random.js";

type Random = () => number;

/** Allowed relative error of a whole result in float32; in bfloat16 the cosine must reach this instead. */
const RELATIVE = 1e-5;
const COSINE = 0.998;

/** One run of cases: the ops, their chance, and a digest of every bit that they returned. */
export class FusedCases {
  readonly ops: DecoderOps;
  readonly random: Random;
  readonly hash: Hash = createHash("sha256");

  constructor(
    readonly precision: Precision,
    seed: number,
  ) {
    this.ops = nativeOps(precision);
    this.random = generator(seed);
  }

  integer(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }
  /** Values that the activation type holds exactly, so that the reference starts from the same numbers. */
  activations(count: number, scale = 1): Float32Array {
    const x = values(this.random, count).map((v) => v * scale);
    return this.precision === "bfloat16" ? x.map(toBfloat16) : x;
  }
  active(x: Float32Array, ...shape: number[]): Tensor {
    return shape.length === 2 ? this.ops.cast(this.float(x, ...shape)) : this.ops.device.upload(x, shape, this.precision);
  }
  float(x: Float32Array, ...shape: number[]): Tensor {
    return this.ops.device.upload(x, shape);
  }
  ints(x: readonly number[], ...shape: number[]): Tensor {
    return this.ops.device.upload(Int32Array.from(x), shape.length > 0 ? shape : [x.length]);
  }

  /** Checks a result against float64 numbers. `exact`: float32 whatever the precision. */
  expect(actual: Tensor, expected: ArrayLike<number>, name: string): void {
    const got = this.ops.device.download(actual) as Float32Array;
    this.hash.update(new Uint8Array(got.buffer, got.byteOffset, got.byteLength));
    assert.equal(got.length, expected.length, `${name}: length`);
    let [difference, norm, dot, ofGot] = [0, 0, 0, 0];
    for (let i = 0; i < got.length; i++) {
      difference += (got[i] - expected[i]) ** 2;
      norm += expected[i] ** 2;
      dot += got[i] * expected[i];
      ofGot += got[i] ** 2;
    }
    if (norm === 0) {
      assert.equal(difference, 0, `${name}: expected zeros`);
      return;
    }
    if (this.precision === "float32") {
      const error = Math.sqrt(difference / norm);
      assert.ok(error <= RELATIVE, `${name}: relative error ${error}`);
    } else {
      const cosine = dot / Math.sqrt(norm * ofGot);
      assert.ok(cosine >= COSINE, `${name}: cosine ${cosine}`);
      assert.ok(Math.abs(Math.sqrt(ofGot / norm) - 1) < 0.03, `${name}: length ${Math.sqrt(ofGot / norm)} of the expected`);
    }
  }

  /** For results that may be differences of much larger numbers: float32, whatever the precision. */
  expectClose(actual: Tensor, expected: readonly number[], absolute: number, name: string): void {
    const got = this.ops.device.download(actual) as Float32Array;
    const worst = Math.max(...expected.map((x, i) => Math.abs(x - got[i])));
    assert.ok(got.length === expected.length && worst <= absolute, `${name}: off by ${worst}`);
  }

  /** Runs `count` cases of each kind; a failure names its case. Nothing stays allocated. */
  run(kinds: readonly ((cases: FusedCases) => string)[], count: number): string {
    for (const kind of kinds) {
      for (let i = 0; i < count; i++) {
        const before = liveTensors();
        let shape = "";
        try {
          scope(() => void (shape = kind(this)));
        } catch (error) {
          throw new Error(`${kind.name} ${i} (${this.precision}) ${shape}: ${String(error)}`, { cause: error });
        }
        assert.deepEqual(liveTensors(), before, `${kind.name}: tensors left`);
      }
    }
    return this.hash.digest("hex");
  }
}

const rowsOf = (x: Float32Array, width: number): Float32Array[] =>
  Array.from({ length: x.length / width }, (_, i) => x.subarray(i * width, (i + 1) * width));

export function normCase(c: FusedCases): string {
  const [rows, width] = [c.integer(1, 70), pick(c.random, [1, 2, 7, 8, 15, 16, 17, 31, 64, 100, 577])];
  const [x, branch, weight] = [values(c.random, rows * width), c.activations(rows * width), values(c.random, width)];
  const [dNormed, dSum] = [c.activations(rows * width), values(c.random, rows * width)];
  const sums = x.map((v, i) => v + branch[i]);
  const epsilon = pick(c.random, [1e-5, 1e-6]);
  const expected = rowsOf(sums, width).map((row) => reference.rmsNorm(row, weight, epsilon));
  const w = c.float(weight, width);
  const result = c.ops.rmsNorm(c.float(x, rows, width), c.active(branch, rows, width), w, epsilon);
  const shape = `rows ${rows}, width ${width}`;
  c.expect(result.sum, sums, `${shape} sum`);
  c.expect(
    result.normed,
    expected.flatMap(({ normed }) => normed),
    `${shape} normed`,
  );
  c.expect(
    result.inverseRms,
    expected.map(({ inverseRms }) => inverseRms),
    `${shape} inverseRms`,
  );
  const gradient = rowsOf(sums, width).flatMap((row, i) =>
    reference.rmsNormGradient(row, weight, epsilon, dNormed.subarray(i * width, (i + 1) * width)),
  );
  const dn = c.active(dNormed, rows, width);
  const total = c.ops.rmsNormGradient(result.sum, result.inverseRms, w, dn, c.float(dSum, rows, width));
  const withSum = gradient.map((g, i) => g + dSum[i]);
  c.expect(total.residual, withSum, `${shape} gradient`);
  c.expect(total.branch, withSum, `${shape} gradient of the branch`);
  // A row of one value has no gradient but rounding.
  if (width > 2) c.expect(c.ops.rmsNormGradient(result.sum, result.inverseRms, w, dn, null).residual, gradient, `${shape} alone`);
  return shape;
}

/** Any grouping of heads, head sizes of multiples of 8 and others. */
export function randomAttention(c: FusedCases): AttentionConfig {
  const kvHeads = c.integer(1, 3);
  return {
    heads: kvHeads * c.integer(1, 5),
    kvHeads,
    headDim: pick(c.random, [2, 6, 8, 16, 24, 40, 64, 80, 96]),
    scale: pick(c.random, [0.125, 0.3, 1]),
    window: c.random() < 0.4 ? c.integer(1, 40) : 0,
  };
}

export function ropeCase(c: FusedCases): string {
  const config = randomAttention(c);
  const { heads, kvHeads, headDim } = config;
  const [rows, width] = [c.integer(1, 50), (heads + 2 * kvHeads) * headDim];
  const norm = (): Float32Array | null => (c.random() < 0.5 ? values(c.random, headDim) : null);
  const numbers = {
    frequencies: Float32Array.from({ length: headDim / 2 }, (_, j) => 1e5 ** ((-2 * j) / headDim)),
    queryNorm: norm(),
    keyNorm: norm(),
    normEpsilon: 1e-6,
  };
  const positions = Array.from({ length: rows }, () => c.integer(0, pick(c.random, [10, 3000, 131_071])));
  const [qkv, dRotated] = [c.activations(rows * width), c.activations(rows * width)];
  const optional = (x: Float32Array | null): Tensor | null => x && c.float(x, headDim);
  const rope = {
    frequencies: c.float(numbers.frequencies, headDim / 2),
    queryNorm: optional(numbers.queryNorm),
    keyNorm: optional(numbers.keyNorm),
    normEpsilon: numbers.normEpsilon,
  };
  const [x, dx, at] = [c.active(qkv, rows, width), c.active(dRotated, rows, width), c.ints(positions)];
  const forward = rowsOf(qkv, width).flatMap((row, i) => reference.rope(row, positions[i], config, numbers));
  const backward = rowsOf(qkv, width).flatMap((row, i) =>
    reference.rope(row, positions[i], config, numbers, dRotated.subarray(i * width, (i + 1) * width)),
  );
  const shape = `rows ${rows}, ${JSON.stringify(config)}`;
  c.expect(c.ops.rope(x, at, config, rope), forward, `${shape} rope`);
  c.expect(c.ops.ropeGradient(dx, x, at, config, rope), backward, `${shape} gradient`);
  return shape;
}

export function gatedCase(c: FusedCases): string {
  const [rows, width] = [c.integer(1, 60), pick(c.random, [1, 3, 8, 16, 33, 96])];
  const activation = pick<Activation>(c.random, ["silu", "gelu_tanh"]);
  const [gateUp, dy] = [c.activations(rows * 2 * width, pick(c.random, [1, 6, 40])), c.activations(rows * width)];
  const output: number[] = [];
  const gradient = new Float64Array(rows * 2 * width);
  for (let i = 0; i < rows * width; i++) {
    const at = Math.floor(i / width) * 2 * width + (i % width);
    const { value, derivative } = reference.activate(activation, gateUp[at]);
    output.push(value * gateUp[at + width]);
    gradient[at] = dy[i] * gateUp[at + width] * derivative;
    gradient[at + width] = dy[i] * value;
  }
  const shape = `rows ${rows}, width ${width}, ${activation}`;
  const x = c.active(gateUp, rows, 2 * width);
  c.expect(c.ops.gated(x, activation), output, `${shape} output`);
  const result = c.ops.gatedGradient(x, c.active(dy, rows, width), activation);
  c.expect(result.output, output, `${shape} output of the gradient`);
  c.expect(result.dGateUp, gradient, `${shape} gradient`);
  return shape;
}

/** Unequal segments in any order; some share a prefix that is a segment, a part of one, or rows of none. */
function randomSegments(c: FusedCases, longest: number): { segments: number[]; rows: number } {
  const table: number[][] = [];
  let rows = 0;
  for (let s = c.integer(1, 5); s > 0; s--) {
    if (c.random() < 0.3) rows += c.integer(1, 5);
    const length = c.integer(1, longest);
    const prefixLength = rows > 0 && c.random() < 0.6 ? c.integer(1, rows) : 0;
    table.push([rows, length, prefixLength > 0 ? c.integer(0, rows - prefixLength) : 0, prefixLength]);
    if (c.random() < 0.5) table.at(-1)!.splice(2, 2, ...(table.at(-2)?.slice(0, 2) ?? [0, 0]));
    rows += length;
  }
  if (c.random() < 0.5) table.reverse();
  return { segments: table.flat(), rows };
}

export function attentionCase(c: FusedCases): string {
  const config = randomAttention(c);
  const { heads, kvHeads, headDim } = config;
  const { segments, rows } = randomSegments(c, pick(c.random, [3, 20, 70]));
  const width = (heads + 2 * kvHeads) * headDim;
  const [qkv, dOutput] = [c.activations(rows * width, 1.5), c.activations(rows * heads * headDim)];
  const shape = `rows ${rows}, segments [${segments.join(", ")}], ${JSON.stringify(config)}`;
  checkAttention(c, config, segments, rows, qkv, dOutput, shape);
  return shape;
}

export function checkAttention(
  c: FusedCases,
  config: AttentionConfig,
  segments: readonly number[],
  rows: number,
  qkv: Float32Array,
  dOutput: Float32Array,
  shape: string,
): void {
  const expected = reference.attention(qkv, segments, config);
  const [x, table] = [c.active(qkv, rows, qkv.length / rows), c.ints(segments, segments.length / 4, 4)];
  const { output, logSumExp } = c.ops.attention(x, table, config);
  c.expect(output, expected.output, `${shape} output`);
  c.expect(logSumExp, expected.logSumExp, `${shape} logSumExp`);
  const dy = c.active(dOutput, rows, dOutput.length / rows);
  const gradient = c.ops.attentionGradient(x, table, config, output, logSumExp, dy);
  c.expect(gradient, reference.attentionGradient(qkv, segments, config, dOutput), `${shape} gradient`);
}

export function crossEntropyCase(c: FusedCases): string {
  const [rows, width] = [c.integer(1, 20), pick(c.random, [1, 2, 15, 16, 17, 100, 5003])];
  const temperature = pick(c.random, [1, 0.7, 2]);
  const [logits, weights] = [values(c.random, rows * width).map((x) => 8 * x), values(c.random, rows)];
  const targets = Array.from({ length: rows }, () => c.integer(0, width - 1));
  const expected = rowsOf(logits, width).map((row, i) => reference.crossEntropy(row, targets[i], temperature, weights[i]));
  const [x, at] = [c.float(logits, rows, width), c.ints(targets)];
  const { nll, logSumExp } = c.ops.crossEntropy(x, at, temperature);
  const shape = `rows ${rows}, width ${width}, temperature ${temperature}`;
  const nlls = expected.map((row) => row.nll);
  c.expectClose(nll, nlls, 2e-6, `${shape} nll`);
  c.expect(logSumExp, expected.map((row) => row.logSumExp), `${shape} logSumExp`); // prettier-ignore
  const gradient = c.ops.crossEntropyGradient(x, at, logSumExp, c.float(weights, rows), temperature);
  if (width > 1) c.expect(gradient, expected.flatMap((row) => row.gradient), `${shape} gradient`); // prettier-ignore
  return shape;
}

/** Samples of shared prompts, decoded token by token in changing batches, against attention over each whole sequence. */
export function decodeCase(c: FusedCases): string {
  const { ops } = c;
  const config = randomAttention(c);
  const { heads, kvHeads, headDim } = config;
  const [width, out] = [(heads + 2 * kvHeads) * headDim, heads * headDim];
  const norm = c.random() < 0.5 ? values(c.random, headDim) : null;
  const frequencies = Float32Array.from({ length: headDim / 2 }, (_, j) => 1e4 ** ((-2 * j) / headDim));
  const numbers = { frequencies, queryNorm: norm, keyNorm: norm, normEpsilon: 1e-6 };
  const tensor = norm && c.float(norm, headDim);
  const rope = { frequencies: c.float(frequencies, headDim / 2), queryNorm: tensor, keyNorm: tensor, normEpsilon: 1e-6 };

  const prompts = Array.from({ length: c.integer(1, 3) }, () => c.integer(0, pick(c.random, [3, 20, 45])));
  const samples = Array.from({ length: c.integer(1, 6) }, (_, slot) => ({
    prompt: c.integer(0, prompts.length - 1),
    slot,
    length: 0,
  }));
  const promptRows = prompts.map((length) => c.activations(length * width, 1.5));
  const tokens = samples.map(() => c.activations(c.integer(1, 20) * width, 1.5));
  const shape = `prompts [${prompts.join(", ")}], samples ${samples.length}, ${JSON.stringify(config)}`;
  const [promptCache, cache] = [ops.layerCache(prompts.length, 45, config), ops.layerCache(samples.length, 20, config)];
  let start = 0;
  const segments = prompts.map((length, slot) => ({ start: (start += length) - length, length, slot }));
  if (start > 0) {
    const packed = c.active(Float32Array.from(promptRows.flatMap((rows) => [...rows])), start, width);
    const positions = c.ints(prompts.flatMap((length) => Array.from({ length }, (_, i) => i)));
    ops.fillCache(promptCache, ops.rope(packed, positions, config, rope), segments, config);
  }
  const expected = samples.map(({ prompt }, i) => {
    const rows = rowsOf(Float32Array.of(...promptRows[prompt], ...tokens[i]), width);
    const rotated = rows.flatMap((row, position) => reference.rope(row, position, config, numbers));
    return reference.attention(rotated, [0, rows.length, 0, 0], config).output.slice(prompts[prompt] * out);
  });
  const unfinished = (): typeof samples => samples.filter(({ slot, length }) => length * width < tokens[slot].length);
  for (let open = unfinished(); open.length > 0; open = unfinished()) {
    const batch = open.filter((_, i) => i === 0 || c.random() < 0.7).reverse();
    const rows = batch.map(({ prompt, slot, length }) => ({ promptSlot: prompt, promptLength: prompts[prompt], slot, length }));
    const next = batch.flatMap(({ slot, length }) => [...tokens[slot].subarray(length * width, (length + 1) * width)]);
    scope(() => {
      const result = ops.decodeAttention(
        c.active(Float32Array.from(next), batch.length, width),
        promptCache,
        cache,
        rows,
        config,
        rope,
      );
      c.expect(result, batch.flatMap(({ slot, length }) => [...expected[slot].subarray(length * out, (length + 1) * out)]), shape); // prettier-ignore
    });
    for (const sample of batch) sample.length++;
  }
  promptCache.free();
  cache.free();
  return shape;
}

export const ROW_CASES = [normCase, ropeCase, gatedCase];
export const ALL_CASES = [...ROW_CASES, attentionCase, crossEntropyCase, decodeCase];
