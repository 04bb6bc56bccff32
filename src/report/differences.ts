/** Differences between two models in tables, a figure and words: all of them second less first, with 95% intervals. */
import type { SeedDraws } from "../evaluate/bootstrap.js";
import { compareModels, overallF1, type Comparison, type Difference } from "../evaluate/comparison.js";
import type { ConditionRuns } from "./conditions.js";
import { signed } from "../evaluate/signed.js";
import type { PlotlyFigure } from "./figure.js";
import { intervalFigure, type IntervalSeries } from "./intervals.js";

/** A condition (`second`) against what it started from (`first`), so that differences are its gain. */
export interface Compared {
  readonly name: string;
  /** Those that both have. */
  readonly seeds: readonly number[];
  readonly comparison: Comparison;
}

/**
 * @param draws "together" if a seed's run starts from the start's run of that seed, or both from one; "apart" if they share the number alone
 * @returns null without a set that both saw or a seed that both have
 * @throws PredictionMismatchError if they saw other prompts of a set
 */
export function againstStart(
  sets: readonly string[],
  start: ConditionRuns,
  { name, runs }: ConditionRuns,
  draws: SeedDraws,
): Compared | null {
  const before = new Map(start.runs.map((run) => [run.seed, run]));
  const own = runs.filter(({ seed }) => before.has(seed));
  if (sets.length === 0 || own.length === 0) return null;
  const paired = sets.map((set) => ({
    set,
    first: own.map(({ seed }) => before.get(seed)!.predictions.get(set)!),
    second: own.map(({ predictions }) => predictions.get(set)!),
  }));
  return { name, seeds: own.map(({ seed }) => seed), comparison: compareModels(paired, { seeds: draws }) };
}

const MEAN = "mean of the sets";

interface LabelledDifference {
  readonly label: string;
  readonly f1: Difference | null;
  readonly auroc: Difference | null;
}

/** The comparison's differences by row label: the sets, and their mean where there are several. */
function labelled({ sets, mean }: Comparison): LabelledDifference[] {
  const rows = sets.map(({ set, f1, auroc }) => ({ label: set, f1, auroc }));
  return mean === null ? rows : [...rows, { label: MEAN, ...mean }];
}

/** @param first, second how the two sides are called in the headings */
export function differenceTable(compared: readonly Compared[], first: string, second: string): object[] {
  const change = (one: Difference | null): string => (one === null ? "–" : signed(one.difference.estimate));
  const range = (one: Difference | null): string => (one === null ? "–" : rangeText(one));
  return compared.flatMap(({ name, seeds, comparison }) =>
    labelled(comparison).map(({ label, f1, auroc }) => ({
      ...{ model: name, set: label, seeds: seeds.length },
      [`F1 ${first}`]: f1?.first.toFixed(3) ?? "–",
      [`F1 ${second}`]: f1?.second.toFixed(3) ?? "–",
      "F1 difference": change(f1),
      "95% interval": range(f1),
      "AUROC difference": change(auroc),
      "95% interval of AUROC": range(auroc),
    })),
  );
}

/** "-0.020 to +0.041" */
export function rangeText({ difference: { low, high } }: Difference): string {
  return `${signed(low)} to ${signed(high)}`;
}

/** The F1 differences as intervals beside a line at 0, and published ones where the set is the same. None without conditions. */
export function differenceFigure(
  compared: readonly Compared[],
  title: string,
  published: readonly IntervalSeries[],
): PlotlyFigure[] {
  if (compared.length === 0) return [];
  const labels = [...new Set(compared.flatMap(({ comparison }) => labelled(comparison).map(({ label }) => label)))];
  const ours = compared.map(({ name, comparison }): IntervalSeries => {
    const values = labelled(comparison).flatMap(({ label, f1 }) => {
      if (f1 === null) return [];
      const { estimate, low, high } = f1.difference;
      return [[label, { value: estimate, low, high }] as const];
    });
    return { name, kind: "ours", values: Object.fromEntries(values) };
  });
  const beside = published.filter(({ values }) => labels.some((label) => Object.hasOwn(values, label)));
  return [zeroMarked(intervalFigure(title, labels, [...ours, ...beside], "difference in F1 of the harmful class"))];
}

/** The figure with a line at 0, where a difference changes its side. */
export function zeroMarked({ data, layout: plain }: PlotlyFigure): PlotlyFigure {
  const layout = plain as { readonly shapes: readonly object[] };
  const zero = {
    ...{ type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1 },
    line: { color: "#1f2328", width: 1.2, dash: "dash" },
  };
  return { data, layout: { ...layout, shapes: [...layout.shapes, zero] } };
}

/** By the interval: one that holds 0 shows no difference. */
export function directionOf(f1: Difference | null): "better" | "worse" | "open" {
  if (f1 === null || (f1.difference.low <= 0 && f1.difference.high >= 0)) return "open";
  return f1.difference.low > 0 ? "better" : "worse";
}

/** "no difference shown (+0.010, 95% interval -0.020 to +0.041)" */
export function outcomeText(f1: Difference | null): string {
  if (f1 === null) return "not defined";
  const words = { better: "better", worse: "worse", open: "no difference shown" }[directionOf(f1)];
  return `${words} (${signed(f1.difference.estimate)}, 95% interval ${rangeText(f1)})`;
}

/** The comparison in a sentence: over what, how many seeds, with what outcome, and by set where there are several. */
export function comparedText({ name, seeds, comparison }: Compared): string {
  const single = comparison.sets.map(({ set, f1 }) => `${set}: ${outcomeText(f1)}`);
  const names = comparison.sets.map(({ set }) => set).join(" and ");
  const over = comparison.mean === null ? names : `the mean of ${names}`;
  const count = seeds.length === 1 ? "one seed" : `${seeds.length} seeds`;
  const head = `${name}, F1 over ${over}, ${count}: ${outcomeText(overallF1(comparison))}.`;
  return comparison.mean === null ? head : `${head} By set: ${single.join("; ")}.`;
}
