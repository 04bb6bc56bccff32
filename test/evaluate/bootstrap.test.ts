import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Harm } from "../../src/data/prompt.js";
import type { IdentifiedRow } from "../../src/evaluate/align.js";
import {
  BootstrapError,
  bootstrapInterval,
  bootstrapMean,
  contrastInterval,
  pairedDifference,
  pairedMeanDifference,
} from "../../src/evaluate/bootstrap.js";
import { compareModels } from "../../src/evaluate/comparison.js";
import { score, UNPARSED_RULES } from "../../src/evaluate/metrics.js";
import { PredictionMismatchError } from "../../src/evaluate/predictions.js";
import { accuracyStatistic, AUPRC_STATISTIC, AUROC_STATISTIC, f1Statistic } from "../../src/evaluate/statistic.js";
import { createRandom, type Random } from "../../src/random.js";

/** A model that is right with the given chance on each class, drawn for fresh prompts. */
function simulate(random: Random, count: number, share: number, recall: number, specificity: number): IdentifiedRow[] {
  return Array.from({ length: count }, (_, i) => {
    const gold: Harm = random.uniform() < share ? "harmful" : "safe";
    const right = random.uniform() < (gold === "harmful" ? recall : specificity);
    const harm: Harm = right === (gold === "harmful") ? "harmful" : "safe";
    return { id: `${i}`, gold, harm, harmfulProbability: Math.min(1, (harm === "harmful" ? 0.4 : 0) + 0.6 * random.uniform()) };
  });
}

const anyRows = fc.array(
  fc.record({
    gold: fc.constantFrom<Harm>("harmful", "safe"),
    harm: fc.constantFrom<Harm | "unparsed">("harmful", "safe", "unparsed"),
    harmfulProbability: fc.option(fc.integer({ min: 0, max: 8 }).map((n) => n / 8)),
    count: fc.integer({ min: 0, max: 4 }),
  }),
  { minLength: 1, maxLength: 40 },
);

describe("a statistic under counts", () => {
  it("is the score of the rows written out", () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const counts = Int32Array.from(rows, (row) => row.count);
        const scores = score(rows.flatMap((row) => Array.from({ length: row.count }, () => row)));
        const same = (value: number | null, expected: number | null): void => {
          if (expected === null) expect(value).toBeNull();
          else expect(value).toBeCloseTo(expected, 12);
        };
        for (const rule of UNPARSED_RULES) {
          same(f1Statistic(rule).prepare(rows)(counts), scores.byRule[rule].f1);
          same(accuracyStatistic(rule).prepare(rows)(counts), scores.byRule[rule].accuracy);
        }
        same(AUROC_STATISTIC.prepare(rows)(counts), scores.auroc);
        same(AUPRC_STATISTIC.prepare(rows)(counts), scores.auprc);
      }),
    );
  });
});

