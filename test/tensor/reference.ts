/** The decoder's ops in float64, written for reading: one loop per formula, no batching, no packing. Rows are flat arrays. */
import type { Activation, AttentionConfig } from "../../src/tensor/ops.js";

type Numbers = ArrayLike<number>;

export interface RopeNumbers {
  readonly frequencies: Numbers;
  readonly queryNorm: Numbers | null;
  readonly keyNorm: Numbers | null;
  readonly normEpsilon: number;
}

/** sum · weight / sqrt(mean(sum²) + epsilon) of one row. */
export function rmsNorm(row: Numbers, weight: Numbers, epsilon: number): { normed: number[]; inverseRms: number } {
  const x = Array.from(row);
  const inverseRms = 1 / Math.sqrt(x.reduce((total, v) => total + v * v, 0) / x.length + epsilon);
  return { normed: x.map((v, j) => v * inverseRms * weight[j]), inverseRms };
}

/** The gradient of one row of rmsNorm with respect to the row. */
export function rmsNormGradient(row: Numbers, weight: Numbers, epsilon: number, dNormed: Numbers): number[] {
  const x = Array.from(row);
  const { inverseRms } = rmsNorm(x, weight, epsilon);
  const mean = x.reduce((total, v, j) => total + v * weight[j] * dNormed[j], 0) / x.length;
  return x.map((v, j) => inverseRms * (weight[j] * dNormed[j] - v * mean * inverseRms ** 2));
}

/** Pairs (j, j + d/2) turned by angle position · frequency, rounded to float32 as transformers does; direction -1 turns back. */
function turned(head: Numbers, position: number, frequencies: Numbers, direction: number): number[] {
  const half = head.length / 2;
  const out = Array.from(head);
  for (let j = 0; j < half; j++) {
    const angle = Math.fround(position * frequencies[j]);
    const cosine = Math.cos(angle);
    const sine = direction * Math.sin(angle);
    out[j] = head[j] * cosine - head[j + half] * sine;
    out[j + half] = head[j + half] * cosine + head[j] * sine;
  }
  return out;
}

/** One row of q | k | v: norm if any and rotation of q and k. With `dRotated` the gradient instead. */
export function rope(
  qkv: Numbers,
  position: number,
  config: AttentionConfig,
  numbers: RopeNumbers,
  dRotated?: Numbers,
): number[] {
  const { heads, kvHeads, headDim: d } = config;
  const out = Array.from(dRotated ?? qkv);
  for (let h = 0; h < heads + kvHeads; h++) {
    const norm = h < heads ? numbers.queryNorm : numbers.keyNorm;
    const head = Array.from(qkv).slice(h * d, (h + 1) * d);
    if (!dRotated) {
      const x = norm ? rmsNorm(head, norm, numbers.normEpsilon).normed : head;
      out.splice(h * d, d, ...turned(x, position, numbers.frequencies, 1));
    } else {
      const back = turned(Array.from(dRotated).slice(h * d, (h + 1) * d), position, numbers.frequencies, -1);
      out.splice(h * d, d, ...(norm ? rmsNormGradient(head, norm, numbers.normEpsilon, back) : back));
    }
  }
  return out;
}

/** Which rows a query sees: its segment's prefix, then its own rows up to itself, the last `window` of them all. */
function seen([start, , prefixStart, prefixLength]: readonly number[], query: number, window: number): number[] {
  const prefix = Array.from({ length: prefixLength }, (_, i) => prefixStart + i);
  const context = [...prefix, ...Array.from({ length: query + 1 }, (_, i) => start + i)];
  return window > 0 ? context.slice(-window) : context;
}

