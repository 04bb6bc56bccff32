/** Everything that is to be said about one model on one set, as plain data: what summary.json holds and the tables print. */
import { LEVELS, type LabelledPrompt } from "../data/prompt.js";
import { groupBy } from "../group-by.js";
import { matched } from "./align.js";
import { bootstrapInterval, bootstrapMean, pairedDifference, type Interval } from "./bootstrap.js";
import { calibrationBins, type CalibrationBin } from "./curves.js";
import { throughputOf, type Throughput } from "./latency.js";
import { constantScores, score, UNPARSED_RULES, type Scores, type UnparsedRule } from "./metrics.js";
import type { Prediction } from "./predictions.js";
import { meanOf } from "./spread.js";
import { accuracyStatistic, AUROC_STATISTIC, f1Statistic } from "./statistic.js";

/** Over the rows of a set that have an intent. */
export interface IntentReport {
  /** Mean cosine of the stated intent to the annotator's; null if none was stated. */
  readonly cosine: number | null;
  readonly compared: number;
  /** Rows for which the model stated none. */
  readonly missing: number;
}

export interface Group {
  readonly name: string;
  readonly scores: Scores;
}

/** Bootstrap intervals of the headline scores: unparsed answers count as wrong. */
export interface Intervals {
  readonly f1: Interval | null;
  readonly accuracy: Interval | null;
  readonly auroc: Interval | null;
  /** F1 less that of always answering harmful, on the same draws: above 0 the model beats the best constant answer. */
  readonly f1AboveConstant: Interval | null;
}

export interface SetReport {
  readonly scores: Scores;
  readonly constants: { readonly harmful: Scores; readonly safe: Scores };
  readonly intervals: Intervals;
  readonly unparsedRate: number | null;
  /** By the set's own grouping, and by annotators' level from harmful to safe; empty where it has none. */
  readonly byTheme: readonly Group[];
  readonly byLevel: readonly Group[];
  readonly calibration: readonly CalibrationBin[];
  /** Null where the set has no intents, the format states none, or no encoder was at hand. */
  readonly intent: IntentReport | null;
  readonly throughput: Throughput;
}

/** @throws PredictionMismatchError if the predictions are not of these rows. */
export function reportSet(
  rows: readonly LabelledPrompt[],
  predictions: readonly Prediction[],
  intent: IntentReport | null = null,
): SetReport {
  const pairs = matched(rows, predictions);
  const unparsed = predictions.filter(({ harm }) => harm === "unparsed").length;
  return {
    scores: score(predictions),
    constants: { harmful: constantScores(predictions, "harmful"), safe: constantScores(predictions, "safe") },
    intervals: intervalsOf(predictions),
    unparsedRate: predictions.length === 0 ? null : unparsed / predictions.length,
    byTheme: groups(pairs, ({ theme }) => theme),
    byLevel: groups(pairs, ({ level }) => level).sort((a, b) => levelRank(a.name) - levelRank(b.name)),
    calibration: calibrationBins(
      predictions.flatMap(({ gold, harmfulProbability: probability }) =>
        probability === null ? [] : [{ positive: gold === "harmful", probability }],
      ),
    ),
    intent,
    throughput: throughputOf(predictions),
  };
}

function intervalsOf(predictions: readonly Prediction[]): Intervals {
  if (predictions.length === 0) return { f1: null, accuracy: null, auroc: null, f1AboveConstant: null };
  const constant = predictions.map(({ id, gold }) => ({ id, gold, harm: "harmful" as const, harmfulProbability: 1 }));
  return {
    f1: bootstrapInterval([predictions], f1Statistic()),
    accuracy: bootstrapInterval([predictions], accuracyStatistic()),
    auroc: bootstrapInterval([predictions], AUROC_STATISTIC),
    f1AboveConstant: pairedDifference([predictions], [constant], f1Statistic()),
  };
}

function groups(
  pairs: readonly { readonly row: LabelledPrompt; readonly prediction: Prediction }[],
  keyOf: (row: LabelledPrompt) => string | undefined,
): Group[] {
  return [...groupBy(pairs, ({ row }) => keyOf(row))]
    .flatMap(([name, members]) =>
      name === undefined ? [] : [{ name, scores: score(members.map(({ prediction }) => prediction)) }],
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function levelRank(name: string): number {
  return (LEVELS as readonly string[]).indexOf(name);
}

/** The unweighted mean over sets, as the paper's tables have it. */
export interface MeanReport {
  readonly sets: readonly string[];
  readonly f1: Readonly<Record<UnparsedRule, number | null>>;
  readonly auroc: number | null;
  readonly f1Interval: Interval | null;
  readonly aurocInterval: Interval | null;
  readonly throughput: Throughput;
}

/** Means over sets; a mean is null where one of them has no such score. */
export function reportMean(sets: readonly { readonly name: string; readonly predictions: readonly Prediction[] }[]): MeanReport {
  const scores = sets.map(({ predictions }) => score(predictions));
  const drawable = sets.length > 0 && sets.every(({ predictions }) => predictions.length > 0);
  const runs = sets.map(({ predictions }) => [predictions]);
  const f1 = (rule: UnparsedRule): number | null => meanOf(scores.map(({ byRule }) => byRule[rule].f1));
  return {
    sets: sets.map(({ name }) => name),
    f1: Object.fromEntries(UNPARSED_RULES.map((rule) => [rule, f1(rule)])) as Record<UnparsedRule, number | null>,
    auroc: meanOf(scores.map(({ auroc }) => auroc)),
    f1Interval: drawable ? bootstrapMean(runs, f1Statistic()) : null,
    aurocInterval: drawable ? bootstrapMean(runs, AUROC_STATISTIC) : null,
    throughput: throughputOf(sets.flatMap(({ predictions }) => predictions)),
  };
}