describe("an interval of one model", () => {
  // 1,000 fresh test sets from a population whose scores are known.
  it("covers the truth in 93 to 97 of 100 simulations", () => {
    const [share, recall, specificity] = [0.45, 0.75, 0.85];
    const hit = share * recall;
    const truth = {
      f1: (2 * hit) / (hit + (1 - share) * (1 - specificity) + share),
      accuracy: hit + (1 - share) * specificity,
    };
    const random = createRandom(1, "coverage");
    const covered = { f1: 0, accuracy: 0 };
    const simulations = 1000;
    for (let i = 0; i < simulations; i++) {
      const rows = simulate(random, 300, share, recall, specificity);
      for (const statistic of [f1Statistic(), accuracyStatistic()]) {
        const name = statistic.name as "f1" | "accuracy";
        const { low, high } = bootstrapInterval([rows], statistic, { resamples: 500, seed: i })!;
        if (low <= truth[name] && truth[name] <= high) covered[name]++;
      }
    }
    for (const count of Object.values(covered)) {
      expect(count / simulations).toBeGreaterThanOrEqual(0.93);
      expect(count / simulations).toBeLessThanOrEqual(0.97);
    }
  });

  it("is the same for the same seed, another for another, and its estimate is the score itself", () => {
    const rows = simulate(createRandom(2), 150, 0.5, 0.7, 0.8);
    const first = bootstrapInterval([rows], AUROC_STATISTIC)!;
    expect(bootstrapInterval([rows], AUROC_STATISTIC)).toEqual(first);
    expect(bootstrapInterval([rows], AUROC_STATISTIC, { seed: 23 })).not.toEqual(first);
    expect(first.estimate).toBeCloseTo(score(rows).auroc!, 12);
    expect(first.low).toBeLessThan(first.estimate);
    expect(first.high).toBeGreaterThan(first.estimate);
    expect(first).toMatchObject({ level: 0.95, resamples: 2000, undefinedResamples: 0, seeds: [1] });
  });

  it("has the width that theory gives for a share", () => {
    const rows = simulate(createRandom(3), 1000, 0.5, 0.8, 0.8);
    const { estimate, low, high } = bootstrapInterval([rows], accuracyStatistic(), { resamples: 4000 })!;
    expect((high - low) / (2 * 1.96 * Math.sqrt((estimate * (1 - estimate)) / 1000))).toBeCloseTo(1, 1);
  });

  it("leaves out draws on which the score is not defined, and is null where it never is", () => {
    const rows = simulate(createRandom(4), 6, 1, 0.7, 0.7);
    expect(bootstrapInterval([rows], AUROC_STATISTIC)).toBeNull();
    const mixed = [{ ...rows[0], gold: "safe" as const }, ...rows.slice(1)];
    const interval = bootstrapInterval([mixed], AUROC_STATISTIC)!;
    // The one safe row is missing from (5/6)^6 = 33% of the draws.
    expect(interval.undefinedResamples / interval.resamples).toBeCloseTo(0.335, 1);
  });

  it("refuses what cannot be drawn from", () => {
    expect(() => bootstrapInterval([[]], f1Statistic())).toThrow(BootstrapError);
    expect(() => bootstrapInterval([], f1Statistic())).toThrow(BootstrapError);
    expect(() => bootstrapMean([], f1Statistic())).toThrow(BootstrapError);
    const rows = simulate(createRandom(5), 5, 0.5, 0.5, 0.5);
    expect(() => bootstrapInterval([rows], f1Statistic(), { resamples: 0 })).toThrow(BootstrapError);
    expect(() => bootstrapMean([[rows], [rows, rows]], f1Statistic())).toThrow(/same seeds/);
  });
});

describe("a difference of two models", () => {
  const random = createRandom(6);
  const b = simulate(random, 200, 0.5, 0.6, 0.7);
  // Right wherever b is, and on some prompts more.
  const a = b.map((row) => (random.uniform() < 0.3 ? { ...row, harm: row.gold } : row));

  it("is narrower than the two apart, since both meet the same prompts, whatever their order", () => {
    const difference = pairedDifference([a], [b.toReversed()], accuracyStatistic())!;
    expect(difference.estimate).toBeCloseTo(score(a).byRule.wrong.accuracy! - score(b).byRule.wrong.accuracy!, 12);
    expect(difference.low).toBeGreaterThan(0);
    const alone = bootstrapInterval([b], accuracyStatistic())!;
    expect(difference.high - difference.low).toBeLessThan(alone.high - alone.low);
    expect(pairedDifference([b], [a], accuracyStatistic())!.estimate).toBeCloseTo(-difference.estimate, 12);
  });

  it("is nothing between a model and itself", () => {
    expect(pairedDifference([a], [a], f1Statistic())).toMatchObject({ estimate: 0, low: 0, high: 0 });
  });

  it("refuses predictions on other prompts", () => {
    expect(() => pairedDifference([a], [b.slice(1)], f1Statistic())).toThrow(PredictionMismatchError);
    expect(() => pairedDifference([a.slice(1)], [b], f1Statistic())).toThrow(PredictionMismatchError);
    expect(() =>
      pairedDifference([[...a]], [[{ ...b[0], gold: b[0].gold === "safe" ? "harmful" : "safe" }, ...b.slice(1)]], f1Statistic()),
    ).toThrow(/gold label/);
  });

  it("of means over sets is the mean of the differences", () => {
    const sets = [
      { a: [a], b: [b] },
      { a: [b], b: [b] },
    ];
    const mean = pairedMeanDifference(sets, f1Statistic())!;
    const one = pairedDifference([a], [b], f1Statistic())!;
    expect(mean.estimate).toBeCloseTo(one.estimate / 2, 12);
    expect(mean.high - mean.low).toBeCloseTo((one.high - one.low) / 2, 1);
    expect(bootstrapMean([[a], [b]], f1Statistic())!.estimate).toBeCloseTo(
      (score(a).byRule.wrong.f1! + score(b).byRule.wrong.f1!) / 2,
      12,
    );
  });
});

