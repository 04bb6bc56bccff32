/** Tables and figures of an experiment whose runs have a condition each (what was trained, or the start) and a seed. */
import { score } from "../evaluate/metrics.js";
import type { Prediction } from "../evaluate/predictions.js";
import type { IntentReport } from "../evaluate/set-report.js";
import type { ErrorTypes } from "../experiments/dpo-summary.js";
import { meanOf, spread, spreadText } from "../evaluate/spread.js";
import { barFigure } from "./bars.js";
import { ERROR_TYPES } from "./dpo-names.js";
import type { PlotlyFigure } from "./figure.js";

/** What a run said, and what became of its intents. */
export interface ConditionRun {
  readonly seed: number;
  /** By set. */
  readonly predictions: ReadonlyMap<string, readonly Prediction[]>;
  /** By set; absent for a set without intents. */
  readonly intents: Readonly<Record<string, IntentReport>>;
  readonly errors: Readonly<Record<string, ErrorTypes>>;
}

/** A condition's runs, one a seed. */
export interface ConditionRuns {
  readonly name: string;
  readonly runs: readonly ConditionRun[];
}

/** The sets among `names` that every run saw. */
export function setsSeenBy(names: readonly string[], runs: readonly Pick<ConditionRun, "predictions">[]): readonly string[] {
  return names.filter((set) => runs.length > 0 && runs.every(({ predictions }) => predictions.has(set)));
}

/** Mean ± deviation over seeds, a row a set and condition; unparsed answers count as wrong. Every run saw every set. */
export function scoreTable(sets: readonly string[], conditions: readonly ConditionRuns[]): object[] {
  return sets.flatMap((set) =>
    conditions.map(({ name, runs }) => {
      const scores = runs.map(({ predictions }) => score(predictions.get(set)!));
      const cosines = runs.map(({ intents }) => (Object.hasOwn(intents, set) ? intents[set].cosine : null));
      return {
        ...{ set, model: name, prompts: scores[0].count, seeds: runs.length },
        F1: spreadText(spread(scores.map(({ byRule }) => byRule.wrong.f1))),
        precision: spreadText(spread(scores.map(({ byRule }) => byRule.wrong.precision))),
        recall: spreadText(spread(scores.map(({ byRule }) => byRule.wrong.recall))),
        AUROC: spreadText(spread(scores.map(({ auroc }) => auroc))),
        "intent cosine": spreadText(spread(cosines)),
        unparsed: meanOf(scores.map(({ unparsedCount }) => unparsedCount)),
      };
    }),
  );
}

/** Rows of a set by verdict and intent, means over seeds. Sets without intents have none. */
export function errorTable(sets: readonly string[], conditions: readonly ConditionRuns[]): object[] {
  return errorMeans(sets, conditions).map(({ set, name, seeds, means }) => ({
    ...{ set, model: name, seeds },
    ...Object.fromEntries(ERROR_TYPES.map((type, i) => [type.name, means[i].toFixed(1)])),
  }));
}

/** The same as shares of the set's rows, a figure a set. */
export function errorFigures(sets: readonly string[], conditions: readonly ConditionRuns[]): PlotlyFigure[] {
  const all = errorMeans(sets, conditions);
  return [...new Set(all.map(({ set }) => set))].map((set) => {
    const rows = all.filter((row) => row.set === set);
    const total = (means: readonly number[]): number => means.reduce((sum, value) => sum + value, 0);
    return barFigure(
      rows.map(({ name }) => name),
      ERROR_TYPES.map(({ name, color }, i) => ({
        ...{ name, color },
        values: rows.map(({ means }) => means[i] / (total(means) || 1)),
      })).filter(({ values }) => values.some((value) => value > 0)),
      { title: `Verdict and intent on ${set}`, axis: "share of the rows with a gold intent", stacked: true },
    );
  });
}

function errorMeans(
  sets: readonly string[],
  conditions: readonly ConditionRuns[],
): { set: string; name: string; seeds: number; means: number[] }[] {
  return sets.flatMap((set) =>
    conditions.flatMap(({ name, runs }) => {
      const counted = runs.flatMap(({ errors }) => (Object.hasOwn(errors, set) ? [errors[set]] : []));
      if (counted.length === 0) return [];
      const means = ERROR_TYPES.map(({ kind }) => counted.reduce((sum, errors) => sum + errors[kind], 0) / counted.length);
      return [{ set, name, seeds: counted.length, means }];
    }),
  );
}
