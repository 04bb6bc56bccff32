/** Random shapes and values for every op, the same for whatever computes them: an op set, or tfjs with its own gradients. */
import { createRandom } from "../../src/random.js";
import type { Activation, AttentionConfig, DecoderOps, LoraLayout } from "../../src/tensor/ops.js";
import { scope, type Tensor } from "../../src/tensor/tensor.js";

export interface Generator {
  uniform: () => number;
  /** In [low, high]. */
  integer: (low: number, high: number) => number;
  normal: () => number;
}

export function generator(seed: number): Generator {
  const random = createRandom(seed, "tensor tests");
  return {
    uniform: () => random.uniform(),
    integer: (low, high) => low + random.integer(high - low + 1),
    normal: () => Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform()),
  };
}

export interface OpsCase {
  readonly name: string;
  readonly rows: number;
  readonly positions: Int32Array;
  /** [S, 4] as in {@link DecoderOps.attention}; unequal lengths, perhaps a shared prefix, perhaps rows of no segment. */
  readonly segments: Int32Array;
  readonly attention: AttentionConfig;
  readonly hidden: number;
  readonly half: number;
  readonly vocabulary: number;
  readonly activation: Activation;
  readonly temperature: number;
  readonly normEpsilon: number;
  readonly layout: LoraLayout;
  readonly loraSize: number;
  readonly scored: Int32Array;
  readonly targets: Int32Array;
  readonly ids: Int32Array;
  /** float32 values by name. */
  readonly values: Readonly<Record<ValueName, Float32Array>>;
  readonly queryNorm: boolean;
  readonly keyNorm: boolean;
  readonly bias: boolean;
}

type ValueName =
  | "residual"
  | "branch"
  | "norm"
  | "dNormed"
  | "dSum"
  | "qkv"
  | "dRotated"
  | "frequencies"
  | "queryNorm"
  | "keyNorm"
  | "dAttended"
  | "gateUp"
  | "dGated"
  | "weight"
  | "bias"
  | "x"
  | "dy"
  | "parameters"
  | "logits"
  | "weights"
  | "dScored"
  | "table";

export interface CaseOptions {
  /** Default 1: up to about 60 rows and 6 heads; smaller for slow backends. */
  readonly scale?: number;
  /** Lengths of the sequences instead of random ones. */
  readonly lengths?: readonly number[];
  readonly window?: number;
}

export function randomCase(seed: number, options: CaseOptions = {}): OpsCase {
  const { scale = 1 } = options;
  const random = generator(seed);
  const upTo = (n: number): number => random.integer(1, Math.max(2, Math.round(n * scale)));
  const chance = (p: number): boolean => random.uniform() < p;
  const normals = (n: number, deviation = 1): Float32Array => Float32Array.from({ length: n }, () => deviation * random.normal());

  const lengths = options.lengths ?? Array.from({ length: random.integer(1, 4) }, () => upTo(20));
  const { segments, positions } = randomSegments(random, lengths, chance(0.5), chance(0.3));
  const rows = positions.length;
  const kvHeads = random.integer(1, 2);
  const heads = kvHeads * random.integer(1, 3);
  const headDim = 2 + 2 * upTo(8);
  const window = options.window ?? (chance(0.4) ? random.integer(1, 12) : 0);
  // The gradient of a norm over one or two values is nearly nothing but rounding.
  const hidden = 3 + upTo(24);
  const half = upTo(16);
  const vocabulary = upTo(60) + 1;
  const outputs = upTo(40);
  const layout = randomLayout(random, hidden, outputs);
  const loraSize =
    layout.parts.reduce((end, part) => Math.max(end, part.offsetB + part.rank * outputs), 0) + random.integer(0, 5);
  const scored = Int32Array.from({ length: upTo(20) }, () => random.integer(0, rows - 1));
  const width = (heads + 2 * kvHeads) * headDim;
  return {
    name: `case ${seed}: N ${rows}, H ${heads}/${kvHeads} x ${headDim}, window ${window}, D ${hidden}, V ${vocabulary}`,
    rows,
    positions,
    segments,
    attention: { heads, kvHeads, headDim, scale: random.uniform() + 0.1, window },
    hidden,
    half,
    vocabulary,
    activation: chance(0.5) ? "silu" : "gelu_tanh",
    temperature: chance(0.5) ? 1 : 0.5 + random.uniform(),
    normEpsilon: chance(0.5) ? 1e-6 : 1e-5,
    layout,
    loraSize,
    scored,
    targets: Int32Array.from({ length: scored.length }, () => random.integer(0, vocabulary - 1)),
    ids: Int32Array.from({ length: rows }, () => random.integer(0, vocabulary - 1)),
    queryNorm: chance(0.5),
    keyNorm: chance(0.5),
    bias: chance(0.5),
    values: {
      residual: normals(rows * hidden),
      branch: normals(rows * hidden),
      norm: normals(hidden),
      dNormed: normals(rows * hidden),
      dSum: normals(rows * hidden),
      qkv: normals(rows * width),
      dRotated: normals(rows * width),
      frequencies: Float32Array.from({ length: headDim / 2 }, (_, j) => 100 ** ((-2 * j) / headDim)),
      queryNorm: normals(headDim),
      keyNorm: normals(headDim),
      dAttended: normals(rows * heads * headDim),
      gateUp: normals(rows * 2 * half, 2),
      dGated: normals(rows * half),
      weight: normals(outputs * hidden, 0.3),
      bias: normals(outputs),
      x: normals(rows * hidden),
      dy: normals(rows * outputs),
      parameters: normals(loraSize, 0.3),
      logits: normals(scored.length * vocabulary, 2),
      weights: normals(scored.length),
      dScored: normals(scored.length * hidden),
      table: normals(vocabulary * hidden),
    },
  };
}