describe("several seeds", () => {
  // Every seed errs on prompts of its own and has a skill of its own.
  const runs = (random: Random, seeds: number, spread: number): IdentifiedRow[][] =>
    Array.from({ length: seeds }, () => {
      const skill = 0.75 + spread * (2 * random.uniform() - 1);
      return Array.from({ length: 120 }, (_, i) => {
        const gold: Harm = i % 2 === 0 ? "harmful" : "safe";
        const harm: Harm = random.uniform() < skill === (gold === "harmful") ? "harmful" : "safe";
        return { id: `${i}`, gold, harm, harmfulProbability: null };
      });
    });

  it("are averaged, and their spread widens the interval", () => {
    const random = createRandom(7);
    const alike = runs(random, 5, 0);
    const unlike = runs(random, 5, 0.2);
    const mean = bootstrapInterval(unlike, accuracyStatistic())!;
    const scores = unlike.map((rows) => score(rows).byRule.wrong.accuracy!);
    expect(mean.estimate).toBeCloseTo(scores.reduce((x, y) => x + y) / 5, 12);
    expect(mean.seeds).toEqual([5]);
    const even = bootstrapInterval(alike, accuracyStatistic())!;
    expect(mean.high - mean.low).toBeGreaterThan(1.3 * (even.high - even.low));
  });

  it("vary as the mean of k seeds does: the same prompts right or wrong for a whole seed leave only the seeds' variance", () => {
    const constant = [0, 0, 1, 1, 1].map((right) =>
      runs(createRandom(8), 1, 0)[0].map((row) => ({
        ...row,
        harm: (row.gold === "safe") === (right === 1) ? ("safe" as const) : ("harmful" as const),
      })),
    );
    const interval = bootstrapInterval(constant, accuracyStatistic(), { level: 0.5, resamples: 20_000 })!;
    // Four draws of five values with mean 0.6: binomial(4, 0.6) / 4, quartiles 0.5 and 0.75.
    expect(interval).toMatchObject({ estimate: 0.6, low: 0.5, high: 0.75 });
  });

  it("cover a difference between methods that vary by seed", () => {
    const random = createRandom(9);
    let covered = 0;
    for (let i = 0; i < 200; i++) {
      const { low, high } = pairedDifference(runs(random, 5, 0.1), runs(random, 5, 0.1), accuracyStatistic(), {
        resamples: 300,
        seed: i,
      })!;
      if (low <= 0 && 0 <= high) covered++;
    }
    expect(covered / 200).toBeGreaterThan(0.9);
  });
});

