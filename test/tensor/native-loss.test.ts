import { describe, expect, it } from "vitest";
import { createRandom } from "../../src/random.js";
import { nativeOps } from "../../src/tensor/native.js";
import type { Precision } from "../../src/tensor/ops.js";
import { liveTensors, scope, TensorError, type Tensor } from "../../src/tensor/tensor.js";
import { crossEntropyCase, FusedCases } from "../native/fused-cases.js";

const precisions: Precision[] = ["float32", "bfloat16"];
const ops = nativeOps("float32");
const { device } = ops;
const float = (x: ArrayLike<number>, ...shape: number[]): Tensor =>
  device.upload(Float32Array.from(x), shape.length > 0 ? shape : [x.length]);

describe("native cross-entropy", () => {
  it.each(precisions)("agrees with float64 loops on 60 random shapes in %s", (precision) => {
    new FusedCases(precision, 6).run([crossEntropyCase], 60);
  });

  it("propagates NaN, and takes an impossible token as one of probability 0", () => {
    scope(() => {
      const rows = float([1, NaN, 2, 1, -Infinity, 2, 1, Infinity, 0], 3, 3);
      const { nll } = ops.crossEntropy(rows, device.upload(Int32Array.of(0, 2, 0), [3]), 1);
      const values = device.download(nll) as Float32Array;
      expect(values[0]).toBeNaN();
      expect(values[1]).toBeCloseTo(Math.log(1 + Math.exp(-1)), 6);
      expect(values[2]).toBeNaN();
    });
  });

  it("rejects wrong targets, shapes and temperatures", () => {
    const targets = (...x: number[]): Tensor => device.upload(Int32Array.from(x), [x.length]);
    const before = liveTensors();
    const wrong: [RegExp, () => unknown][] = [
      [
        /CrossEntropy.*"targets".*value 5 at index 1 is outside \[0, 5\)/,
        () => ops.crossEntropy(float(new Float32Array(10), 2, 5), targets(0, 5), 1),
      ],
      [/"targets".*value -1/, () => ops.crossEntropy(float(new Float32Array(10), 2, 5), targets(-1, 0), 1)],
      [/"targets".*\[2\]/, () => ops.crossEntropy(float(new Float32Array(10), 2, 5), targets(0), 1)],
      [/"temperature".*above 0/, () => ops.crossEntropy(float(new Float32Array(10), 2, 5), targets(0, 1), 0)],
    ];
    for (const [message, call] of wrong) {
      expect(() => scope(() => void call())).toThrow(TensorError);
      expect(() => scope(() => void call())).toThrow(message);
    }
    expect(liveTensors()).toEqual(before);
  });
});