/** Calls body for every query row and head: the rows that it sees and their softmax weights. */
function eachQuery(
  qkv: Numbers,
  segments: Numbers,
  config: AttentionConfig,
  body: (row: number, head: number, keys: readonly number[], weights: readonly number[], logSumExp: number) => void,
): void {
  const { heads, kvHeads, headDim: d, scale, window } = config;
  const width = (heads + 2 * kvHeads) * d;
  for (let s = 0; s < segments.length / 4; s++) {
    const segment = [0, 1, 2, 3].map((i) => segments[4 * s + i]);
    for (let i = 0; i < segment[1]; i++) {
      const row = segment[0] + i;
      const keys = seen(segment, i, window);
      for (let h = 0; h < heads; h++) {
        const kv = heads + Math.floor(h / (heads / kvHeads));
        const scores = keys.map((key) => {
          let dot = 0;
          for (let j = 0; j < d; j++) dot += qkv[row * width + h * d + j] * qkv[key * width + kv * d + j];
          return dot * scale;
        });
        const top = scores.reduce((a, b) => Math.max(a, b));
        const sum = scores.reduce((total, score) => total + Math.exp(score - top), 0);
        const logSumExp = top + Math.log(sum);
        body(
          row,
          h,
          keys,
          scores.map((score) => Math.exp(score - logSumExp)),
          logSumExp,
        );
      }
    }
  }
}

/** As {@link DecoderOps.attention}. */
export function attention(
  qkv: Numbers,
  segments: Numbers,
  config: AttentionConfig,
): { output: Float64Array; logSumExp: Float64Array } {
  const { heads, kvHeads, headDim: d } = config;
  const width = (heads + 2 * kvHeads) * d;
  const rows = qkv.length / width;
  const output = new Float64Array(rows * heads * d);
  const logSumExps = new Float64Array(heads * rows);
  eachQuery(qkv, segments, config, (row, h, keys, weights, logSumExp) => {
    logSumExps[h * rows + row] = logSumExp;
    const v = (heads + kvHeads + Math.floor(h / (heads / kvHeads))) * d;
    keys.forEach((key, k) => {
      for (let j = 0; j < d; j++) output[(row * heads + h) * d + j] += weights[k] * qkv[key * width + v + j];
    });
  });
  return { output, logSumExp: logSumExps };
}

/** As {@link DecoderOps.attentionGradient}. */
export function attentionGradient(qkv: Numbers, segments: Numbers, config: AttentionConfig, dOutput: Numbers): Float64Array {
  const { heads, kvHeads, headDim: d, scale } = config;
  const width = (heads + 2 * kvHeads) * d;
  const gradient = new Float64Array(qkv.length);
  eachQuery(qkv, segments, config, (row, h, keys, weights) => {
    const q = row * width + h * d;
    const kv = heads + Math.floor(h / (heads / kvHeads));
    const dWeights = keys.map((key) => {
      let dot = 0;
      for (let j = 0; j < d; j++) dot += dOutput[(row * heads + h) * d + j] * qkv[key * width + (kv + kvHeads) * d + j];
      return dot;
    });
    const mean = dWeights.reduce((total, dWeight, k) => total + dWeight * weights[k], 0);
    keys.forEach((key, i) => {
      const k = key * width + kv * d;
      const dScore = weights[i] * (dWeights[i] - mean) * scale;
      for (let j = 0; j < d; j++) {
        gradient[q + j] += dScore * qkv[k + j];
        gradient[k + j] += dScore * qkv[q + j];
        gradient[k + kvHeads * d + j] += weights[i] * dOutput[(row * heads + h) * d + j];
      }
    });
  });
  return gradient;
}

/** activation(gate) and its derivative. */
export function activate(activation: Activation, x: number): { value: number; derivative: number } {
  if (activation === "silu") {
    const s = 1 / (1 + Math.exp(-x));
    return { value: x * s, derivative: s * (1 + x * (1 - s)) };
  }
  const u = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
  const t = Math.tanh(u);
  const slope = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x ** 2);
  return { value: 0.5 * x * (1 + t), derivative: 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope };
}

/** Negative log-likelihood of one row, its log-sum-exp, and weight · d nll / d logits. */
export function crossEntropy(
  logits: Numbers,
  target: number,
  temperature: number,
  weight: number,
): { nll: number; logSumExp: number; gradient: number[] } {
  const x = Array.from(logits, (logit) => logit / temperature);
  const top = x.reduce((a, b) => Math.max(a, b));
  const logSumExp = top + Math.log(x.reduce((total, v) => total + Math.exp(v - top), 0));
  const gradient = x.map((v, j) => ((Math.exp(v - logSumExp) - (j === target ? 1 : 0)) * weight) / temperature);
  return { nll: logSumExp - x[target], logSumExp, gradient };
}