describe("seeds whose runs start from each other", () => {
  interface Trained {
    readonly start: IdentifiedRow[][];
    readonly trained: IdentifiedRow[][];
  }

  /** Five starts of very different skill, each trained on to a gain that varies by seed. */
  function train(random: Random, gain: number): Trained {
    const pairs = Array.from({ length: 5 }, () => {
      const skill = 0.65 + 0.2 * (2 * random.uniform() - 1);
      const better = skill + gain + 0.05 * (2 * random.uniform() - 1);
      const rows = Array.from({ length: 120 }, (_, i) => {
        // Training changes the answers to some prompts and leaves the others as they were.
        const difficulty = random.uniform();
        return [skill, better].map((reach): IdentifiedRow => {
          const gold: Harm = i % 2 === 0 ? "harmful" : "safe";
          const harm: Harm = difficulty < reach === (gold === "harmful") ? "harmful" : "safe";
          return { id: `${i}`, gold, harm, harmfulProbability: null };
        });
      });
      return { start: rows.map(([row]) => row), trained: rows.map(([, row]) => row) };
    });
    return { start: pairs.map(({ start }) => start), trained: pairs.map(({ trained }) => trained) };
  }

  it("cover the gain drawn together or apart, and together with a clearly narrower interval", () => {
    const random = createRandom(10);
    const covered = { together: 0, apart: 0 };
    const width = { together: 0, apart: 0 };
    const simulations = 200;
    for (let i = 0; i < simulations; i++) {
      const { start, trained } = train(random, 0.05);
      for (const seeds of ["together", "apart"] as const) {
        const { low, high } = pairedDifference(trained, start, accuracyStatistic(), { resamples: 300, seed: i, seeds })!;
        if (low <= 0.05 && 0.05 <= high) covered[seeds]++;
        width[seeds] += high - low;
      }
    }
    for (const count of Object.values(covered)) expect(count / simulations).toBeGreaterThanOrEqual(0.9);
    expect(width.together).toBeLessThan(0.5 * width.apart);
  });

  it("show no change at all where training changed nothing, on one set and over several", () => {
    const { start } = train(createRandom(11), 0);
    const together = { seeds: "together", resamples: 300 } as const;
    const nothing = { estimate: 0, low: 0, high: 0, seeds: [5, 5] };
    expect(pairedDifference(start, [...start], f1Statistic(), together)).toMatchObject(nothing);
    const sets = [
      { a: start, b: start },
      { a: start, b: start },
    ];
    expect(pairedMeanDifference(sets, f1Statistic(), together)).toMatchObject(nothing);
    const [compared] = compareModels([{ set: "x", first: start, second: start }], { seeds: "together" }).sets;
    expect(compared.f1!.difference).toMatchObject(nothing);
    const apart = pairedDifference(start, start, f1Statistic(), { resamples: 300 })!;
    expect(apart.low).toBeLessThan(0);
    expect(apart.high).toBeGreaterThan(0);
  });

  it("go by place, and must all be there", () => {
    const { start, trained } = train(createRandom(12), 0.05);
    const together = { seeds: "together", resamples: 300 } as const;
    const width = (a: IdentifiedRow[][], b: IdentifiedRow[][]): number => {
      const { low, high } = pairedDifference(a, b, accuracyStatistic(), together)!;
      return high - low;
    };
    expect(width(trained, start)).toBeLessThan(width(trained, [...start.slice(1), start[0]]));
    expect(() => pairedDifference(trained, start.slice(1), f1Statistic(), together)).toThrow(BootstrapError);
    expect(() => pairedDifference(trained, start.slice(1), f1Statistic(), together)).toThrow(/5 and 4 seeds/);
    expect(pairedDifference(trained, start.slice(1), f1Statistic(), { resamples: 300 })!.seeds).toEqual([5, 4]);
  });
});

describe("a contrast of several methods", () => {
  const random = createRandom(7, "contrast");
  const [none, first, second] = [0.7, 0.72, 0.9].map((recall) => simulate(createRandom(3, "rows"), 200, 0.5, recall, 0.8));
  const options = { resamples: 300 };

  it("is the paired difference where two methods are one, and the score where the others weigh nothing", () => {
    const twice = contrastInterval([[[first], [first], [none]]], [0.5, 0.5, -1], f1Statistic(), options)!;
    const once = pairedDifference([first], [none], f1Statistic(), options)!;
    for (const part of ["estimate", "low", "high"] as const) expect(twice[part]).toBeCloseTo(once[part], 12);
    const alone = contrastInterval([[[first], [second]]], [1, 0], f1Statistic(), options)!;
    const plain = bootstrapInterval([first], f1Statistic(), options)!;
    for (const part of ["estimate", "low", "high"] as const) expect(alone[part]).toBeCloseTo(plain[part], 12);
  });

  it("is the weighted sum of the sides, over sets and seeds", () => {
    const other = simulate(random, 90, 0.4, 0.6, 0.7);
    const interval = contrastInterval(
      [
        [
          [first, second],
          [none, none],
          [second, first],
        ],
        [
          [other, other],
          [other, other],
          [other, other],
        ],
      ],
      [0.5, -1, 0.5],
      f1Statistic(),
      options,
    )!;
    const f1 = (rows: readonly IdentifiedRow[]): number => score(rows).byRule.wrong.f1!;
    const intent = ((f1(first) + f1(second)) / 2 + f1(other)) / 2;
    expect(interval.estimate).toBeCloseTo(intent - (f1(none) + f1(other)) / 2, 12);
    expect(interval.sides.length).toBe(3);
    expect(interval.low <= interval.estimate && interval.estimate <= interval.high).toBe(true);
  });

  it("wants a weight a method", () => {
    expect(() => contrastInterval([[[first], [none]]], [1], f1Statistic())).toThrow(BootstrapError);
    expect(() => contrastInterval([[]], [], f1Statistic())).toThrow(BootstrapError);
  });
});
