/** Whether a number rose over training: the steps at its beginning against those at its end. */
import { quantile } from "../evaluate/quantile.js";
import { meanOf } from "../evaluate/spread.js";
import { createRandom, type Random } from "../random.js";

export interface Rise {
  /** Means over the first and the last fifth of the steps (at least one), of the seeds together. */
  readonly first: number;
  readonly last: number;
  /** `last` less `first`, a number a seed. */
  readonly bySeed: readonly number[];
  /** 95% bootstrap interval of their mean, over steps and seeds; null if a fifth is a single step. */
  readonly interval: { readonly low: number; readonly high: number } | null;
}

const RESAMPLES = 2000;

/**
 * Of n steps, and of n seeds, n - 1 are drawn with replacement: that gives a mean the variance s²/n that it has (as in
 * src/evaluate/bootstrap.ts). Steps are taken for independent draws of prompts.
 * @param seeds the number at each step, a list a seed, none of them empty
 */
export function riseOf(seeds: readonly (readonly number[])[]): Rise {
  const ends = seeds.map((steps) => {
    const fifth = Math.max(1, Math.round(steps.length / 5));
    return { first: steps.slice(0, fifth), last: steps.slice(-fifth) };
  });
  const rises = (of: (values: readonly number[]) => readonly number[]): number[] =>
    ends.map(({ first, last }) => meanOf(of(last))! - meanOf(of(first))!);
  const random = createRandom(22, "rise");
  const draw = (): number =>
    meanOf(
      drawn(
        rises((values) => drawn(values, random)),
        random,
      ),
    )!;
  const single = ends.some(({ first }) => first.length === 1);
  const sorted = single ? [] : Float64Array.from({ length: RESAMPLES }, draw).sort();
  return {
    first: meanOf(ends.map(({ first }) => meanOf(first)))!,
    last: meanOf(ends.map(({ last }) => meanOf(last)))!,
    bySeed: rises((values) => values),
    interval: single ? null : { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) },
  };
}

/** One less than there are, with replacement; a single one as it is. */
function drawn(values: readonly number[], random: Random): readonly number[] {
  if (values.length === 1) return values;
  return Array.from({ length: values.length - 1 }, () => values[random.integer(values.length)]);
}
