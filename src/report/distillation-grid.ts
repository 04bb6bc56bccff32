/** What a grid of teachers, students and conditions says as a whole: marginal means, the choice by them, and who wins how often. */
import { signTest, type SignTest } from "../evaluate/sign-test.js";
import { meanOf } from "../evaluate/spread.js";
import type { CellKey } from "../experiments/distillation-summary.js";
import { CONDITIONS, type Condition } from "../prompts/distillation.js";
import { CONDITION_NAMES, INTENT_CONDITIONS } from "./distillation-names.js";

/** One number of a cell: an F1, a loss. Null where the cell has none (not trained, say). */
export interface GridCell extends CellKey {
  readonly value: number | null;
}

const DIMENSIONS = ["teacher", "student", "condition"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** The values of a dimension: models in the order of the cells, conditions in their own. */
export function valuesOf(cells: readonly GridCell[], dimension: Dimension): readonly string[] {
  const seen = new Set<string>(cells.map((cell) => cell[dimension]));
  return dimension === "condition" ? CONDITIONS.filter((condition) => seen.has(condition)) : [...seen];
}

export interface MarginalMean {
  readonly name: string;
  /** Null if none of its cells has a value. */
  readonly mean: number | null;
  /** Cells with a value, and all. Means over other cells are not to be compared. */
  readonly cells: number;
  readonly of: number;
}

/** The mean over all cells of each teacher, student or condition. */
export function marginalMeans(cells: readonly GridCell[], dimension: Dimension): MarginalMean[] {
  return valuesOf(cells, dimension).map((name) => {
    const own = cells.filter((cell) => cell[dimension] === name);
    const values = own.flatMap(({ value }) => value ?? []);
    return { name, mean: meanOf(values), cells: values.length, of: own.length };
  });
}

export interface Stage {
  readonly dimension: Dimension;
  readonly means: readonly MarginalMean[];
  /** The highest mean, the first of equals; null if there is none. */
  readonly chosen: string | null;
}

/**
 * The choice of the headline model (section 5 of the record of arXiv 2606.27210): the teacher of the highest marginal mean, among its
 * cells the student, among theirs the condition.
 */
export function chooseByMeans(cells: readonly GridCell[]): Stage[] {
  let left = cells;
  return DIMENSIONS.map((dimension) => {
    const means = marginalMeans(left, dimension);
    const known = means.filter(({ mean }) => mean !== null);
    const chosen = known.length === 0 ? null : known.reduce((best, one) => (one.mean! > best.mean! ? one : best)).name;
    left = left.filter((cell) => cell[dimension] === chosen);
    return { dimension, means, chosen };
  });
}

/** The cells of one teacher and student, by condition; those without a value are left out. */
export interface Pair {
  readonly teacher: string;
  readonly student: string;
  readonly values: Readonly<Partial<Record<Condition, number>>>;
}

export function pairsIn(cells: readonly GridCell[]): Pair[] {
  return valuesOf(cells, "teacher").flatMap((teacher) =>
    valuesOf(cells, "student").flatMap((student) => {
      const own = cells.filter((cell) => cell.teacher === teacher && cell.student === student);
      if (own.length === 0) return [];
      const values = own.flatMap(({ condition, value }) => (value === null ? [] : [[condition, value] as const]));
      return [{ teacher, student, values: Object.fromEntries(values) }];
    }),
  );
}

/**
 * The conditions with the best value of a pair: several if they are equal; none if fewer than two have a value, or all are alike.
 * @param better whether high or low values are the better ones
 */
export function winnersOf({ values }: Pair, better: "high" | "low" = "high"): readonly Condition[] {
  const known = CONDITIONS.flatMap((condition) => {
    const value = values[condition];
    return value === undefined ? [] : [{ condition, value }];
  });
  const all = known.map(({ value }) => value);
  const best = better === "high" ? Math.max(...all) : Math.min(...all);
  const winners = known.filter(({ value }) => value === best).map(({ condition }) => condition);
  return winners.length === known.length ? [] : winners;
}

/** How often something with an intent is above `no_intent`, over the pairs that have all the conditions compared. */
export interface WinCount extends SignTest {
  readonly name: string;
  readonly pairs: number;
  /** Pairs that lack a condition. */
  readonly incomplete: number;
  /** Mean difference to `no_intent`; null without pairs. */
  readonly meanDifference: number | null;
}

/**
 * Each intent condition against `no_intent`, the mean of both, and the better of both. The last has two tries where `no_intent` has one:
 * of three conditions that are alike it wins two times in three, and is tested against that.
 */
export function winCounts(cells: readonly GridCell[]): WinCount[] {
  const present = INTENT_CONDITIONS.filter((condition) => cells.some((cell) => cell.condition === condition));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const best = (values: readonly number[]): number => Math.max(...values);
  const alone = present.map((condition) => ({ name: CONDITION_NAMES[condition], of: [condition], take: best, chance: 1 / 2 }));
  const both = [
    { name: "mean of both", of: present, take: mean, chance: 1 / 2 },
    { name: "better of both", of: present, take: best, chance: 2 / 3 },
  ];
  const pairs = pairsIn(cells);
  return [...alone, ...(present.length > 1 ? both : [])].map(({ name, of, take, chance }) => {
    const differences = pairs.flatMap(({ values }) => {
      const own = of.flatMap((condition) => values[condition] ?? []);
      if (own.length < of.length || values.no_intent === undefined) return [];
      const difference = take(own) - values.no_intent;
      // What is left of two equal numbers after rounding is a tie.
      return [Math.abs(difference) < 1e-12 ? 0 : difference];
    });
    const counted = { pairs: differences.length, incomplete: pairs.length - differences.length };
    return { name, ...counted, meanDifference: meanOf(differences), ...signTest(differences, chance) };
  });
}