/** Sequences of unequal length, the first perhaps a prefix that the others share; in any order, perhaps with unused rows between. */
function randomSegments(
  random: Generator,
  lengths: readonly number[],
  shared: boolean,
  gaps: boolean,
): Pick<OpsCase, "segments" | "positions"> {
  const table: number[][] = [];
  const positions: number[] = [];
  for (const [i, length] of lengths.entries()) {
    if (gaps && random.uniform() < 0.5) positions.push(...Array.from({ length: random.integer(1, 3) }, () => 0));
    const prefix = shared && i > 0 ? [table[0][0], lengths[0]] : [0, 0];
    table.push([positions.length, length, ...prefix]);
    positions.push(...Array.from({ length }, (_, j) => prefix[1] + j));
  }
  if (gaps) positions.push(0);
  if (random.uniform() < 0.3) table.reverse();
  return { segments: Int32Array.from(table.flat()), positions: Int32Array.from(positions) };
}

/** One to three projections of a joined layer, not all with LoRA, their factors in the vector in any order. */
function randomLayout(random: Generator, inputs: number, outputs: number): LoraLayout {
  const cuts = [0, outputs, ...Array.from({ length: random.integer(0, 2) }, () => random.integer(0, outputs))].sort(
    (a, b) => a - b,
  );
  const spans = cuts.slice(1).map((end, i) => [cuts[i], end]);
  const used = spans.filter(([start, end]) => end > start && random.uniform() < 0.8);
  const chosen = used.length > 0 ? used : [[0, outputs]];
  let offset = random.integer(0, 4);
  const parts = chosen.map(([outputStart, outputEnd]) => {
    const rank = random.integer(1, 4);
    const offsetA = offset;
    const offsetB = offsetA + rank * inputs + random.integer(0, 3);
    offset = offsetB + rank * (outputEnd - outputStart);
    return { rank, offsetA, offsetB, outputStart, outputEnd, scale: 0.5 + random.uniform() };
  });
  return { inputs, outputs, parts };
}

export type Results = Record<string, Float32Array>;

