import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom, randomFromState, shuffled } from "../src/random.js";

const draw = (random: { uniform(): number }, n: number): number[] => Array.from({ length: n }, () => random.uniform());

describe("createRandom", () => {
  it("gives the same stream for the same seed and keys, and goes on from a saved state", () => {
    const random = createRandom(22, "epoch", 3);
    expect(draw(createRandom(22, "epoch", 3), 50)).toEqual(draw(random, 50));
    const state = random.state();
    expect(draw(randomFromState(state), 50)).toEqual(draw(random, 50));
  });

  it("gives other streams for other seeds and keys, also where joined keys would read the same", () => {
    const keys: (number | string)[][] = [
      [],
      [0],
      ["ab", "c"],
      ["a", "bc"],
      ["abc"],
      [1, 2],
      [12],
      [2 ** 40],
      [2 ** 40 + 1],
      ["1"],
      [0.5],
    ];
    const streams = [0, 1, 2 ** 33].flatMap((seed) => keys.map((k) => draw(createRandom(seed, ...k), 4).join()));
    // 0.5 and 0 share their integer part: seeds and keys are integers.
    expect(new Set(streams).size).toBe(3 * (keys.length - 1));
  });

  it("is uniform: chi-square over 64 cells stays under the 99.99% point, for many neighbouring streams", () => {
    for (let key = 0; key < 20; key++) {
      const random = createRandom(7, key);
      const cells = new Float64Array(64);
      for (let i = 0; i < 64_000; i++) cells[Math.floor(random.uniform() * 64)]++;
      const chiSquare = cells.reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
      expect(chiSquare).toBeLessThan(115);
    }
  });

  it("has neighbouring streams that do not correlate", () => {
    const a = draw(createRandom(1, "x", 0), 20_000);
    const b = draw(createRandom(1, "x", 1), 20_000);
    const correlation = a.reduce((sum, v, i) => sum + (v - 0.5) * (b[i] - 0.5), 0) / 20_000 / (1 / 12);
    expect(Math.abs(correlation)).toBeLessThan(0.03);
  });
});

describe("shuffled", () => {
  it("permutes without touching its input", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.integer({ min: 0 }), (items, seed) => {
        const before = [...items];
        const result = shuffled(items, createRandom(seed));
        expect(items).toEqual(before);
        expect([...result].sort()).toEqual([...items].sort());
      }),
    );
  });
});