describe("native adamW", () => {
  const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, gradientScale: 0.5 };

  it("takes the steps of torch.optim.AdamW in float64, in place", () => {
    const random = createRandom(7);
    const size = 10_007;
    const normal = (): number => random.uniform() * 2 - 1;
    const start = Float32Array.from({ length: size }, normal);
    const [p, m, v] = [Float64Array.from(start), new Float64Array(size), new Float64Array(size)];
    const state = {
      parameters: float(start),
      firstMoment: float(new Float32Array(size)),
      secondMoment: float(new Float32Array(size)),
    };
    const parameters = state.parameters;
    const before = liveTensors();
    for (let step = 0; step < 20; step++) {
      const gradient = Float32Array.from({ length: size }, normal);
      scope(() => {
        ops.adamW(state, float(gradient), { ...options, step });
      });
      for (let i = 0; i < size; i++) {
        const g = gradient[i] * options.gradientScale;
        m[i] = options.beta1 * m[i] + (1 - options.beta1) * g;
        v[i] = options.beta2 * v[i] + (1 - options.beta2) * g * g;
        p[i] *= 1 - options.learningRate * options.weightDecay;
        const root = Math.sqrt(v[i] / (1 - options.beta2 ** (step + 1)));
        p[i] -= (options.learningRate * (m[i] / (1 - options.beta1 ** (step + 1)))) / (root + options.epsilon);
      }
    }
    expect(state.parameters).toBe(parameters);
    const result = device.download(state.parameters);
    expect(Math.max(...p.map((x, i) => Math.abs(x - result[i])))).toBeLessThan(2e-6);
    expect(liveTensors()).toEqual(before);
    Object.values(state).forEach((tensor) => { tensor.free(); }); // prettier-ignore
  });

  it("rejects moments of another size, one tensor twice, and impossible options", () => {
    scope(() => {
      const state = { parameters: float([1, 2]), firstMoment: float([0, 0]), secondMoment: float([0, 0]) };
      const step = (s: typeof state, more = {}): void => {
        ops.adamW(s, float([1, 1]), { ...options, step: 0, ...more });
      };
      expect(() => { step({ ...state, firstMoment: float([0]) }); }).toThrow(/"first_moment".*\[2\]/); // prettier-ignore
      expect(() => { step({ ...state, secondMoment: state.firstMoment }); }).toThrow(/different tensors/); // prettier-ignore
      expect(() => { step(state, { beta2: 1 }); }).toThrow(TensorError); // prettier-ignore
      expect(() => { step(state, { step: -1 }); }).toThrow(TensorError); // prettier-ignore
      expect(() => { step(state, { gradientScale: NaN }); }).toThrow(/"step".*not finite/); // prettier-ignore
      expect([...device.download(state.parameters)]).toEqual([1, 2]);
    });
  });
});

describe("native squaredNorm", () => {
  it("sums in float64", () => {
    const random = createRandom(8);
    const x = Float32Array.from({ length: 100_003 }, () => random.uniform() * 100);
    const exact = x.reduce((total, value) => total + value * value, 0);
    scope(() => {
      expect(Math.abs(ops.squaredNorm(float(x)) / exact - 1)).toBeLessThan(1e-12);
      expect(ops.squaredNorm(float([]))).toBe(0);
      expect(ops.squaredNorm(float([1, NaN]))).toBeNaN();
      expect(ops.squaredNorm(float([1, Infinity]))).toBe(Infinity);
    });
  });
});

