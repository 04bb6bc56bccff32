import { createRequire } from "node:module";
import type * as tfjs from "@tensorflow/tfjs";
import { describe, expect, it } from "vitest";
import { portableOps } from "../../src/tensor/portable.js";
import { tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { runAutograd } from "./autograd.js";
import { randomCase, relativeError, runOps, type OpsCase } from "./portable-cases.js";

describe("portable ops on TensorFlow against tfjs autograd", () => {
  const ops = portableOps(tensorflowDevice());
  const tf = createRequire(import.meta.url)("@tensorflow/tfjs") as typeof tfjs;

  function compare(c: OpsCase, tolerance: number): number {
    const got = runOps(ops, c);
    const expected = runAutograd(tf, c);
    expect(Object.keys(got).sort(), c.name).toEqual(Object.keys(expected).sort());
    for (const [name, values] of Object.entries(expected)) {
      expect(relativeError(got[name], values), `${name} of ${c.name}`).toBeLessThan(tolerance);
    }
    return Object.keys(expected).length;
  }

  it("agrees in every result of every op over 120 random shapes", () => {
    let compared = 0;
    for (let seed = 0; seed < 120; seed++) compared += compare(randomCase(seed), 3e-5);
    expect(compared).toBe(120 * 30);
  });

  it.each([
    [1, [1100, 20], 0],
    [2, [30, 700, 520], 0],
    [3, [1030, 513], 300],
    [4, [5, 1025], 600],
  ])("agrees on segments longer than a block of queries (seed %i, lengths %j, window %i)", (seed, lengths, window) => {
    compare(randomCase(seed, { lengths, window, scale: 0.3 }), 1e-4);
  });
});
