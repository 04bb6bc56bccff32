import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleRow } from "../../src/tensor/sample.js";

/** The rule in float64: softmax, the smallest set of most likely ids that reaches topP, then by id the first whose share passes u. */
function nucleus(logits: Float32Array, temperature: number, topP: number): { id: number; probability: number }[] {
  const top = Math.max(...logits);
  const weights = Array.from(logits, (x) => Math.exp((x - top) / temperature));
  const total = weights.reduce((sum, w) => sum + w, 0);
  const sorted = weights
    .map((w, id) => ({ id, probability: w / total }))
    .sort((a, b) => b.probability - a.probability || a.id - b.id);
  let mass = 0;
  const kept = [];
  for (const entry of sorted) {
    kept.push(entry);
    mass += entry.probability;
    if (mass >= topP) break;
  }
  return kept.map(({ id, probability }) => ({ id, probability: probability / mass })).sort((a, b) => a.id - b.id);
}

/** Sixteenths: equal logits, and so equal probabilities, are common, and no two differ by less than float32 can tell. */
const logits = fc
  .array(fc.integer({ min: -128, max: 128 }), { minLength: 1, maxLength: 60 })
  .map((xs) => Float32Array.from(xs, (x) => x / 16));
const share = fc.float({ min: Math.fround(0.05), max: Math.fround(0.98), noNaN: true });
const temperature = fc.constantFrom(0.25, 0.7, 1, 2);

describe("sampleRow", () => {
  it("takes the largest logit when greedy, the lowest id on ties", () => {
    expect(sampleRow(Float32Array.of(1, 3, 3, 2), 0, 1, 0.9)?.id).toBe(1);
    fc.assert(fc.property(logits, (x) => sampleRow(x, 0, 0.5, 0.5)?.id === x.indexOf(Math.max(...x))));
  });

  it("draws the id whose share of the nucleus holds the number, by the rule in float64", () => {
    let near = 0;
    let all = 0;
    const property = fc.property(logits, temperature, share, share, (x, t, topP, u) => {
      const kept = nucleus(x, t, topP);
      const { id } = sampleRow(x, t, topP, u)!;
      let passed = 0;
      const at = kept.findIndex(({ probability }) => (passed += probability) > u);
      all++;
      // Where the number or topP falls on a border up to rounding, a neighbour is as right.
      if (id !== kept.at(at)!.id) near++;
    });
    fc.assert(property, { numRuns: 2000, seed: 1 });
    expect(all).toBe(2000);
    expect(near).toBeLessThan(4);
  });

  it("draws every id as often as its probability says", () => {
    const x = Float32Array.of(0.3, 2, -1, 1.1, 0.2);
    const counts = new Map<number, number>();
    const draws = 10_000;
    for (let i = 0; i < draws; i++) {
      const { id } = sampleRow(x, 0.8, 1, (i + 0.5) / draws)!;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    for (const { id, probability } of nucleus(x, 0.8, 1)) expect(counts.get(id)! / draws).toBeCloseTo(probability, 3);
  });

  it("reports the log-probability of what it drew, whatever topP is", () => {
    fc.assert(
      fc.property(logits, temperature, share, share, (x, t, topP, u) => {
        const { id, logProb } = sampleRow(x, t, topP, u)!;
        const expected = nucleus(x, t, 1).find((entry) => entry.id === id)!.probability;
        expect(logProb).toBeCloseTo(Math.log(expected), 4);
      }),
    );
    const [a, b] = [2, 5].map((x) => Math.exp(x));
    expect(sampleRow(Float32Array.of(2, 5), 0, 1, 0)?.logProb).toBeCloseTo(Math.log(b / (a + b)), 6);
  });

  it("never leaves the vocabulary at the ends of the interval", () => {
    for (const u of [0, Math.fround(1 - 2 ** -24)]) {
      expect(sampleRow(Float32Array.of(-200, 0, -300), 1, 1, u)?.id).toBe(1);
      expect(sampleRow(Float32Array.of(0, 0, 0), 1, 1, u)?.id).toBe(u === 0 ? 0 : 2);
    }
  });

  it("refuses rows without a finite maximum", () => {
    for (const bad of [NaN, Infinity]) expect(sampleRow(Float32Array.of(0, bad, 1), 1, 1, 0.5)).toBeNull();
    expect(sampleRow(Float32Array.of(-Infinity, -Infinity), 0, 1, 0.5)).toBeNull();
    expect(sampleRow(Float32Array.of(-Infinity, 1), 1, 1, 0.5)?.id).toBe(1);
  });
});
