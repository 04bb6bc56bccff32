/** Intervals of times: against closed forms and by simulation. */
import { describe, expect, it } from "vitest";
import { throughputInterval, timeRequests } from "../../src/evaluate/latency.js";
import type { Prediction } from "../../src/evaluate/predictions.js";
import { createRandom, type Random } from "../../src/random.js";

/** `batches` of `size` prompts, each with a time of its own around 20 ms; the seed's own speed comes to it. */
function seedOf(random: Random, batches: number, size: number, speed = 0): Prediction[] {
  return Array.from({ length: batches }, () => 20 + speed + 4 * (random.uniform() - 0.5)).flatMap((milliseconds, batch) =>
    Array.from({ length: size }, (_, i) => ({
      ...{ id: `${batch}-${i}`, gold: "safe", harm: "safe", intent: null, harmfulProbability: null, newTokens: 2 },
      milliseconds,
    })),
  );
}

describe("throughputInterval", () => {
  it("covers the true time of one seed in 92 to 98 of 100 simulations, because it draws batches and not prompts", () => {
    const random = createRandom(1, "test");
    let [covered, narrow] = [0, 0];
    for (let i = 0; i < 200; i++) {
      const said = seedOf(random, 24, 16);
      const { low, high } = throughputInterval([[said]], { resamples: 200, seed: i })!;
      if (low <= 20 && 20 <= high) covered++;
      // The same prompts as if each had been timed by itself: far too sure.
      const alone = said.map((one, j) => ({ ...one, milliseconds: one.milliseconds + j * 1e-9 }));
      const wrong = throughputInterval([[alone]], { resamples: 200, seed: i })!;
      if (wrong.low <= 20 && 20 <= wrong.high) narrow++;
    }
    expect(covered / 200).toBeGreaterThan(0.89);
    expect(covered / 200).toBeLessThan(0.985);
    expect(narrow / 200).toBeLessThan(0.6);
  });

  it("is wider where seeds differ in speed, holds the estimate, and is the same each time", () => {
    const random = createRandom(2, "test");
    const equal = [0, 0, 0].map(() => [seedOf(random, 20, 8)]);
    const unequal = [-5, 0, 5].map((speed) => [seedOf(random, 20, 8, speed)]);
    const [one, other] = [throughputInterval(equal)!, throughputInterval(unequal)!];
    expect(other.high - other.low).toBeGreaterThan(3 * (one.high - one.low));
    expect(other.low).toBeLessThan(20);
    expect(other.high).toBeGreaterThan(20);
    expect(throughputInterval(equal)).toEqual(one);
  });

  it("is not given where nothing tells how far batches differ", () => {
    const random = createRandom(3, "test");
    expect(throughputInterval([])).toBeNull();
    expect(throughputInterval([[]])).toBeNull();
    expect(throughputInterval([[seedOf(random, 1, 8)]])).toBeNull();
    expect(throughputInterval([[seedOf(random, 4, 8)], [seedOf(random, 1, 8)]])).toBeNull();
    // One batch a set is two batches in all.
    expect(throughputInterval([[seedOf(random, 1, 8), seedOf(random, 1, 8)]])).not.toBeNull();
  });
});

it("has the median's interval by order statistics: of 30 the 10th and the 21st, of fewer than six none", async () => {
  const rows = Array.from({ length: 30 }, (_, i) => ({
    ...{ id: `${i}`, prompt: `${i}`, intent: null, source: "t" },
    harm: "safe" as const,
  }));
  // A clock that a request moves on by its prompt's number.
  const real = performance.now.bind(performance);
  let now = 0;
  performance.now = () => now;
  try {
    const request = (prompt: string): Promise<number> => {
      now += 1 + Number(prompt);
      return Promise.resolve(3);
    };
    const latency = (await timeRequests(rows, request, { warmUp: 2 }))!;
    expect(latency).toMatchObject({ requests: 30, medianMilliseconds: 15.5, medianInterval: { low: 10, high: 21 } });
    expect(latency.tokensPerPrompt).toBe(3);
    const six = (await timeRequests(rows.slice(0, 6), request))!;
    expect(six.medianInterval).toEqual({ low: 1, high: 6 });
    expect((await timeRequests(rows.slice(0, 5), request))!.medianInterval).toBeNull();
  } finally {
    performance.now = real;
  }
});