describe("native sample", () => {
  const random = createRandom(9);
  const vocabulary = 1000;
  const logits = Float32Array.from({ length: vocabulary }, () => 6 * random.uniform());
  const draw = (rows: number, temperature: number, topP: number, x: Float32Array = logits): ReturnType<typeof ops.sample> =>
    scope(() => {
      const many = Float32Array.from({ length: rows * x.length }, (_, i) => x[i % x.length]);
      const uniforms = Float32Array.from({ length: rows }, () => random.uniform());
      return ops.sample(float(many, rows, x.length), { temperature, topP, uniforms });
    });
  const softmax = (temperature: number): number[] => {
    const weights = Array.from(logits, (x) => Math.exp(x / temperature));
    const total = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / total);
  };

  it("takes the largest logit when greedy, the lowest id on ties, with its log-probability", () => {
    const { ids, logProbs } = draw(3, 0, 1, Float32Array.of(1, 5, 3, 5, -Infinity));
    expect([...ids]).toEqual([1, 1, 1]);
    expect(logProbs[0]).toBeCloseTo(-Math.log(2 + Math.exp(-4) + Math.exp(-2)), 5);
  });

  it.each([0.7, 1, 1.5])("draws from the softmax at temperature %d (chi-square)", (temperature) => {
    const [probabilities, draws, bins] = [softmax(temperature), 20_000, 20];
    const { ids, logProbs } = draw(draws, temperature, 1);
    const binOf = (id: number): number => Math.floor((id * bins) / vocabulary);
    const [counts, shares] = [new Float64Array(bins), new Float64Array(bins)];
    for (const id of ids) counts[binOf(id)]++;
    probabilities.forEach((p, id) => (shares[binOf(id)] += p));
    const chiSquare = counts.reduce((sum, n, i) => sum + (n - draws * shares[i]) ** 2 / (draws * shares[i]), 0);
    // 19 degrees of freedom: 43.8 is exceeded once in 1,000.
    expect(chiSquare).toBeLessThan(43.8);
    for (let i = 0; i < 100; i++) expect(logProbs[i]).toBeCloseTo(Math.log(probabilities[ids[i]]), 4);
  });

  it.each([0.05, 0.5, 0.9, 0.999])("draws from the nucleus of %d only, and from all of it", (topP) => {
    const probabilities = softmax(1);
    const order = probabilities.map((_, id) => id).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    let mass = 0;
    const nucleus = new Set(order.filter((id) => { const inside = mass < topP; mass += probabilities[id]; return inside; })); // prettier-ignore
    const drawn = new Set(draw(20_000, 1, topP).ids);
    expect([...drawn].filter((id) => !nucleus.has(id))).toEqual([]);
    const likely = [...nucleus].filter((id) => probabilities[id] > 0.001);
    expect(likely.filter((id) => !drawn.has(id))).toEqual([]);
  });

  it("gives a row the same id whatever the batch", () => {
    const rows = 65;
    const x = Float32Array.from({ length: rows * vocabulary }, () => 9 * random.uniform());
    const uniforms = Float32Array.from({ length: rows }, () => random.uniform());
    for (const topP of [1, 0.8]) {
      const together = scope(() => ops.sample(float(x, rows, vocabulary), { temperature: 0.8, topP, uniforms }));
      for (let i = 0; i < rows; i++) {
        const row = x.slice(i * vocabulary, (i + 1) * vocabulary);
        const alone = scope(() =>
          ops.sample(float(row, 1, vocabulary), { temperature: 0.8, topP, uniforms: uniforms.slice(i, i + 1) }),
        );
        expect([alone.ids[0], alone.logProbs[0]]).toEqual([together.ids[i], together.logProbs[i]]);
      }
    }
  });

  it("always takes the one possible token, at the edges of the uniforms too", () => {
    const one = Float32Array.from({ length: 50 }, (_, i) => (i === 31 ? 0 : -Infinity));
    const uniforms = Float32Array.of(0, 0.5, 1 - 2 ** -24);
    const many = Float32Array.from({ length: 150 }, (_, i) => one[i % 50]);
    for (const topP of [1, 0.5]) {
      expect([...scope(() => ops.sample(float(many, 3, 50), { temperature: 1, topP, uniforms })).ids]).toEqual([31, 31, 31]);
    }
  });

  it("rejects rows without a finite maximum, and wrong options", () => {
    const before = liveTensors();
    const u = Float32Array.of(0.5, 0.5);
    const on = (x: number[], temperature = 1, topP = 1, uniforms = u): unknown =>
      scope(() => ops.sample(float(x, 2, x.length / 2), { temperature, topP, uniforms }));
    for (const temperature of [0, 1]) {
      expect(() => on([1, 2, NaN, 2], temperature)).toThrow(/"logits": row 1 has no finite maximum/);
      expect(() => on([Infinity, 2, 1, 2], temperature)).toThrow(/row 0/);
      expect(() => on([-Infinity, -Infinity, 1, 2], temperature)).toThrow(/row 0/);
    }
    expect(() => on([1, 2, 3, 4], -1)).toThrow(/temperature/);
    expect(() => on([1, 2, 3, 4], NaN)).toThrow(/not finite/);
    expect(() => on([1, 2, 3, 4], 1, 0)).toThrow(/topP/);
    expect(() => on([1, 2, 3, 4], 1, 1.5)).toThrow(/topP/);
    expect(() => on([1, 2, 3, 4], 1, 1, Float32Array.of(0.5))).toThrow(/1 uniforms for 2 rows/);
    expect(() => on([1, 2, 3, 4], 1, 1, Float32Array.of(0.5, 1))).toThrow(/"uniforms".*index 1/);
    expect(() => on([], 1)).toThrow(TensorError);
    expect(liveTensors()).toEqual(before);
  });
});
