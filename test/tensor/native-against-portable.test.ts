import { beforeAll, describe, expect, it } from "vitest";
import { nativeAddon } from "../../src/tensor/native-addon.js";
import { nativeOps } from "../../src/tensor/native.js";
import type { DecoderOps } from "../../src/tensor/ops.js";
import { portableOps } from "../../src/tensor/portable.js";
import { free, liveTensors, scope, type Tensor } from "../../src/tensor/tensor.js";
import { NativeUnavailableError, tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { cosine, generator, randomCase, relativeError, runOps, type CaseOptions } from "./portable-cases.js";
import { decoded, randomWorld } from "./portable-worlds.js";

/** Without a C++ compiler there are no native ops to compare; the run then shows these tests as skipped. */
function compiled(): boolean {
  try {
    return nativeAddon().kernels !== "";
  } catch (error) {
    if (error instanceof NativeUnavailableError) return false;
    throw error;
  }
}

describe.runIf(compiled())("native ops against portable ops", () => {
  let native: DecoderOps;
  let portable: DecoderOps;
  beforeAll(() => {
    native = nativeOps("float32");
    portable = portableOps(tensorflowDevice());
  });

  function compare(seed: number, options: CaseOptions = {}): void {
    const c = randomCase(seed, options);
    const expected = runOps(portable, c);
    const got = runOps(native, c);
    expect(Object.keys(got)).toEqual(Object.keys(expected));
    for (const [name, values] of Object.entries(expected)) {
      expect(relativeError(got[name], values), `${name} of ${c.name}`).toBeLessThan(1e-5);
    }
  }

  it("agree in float32 in every result of every op over 200 random shapes", () => {
    for (let seed = 5000; seed < 5200; seed++) compare(seed);
  });

  it("agree on long segments, with a shared prefix and with a window", () => {
    compare(1, { lengths: [1100, 20], window: 0, scale: 0.3 });
    compare(2, { lengths: [30, 700, 520], window: 0, scale: 0.3 });
    compare(3, { lengths: [1030, 513], window: 300, scale: 0.3 });
  });

  it("agree in direction in bfloat16 over 40 random shapes", () => {
    const native16 = nativeOps("bfloat16");
    const portable16 = portableOps(tensorflowDevice(), "bfloat16");
    for (let seed = 6000; seed < 6040; seed++) {
      const c = randomCase(seed);
      const expected = runOps(portable16, c);
      const got = runOps(native16, c);
      for (const [name, values] of Object.entries(expected)) {
        expect(cosine(got[name], values), `${name} of ${c.name}`).toBeGreaterThan(0.998);
      }
    }
  });

  it("decode the same, whatever rows step together, with and without a window", () => {
    for (let seed = 0; seed < 20; seed++) {
      const window = seed % 3 === 0 ? 1 + (seed % 7) : 0;
      const through = (ops: DecoderOps): Float32Array[][] => {
        const random = generator(300 + seed);
        return decoded(ops, randomWorld(random, window), random);
      };
      const expected = through(portable).flat();
      const got = through(native).flat();
      expect(got.length).toBe(expected.length);
      for (const [i, values] of expected.entries()) expect(relativeError(got[i], values), `seed ${seed}`).toBeLessThan(1e-5);
    }
  });

  it("draw the same ids", () => {
    const random = generator(1);
    let different = 0;
    for (const temperature of [0, 0.3, 1, 2]) {
      for (const topP of [0.2, 0.9, 1]) {
        scope(() => {
          const [rows, width] = [40, 3000];
          const logits = portable.device.upload(
            // Eighths, so that ties are common.
            Float32Array.from({ length: rows * width }, () => Math.round(16 * random.normal()) / 8),
            [rows, width],
          );
          const options = { temperature, topP, uniforms: Float32Array.from({ length: rows }, random.uniform) };
          const [a, b] = [native.sample(logits, options), portable.sample(logits, options)];
          for (let i = 0; i < rows; i++) {
            if (a.ids[i] !== b.ids[i]) different++;
            else expect(a.logProbs[i]).toBeCloseTo(b.logProbs[i], 4);
          }
          if (temperature === 0) expect([...a.ids]).toEqual([...b.ids]);
        });
      }
    }
    // A number may fall on a border between two ids up to the rounding of e^x.
    expect(different).toBeLessThan(3);
  });

  it("take the same optimiser steps and measure the same norm", () => {
    const before = liveTensors();
    const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, gradientScale: 0.3 };
    const states = [native, portable].map((ops) => {
      const random = generator(2);
      const vector = (): Tensor => ops.device.upload(Float32Array.from({ length: 5003 }, random.normal), [5003]);
      const zeros = (): Tensor => ops.device.upload(new Float32Array(5003), [5003]);
      const state = { parameters: vector(), firstMoment: zeros(), secondMoment: zeros() };
      for (let step = 0; step < 5; step++) scope(() => ops.adamW(state, vector(), { ...options, step }));
      const values = ops.device.download(state.parameters) as Float32Array;
      const norm = ops.squaredNorm(state.parameters);
      free(state.parameters, state.firstMoment, state.secondMoment);
      return { values, norm };
    });
    expect(relativeError(states[0].values, states[1].values)).toBeLessThan(1e-6);
    expect(Math.abs(states[0].norm / states[1].norm - 1)).toBeLessThan(1e-6);
    expect(liveTensors()).toEqual(before);
  });
});