/** Every stateless op, forward and backward, on the case's values. */
export function runOps(ops: DecoderOps, c: OpsCase): Results {
  const { device } = ops;
  const { values: v, rows, attention, hidden, half, vocabulary, layout } = c;
  const { heads, kvHeads, headDim } = attention;
  const width = (heads + 2 * kvHeads) * headDim;
  const results: Results = {};
  const put = (name: string, tensor: Tensor): Tensor => {
    results[name] = device.download(tensor) as Float32Array;
    return tensor;
  };
  scope(() => {
    const float = (name: ValueName, ...shape: number[]): Tensor => device.upload(v[name], shape);
    const active = (name: ValueName, ...shape: number[]): Tensor => ops.cast(float(name, ...shape));
    const ints = (values: Int32Array, ...shape: number[]): Tensor => device.upload(values, shape);

    const norm = float("norm", hidden);
    const both = ops.rmsNorm(float("residual", rows, hidden), active("branch", rows, hidden), norm, c.normEpsilon);
    put("rmsNorm.sum", both.sum);
    put("rmsNorm.normed", both.normed);
    put("rmsNorm.inverseRms", both.inverseRms);
    put("rmsNorm.normed of residual", ops.rmsNorm(float("residual", rows, hidden), null, norm, c.normEpsilon).normed);
    put("rmsNorm.sum of branch", ops.rmsNorm(null, active("branch", rows, hidden), norm, c.normEpsilon).sum);
    const dNormed = active("dNormed", rows, hidden);
    const dBoth = ops.rmsNormGradient(both.sum, both.inverseRms, norm, dNormed, float("dSum", rows, hidden));
    put("rmsNormGradient.residual", dBoth.residual);
    put("rmsNormGradient.branch", dBoth.branch);
    put("rmsNormGradient.residual alone", ops.rmsNormGradient(both.sum, both.inverseRms, norm, dNormed, null).residual);

    const qkv = active("qkv", rows, width);
    const positions = ints(c.positions, rows);
    const rope = {
      frequencies: float("frequencies", headDim / 2),
      queryNorm: c.queryNorm ? float("queryNorm", headDim) : null,
      keyNorm: c.keyNorm ? float("keyNorm", headDim) : null,
      normEpsilon: c.normEpsilon,
    };
    put("rope", ops.rope(qkv, positions, attention, rope));
    put("ropeGradient", ops.ropeGradient(active("dRotated", rows, width), qkv, positions, attention, rope));

    const segments = ints(c.segments, c.segments.length / 4, 4);
    const attended = ops.attention(qkv, segments, attention);
    put("attention.output", attended.output);
    put("attention.logSumExp", attended.logSumExp);
    const dAttended = active("dAttended", rows, heads * headDim);
    put("attentionGradient", ops.attentionGradient(qkv, segments, attention, attended.output, attended.logSumExp, dAttended));

    const gateUp = active("gateUp", rows, 2 * half);
    put("gated", ops.gated(gateUp, c.activation));
    const dGated = ops.gatedGradient(gateUp, active("dGated", rows, half), c.activation);
    put("gatedGradient.dGateUp", dGated.dGateUp);
    put("gatedGradient.output", dGated.output);

    const weight = ops.linearWeight(hidden, [{ weight: v.weight, bias: c.bias ? v.bias : null }]);
    ops.prepareBackward(weight);
    const lora = ops.loraWeight(float("parameters", c.loraSize), layout, true);
    const x = active("x", rows, hidden);
    const dy = active("dy", rows, weight.outputs);
    const y = ops.linear(x, weight, lora);
    put("linear.y", y.y);
    put("linear.projected", y.projected!);
    put("linear.y without lora", ops.linear(x, weight, null).y);
    put("linear.y in float32", ops.linear(x, weight, lora, "float32").y);
    const dx = ops.linearGradient(dy, weight, lora);
    put("linearGradient.dx", dx.dx);
    put("linearGradient.dProjected", dx.dProjected!);
    put("linearGradient.dx without lora", ops.linearGradient(dy, weight, null).dx);
    const gradient = ops.gradientVector(c.loraSize);
    ops.addLoraGradient(gradient, layout, x, y.projected!, dy, dx.dProjected!);
    ops.addLoraGradient(gradient, layout, x, y.projected!, dy, dx.dProjected!);
    put("addLoraGradient twice", gradient.take());

    const scored = ints(c.scored, c.scored.length);
    put("gatherRows", ops.gatherRows(x, scored));
    put("scatterRows", ops.scatterRows(active("dScored", c.scored.length, hidden), scored, rows));
    const table = ops.linearWeight(hidden, [{ weight: v.table }]);
    put("embed", ops.embed(table, ints(c.ids, rows), 1.5));

    const logits = float("logits", c.scored.length, vocabulary);
    const targets = ints(c.targets, c.scored.length);
    const loss = ops.crossEntropy(logits, targets, c.temperature);
    put("crossEntropy.nll", loss.nll);
    put("crossEntropy.logSumExp", loss.logSumExp);
    const weights = float("weights", c.scored.length);
    put("crossEntropyGradient", ops.crossEntropyGradient(logits, targets, loss.logSumExp, weights, c.temperature));
  });
  return results;
}

/** |a - b| / |b|, over all values; of all-zero b, |a|. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(difference / (norm || 1));
}

/** 1 for two all-zero arrays. */
export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return -1;
  let dot = 0;
  let ofA = 0;
  let ofB = 0;
  for (let i = 0; i < b.length; i++) {
    dot += a[i] * b[i];
    ofA += a[i] ** 2;
    ofB += b[i] ** 2;
  }
  return ofA === 0 && ofB === 0 ? 1 : dot / Math.sqrt(ofA * ofB);
}
