import { describe, expect, it } from "vitest";
import type { LoraLayout } from "../../src/tensor/ops.js";
import { portableOps } from "../../src/tensor/portable.js";
import { free, liveTensors, scope } from "../../src/tensor/tensor.js";
import { tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { tfjsDevice } from "../../src/tensor/tfjs-device.js";
import { generator, relativeError } from "./portable-cases.js";

const tensorflow = portableOps(tensorflowDevice());
const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, gradientScale: 0.5 };

/** torch.optim.AdamW in float64. */
function adamW(parameters: Float64Array, gradients: readonly Float32Array[]): Float64Array {
  const result = parameters.slice();
  const first = new Float64Array(result.length);
  const second = new Float64Array(result.length);
  for (const [step, gradient] of gradients.entries()) {
    for (let i = 0; i < result.length; i++) {
      const g = gradient[i] * options.gradientScale;
      first[i] = options.beta1 * first[i] + (1 - options.beta1) * g;
      second[i] = options.beta2 * second[i] + (1 - options.beta2) * g * g;
      const a = first[i] / (1 - options.beta1 ** (step + 1));
      const b = second[i] / (1 - options.beta2 ** (step + 1));
      result[i] -= options.learningRate * (options.weightDecay * result[i] + a / (Math.sqrt(b) + options.epsilon));
    }
  }
  return result;
}

describe("portable adamW", () => {
  it("takes the steps of AdamW in float64, on every backend, and leaves three tensors that outlive the scope", async () => {
    const random = generator(1);
    const normals = (): Float32Array => Float32Array.from({ length: 57 }, random.normal);
    const start = normals();
    const gradients = Array.from({ length: 6 }, normals);
    const expected = Float32Array.from(adamW(Float64Array.from(start), gradients));
    const before = liveTensors();
    for (const ops of [tensorflow, portableOps(await tfjsDevice("wasm")), portableOps(await tfjsDevice("javascript"))]) {
      const zeros = (): ReturnType<typeof ops.device.upload> => ops.device.upload(new Float32Array(57), [57]);
      const state = { parameters: ops.device.upload(start, [57]), firstMoment: zeros(), secondMoment: zeros() };
      for (const [step, gradient] of gradients.entries()) {
        scope(() => ops.adamW(state, ops.device.upload(gradient, [57]), { ...options, step }));
      }
      expect(relativeError(ops.device.download(state.parameters) as Float32Array, expected)).toBeLessThan(1e-6);
      expect(liveTensors().count).toBe(before.count + 3);
      free(state.parameters, state.firstMoment, state.secondMoment);
    }
    expect(liveTensors()).toEqual(before);
  });

  it("leaves the state as it was when an argument is wrong", () => {
    scope(() => {
      const vector = (n: number) => tensorflow.device.upload(new Float32Array(n), [n]);
      const state = { parameters: vector(4), firstMoment: vector(4), secondMoment: vector(4) };
      const before = { ...state };
      expect(() => tensorflow.adamW(state, vector(5), { ...options, step: 0 })).toThrow(
        /adamW: gradient must be float32\[4\], got float32\[5\]/,
      );
      expect(() => tensorflow.adamW(state, vector(4), { ...options, step: 0, beta2: 1 })).toThrow(/adamW: options.beta2/);
      expect(state).toEqual(before);
      expect(state.parameters.isLive).toBe(true);
    });
  });
});

describe("portable squaredNorm", () => {
  it("adds in float64", () => {
    scope(() => {
      const values = new Float32Array(100_001).fill(0.1);
      values[0] = 4096;
      const exact = values.reduce((sum, x) => sum + x * x, 0);
      expect(tensorflow.squaredNorm(tensorflow.device.upload(values, [values.length]))).toBe(exact);
      expect(tensorflow.squaredNorm(tensorflow.device.upload(Float32Array.of(3, 4), [2, 1]))).toBe(25);
    });
  });
});

describe("portable gradientVector", () => {
  const layout = (offsetA: number): LoraLayout => ({
    inputs: 2,
    outputs: 3,
    parts: [{ rank: 1, offsetA, offsetB: offsetA + 2, outputStart: 0, outputEnd: 3, scale: 2 }],
  });
  const add = (vector: ReturnType<typeof tensorflow.gradientVector>, offset: number): void =>
    scope(() => {
      const upload = (values: number[]) => tensorflow.device.upload(Float32Array.from(values), [1, values.length]);
      tensorflow.addLoraGradient(vector, layout(offset), upload([1, 2]), upload([3]), upload([1, 0, -1]), upload([5]));
    });

  it("sums pieces at their places, in any order, and is zero elsewhere", () => {
    const before = liveTensors();
    const vector = tensorflow.gradientVector(13);
    add(vector, 7);
    add(vector, 1);
    add(vector, 7);
    const taken = vector.take();
    const [dA, dB] = [
      [5, 10],
      [6, 0, -6],
    ];
    const twice = [...dA, ...dB].map((x) => 2 * x);
    expect([...tensorflow.device.download(taken)]).toEqual([0, ...dA, ...dB, 0, ...twice, 0]);
    taken.free();
    expect(liveTensors()).toEqual(before);
  });

  it("is all zeros when nothing was added", () => {
    scope(() => {
      expect([...tensorflow.device.download(tensorflow.gradientVector(3).take())]).toEqual([0, 0, 0]);
    });
  });

  it("refuses pieces that overlap others or do not fit, and use after its end", () => {
    const before = liveTensors();
    const vector = tensorflow.gradientVector(12);
    add(vector, 0);
    expect(() => add(vector, 1)).toThrow(/addLoraGradient: layout must be disjoint/);
    expect(() => add(vector, 8)).toThrow(/layout.parts\[0\].offsetB must be an integer in \[0, 9\], got 10/);
    vector.free();
    expect(() => vector.take()).toThrow(/already taken or freed/);
    expect(() => add(vector, 0)).toThrow(/already taken or freed/);
    expect(liveTensors()).toEqual(before);
  });
});
