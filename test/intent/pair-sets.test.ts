import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  balanced,
  cappedPerRow,
  classWeighted,
  curriculum,
  PAIR_SETS,
  PairSetError,
  pairSet,
  ratioPairs,
  type PairSetName,
} from "../../src/intent/pair-sets.js";
import type { PreferencePair } from "../../src/intent/pairs.js";
import { anyPairs } from "./pairs.js";

const ids = (pairs: readonly PreferencePair[]): string[] => pairs.map(({ id }) => id).sort();
const union = (...sets: readonly PreferencePair[][]): string[] => ids(sets.flat());
const ofClass = (pairs: readonly PreferencePair[], harm: string): PreferencePair[] =>
  pairs.filter(({ goldHarm }) => goldHarm === harm);
const hasBoth = (pairs: readonly PreferencePair[]): boolean =>
  ofClass(pairs, "harmful").length > 0 && ofClass(pairs, "safe").length > 0;
const seeds = fc.integer({ min: 0, max: 1000 });

describe("the paper's pair sets", () => {
  it("are disjoint where they should be, and unions are exact", () => {
    fc.assert(
      fc.property(anyPairs, (pairs) => {
        const set = Object.fromEntries(
          Object.keys(PAIR_SETS).map((name) => [name, pairSet(pairs, name as PairSetName)]),
        ) as Record<PairSetName, PreferencePair[]>;
        const decent = pairs.filter(({ reason }) => reason === "judge_decent");
        expect(union(set.wrong_only, set.judge_bad_only, decent)).toEqual(ids(pairs));
        expect(ids(set.judge_bad_decent_only)).toEqual(union(set.judge_bad_only, decent));
        expect(ids(set.wrong_plus_judge_bad)).toEqual(union(set.wrong_only, set.judge_bad_only));
        expect(ids(set.wrong_plus_judge_bad_decent)).toEqual(ids(pairs));
        // Order is kept.
        for (const chosen of Object.values(set)) expect(chosen).toEqual(pairs.filter((pair) => chosen.includes(pair)));
      }),
    );
  });

  it("mix all label errors with a share of the judge's, growing with the share", () => {
    fc.assert(
      fc.property(anyPairs, seeds, (pairs, seed) => {
        const judge = pairSet(pairs, "judge_bad_only");
        let smaller: string[] = [];
        for (const share of [0, 0.25, 0.5, 0.75, 1]) {
          const mixed = ratioPairs(pairs, share, seed);
          expect(mixed).toHaveLength(pairSet(pairs, "wrong_only").length + Math.floor(share * judge.length));
          expect(new Set(ids(mixed)).size).toBe(mixed.length);
          expect(ids(mixed)).toEqual(expect.arrayContaining([...ids(pairSet(pairs, "wrong_only")), ...smaller]));
          expect(ratioPairs(pairs, share, seed)).toEqual(mixed);
          smaller = ids(mixed);
        }
        expect(smaller).toEqual(ids(pairSet(pairs, "wrong_plus_judge_bad")));
      }),
    );
    expect(() => ratioPairs([], 1.5)).toThrow(PairSetError);
    expect(() => ratioPairs([], Number.NaN)).toThrow(PairSetError);
  });

  it("are balanced to the size of the smaller class, which loses nothing; the same for a seed", () => {
    fc.assert(
      fc.property(anyPairs.filter(hasBoth), seeds, (pairs, seed) => {
        const result = balanced(pairs, seed);
        const size = Math.min(ofClass(pairs, "harmful").length, ofClass(pairs, "safe").length);
        expect([ofClass(result, "harmful").length, ofClass(result, "safe").length]).toEqual([size, size]);
        expect(new Set(result).size).toBe(2 * size);
        for (const pair of result) expect(pairs).toContain(pair);
        expect(balanced(pairs, seed)).toEqual(result);
      }),
    );
  });

  it("draw another balance for another seed", () => {
    const pairs = fc.sample(
      anyPairs.filter((list) => hasBoth(list) && list.length > 30),
      { numRuns: 1, seed: 5 },
    )[0];
    expect(new Set(Array.from({ length: 10 }, (_, seed) => ids(balanced(pairs, seed)).join())).size).toBeGreaterThan(1);
  });

  it("weigh both classes alike instead", () => {
    fc.assert(
      fc.property(anyPairs.filter(hasBoth), (pairs) => {
        const weighted = classWeighted(pairs);
        const total = (harm: string): number => ofClass(weighted, harm).reduce((sum, { weight }) => sum + weight, 0);
        expect(total("harmful")).toBeCloseTo(total("safe"), 9);
        expect(weighted.map((pair) => ({ ...pair, weight: 1 }))).toEqual(pairs);
      }),
    );
  });

  it("cannot be balanced with one class alone", () => {
    const [pair] = fc.sample(
      anyPairs.filter((list) => list.length > 0),
      { numRuns: 1, seed: 1 },
    )[0];
    for (const make of [balanced, classWeighted]) {
      expect(() => make([pair, pair])).toThrow(PairSetError);
      expect(() => make([pair])).toThrow(/mine more rows/);
      expect(make([])).toEqual([]);
    }
  });

  it("put label errors first in the curriculum", () => {
    const able = anyPairs.filter((pairs) => hasBoth(pairSet(pairs, "wrong_only")) && hasBoth(pairSet(pairs, "judge_bad_only")));
    fc.assert(
      fc.property(able, seeds, (pairs, seed) => {
        const stages = curriculum(pairs, seed);
        expect(stages.map(({ name }) => name)).toEqual(["wrong_only", "judge_bad_only"]);
        for (const { name, pairs: stage } of stages) expect(stage).toEqual(balanced(pairSet(pairs, name), seed));
      }),
      { numRuns: 30 },
    );
  });

  it("hold at most so many pairs a row", () => {
    fc.assert(
      fc.property(anyPairs, fc.integer({ min: 1, max: 5 }), seeds, (pairs, limit, seed) => {
        const capped = cappedPerRow(pairs, limit, seed);
        expect(capped).toEqual(pairs.filter((pair) => capped.includes(pair)));
        for (const rowId of new Set(pairs.map((pair) => pair.rowId))) {
          const of = (list: readonly PreferencePair[]): number => list.filter((pair) => pair.rowId === rowId).length;
          expect(of(capped)).toBe(Math.min(limit, of(pairs)));
        }
        expect(cappedPerRow(pairs, limit, seed)).toEqual(capped);
      }),
    );
    expect(() => cappedPerRow([], 0)).toThrow(PairSetError);
  });
});
