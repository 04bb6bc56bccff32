/** What a GRPO experiment found: each reward beside the model that training started from, seed by seed. */
import { compareModels, comparisonText, type Comparison } from "../evaluate/comparison.js";
import type { Scores } from "../evaluate/metrics.js";
import type { Prediction } from "../evaluate/predictions.js";
import type { IntentReport } from "../evaluate/set-report.js";
import { markdownTable, number, printable } from "../evaluate/table.js";
import type { AgreementBySet } from "./dpo-instruments.js";
import { errorTables, type ErrorTypes } from "./dpo-summary.js";
import type { GrpoConfig, RewardKind } from "./grpo-config.js";
import type { GrpoTrainingFacts } from "./grpo-log.js";
import type { LeftOut, NamedSet } from "./sets.js";
import { spread, spreadText, type Spread } from "../evaluate/spread.js";

/** The model that training starts from is a condition too. */
export type GrpoCondition = "start" | RewardKind;

/** A run with what it said on each set. */
export interface GrpoTrained {
  readonly condition: GrpoCondition;
  readonly seed: number;
  /** Below the experiment's folder. */
  readonly folder: string;
  /** Null for the start. */
  readonly training: GrpoTrainingFacts | null;
  readonly predictions: ReadonlyMap<string, readonly Prediction[]>;
}

export interface GrpoRunSummary extends Omit<GrpoTrained, "predictions"> {
  /** By set. Format errors are `unparsedCount` of `count`. */
  readonly scores: Readonly<Record<string, Scores>>;
  /** By set; absent for a set without intents. */
  readonly intents: Readonly<Record<string, IntentReport>>;
  readonly errors: Readonly<Record<string, ErrorTypes>>;
}

export interface GrpoSummary {
  readonly model: string;
  readonly start: "sft" | "instruct";
  readonly format: "sft" | "reasoning";
  readonly seeds: readonly number[];
  readonly rewards: readonly RewardKind[];
  /** The judge against annotators, by the set that the pairs are of. */
  readonly judge: AgreementBySet;
  readonly runs: readonly GrpoRunSummary[];
  /** By condition and set. */
  readonly overSeeds: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<"f1" | "auroc" | "intentCosine" | "unparsed", Spread>>>>>
  >;
  /** Each reward less the start on the test sets, paired by seed and prompt. Without test sets, on the selection sets. */
  readonly againstStart: Readonly<Record<string, Comparison>>;
  /** Label and intent less label alone on the same sets, paired likewise; null unless both were trained. */
  readonly intentAgainstLabel: Comparison | null;
  readonly leftOut: readonly LeftOut[];
}

/** @param compared sets of the paired comparisons */
export function summariseGrpo(
  config: GrpoConfig,
  trained: readonly GrpoTrained[],
  runs: readonly GrpoRunSummary[],
  sets: readonly NamedSet[],
  compared: readonly NamedSet[],
  rest: Pick<GrpoSummary, "judge" | "leftOut">,
): GrpoSummary {
  const { model, start, format, seeds, rewards } = config;
  const saidBy = (condition: GrpoCondition, set: string) =>
    seeds.map((seed) => trained.find((run) => run.condition === condition && run.seed === seed)!.predictions.get(set)!);
  const compare = (first: GrpoCondition, second: GrpoCondition): Comparison =>
    compareModels(
      compared.map(({ name }) => ({ set: name, first: saidBy(first, name), second: saidBy(second, name) })),
      { seeds: "together" },
    );
  const conditions: readonly GrpoCondition[] = ["start", ...rewards];
  const overSeeds = conditions.map((condition) => {
    const own = runs.filter((run) => run.condition === condition);
    return [condition, Object.fromEntries(sets.map(({ name }) => [name, spreadsOf(own, name)]))] as const;
  });
  return {
    ...{ model, start, format, seeds, rewards, judge: rest.judge, runs },
    overSeeds: Object.fromEntries(overSeeds),
    againstStart: Object.fromEntries(rewards.map((reward) => [reward, compare("start", reward)])),
    intentAgainstLabel: rewards.length < 2 ? null : compare("label_only", "label_intent"),
    leftOut: rest.leftOut,
  };
}

function spreadsOf(runs: readonly GrpoRunSummary[], set: string): GrpoSummary["overSeeds"][string][string] {
  return {
    f1: spread(runs.map(({ scores }) => scores[set].byRule.wrong.f1)),
    auroc: spread(runs.map(({ scores }) => scores[set].auroc)),
    intentCosine: spread(runs.map(({ intents }) => (Object.hasOwn(intents, set) ? intents[set].cosine : null))),
    unparsed: spread(runs.map(({ scores }) => (scores[set].count === 0 ? null : scores[set].unparsedCount / scores[set].count))),
  };
}

/** The summary as Markdown: training, scores over seeds, differences with intervals, kinds of errors. */
export function grpoTables(summary: GrpoSummary): string {
  const { overSeeds, againstStart, intentAgainstLabel, runs, seeds } = summary;
  const columns = ["", "reward first", "last", "unparsed first", "last", "KL last", "tokens first", "last", "kept step", "s"];
  const trainings = runs.flatMap(({ condition, seed, training }) => {
    if (training === null) return [];
    const { first, last, keptStep, seconds } = training;
    const share = (value: number): string => `${(100 * value).toFixed(1)}%`;
    return [
      [
        ...[`${condition}, seed ${seed}`, number(first.reward), number(last.reward), share(first.unparsed), share(last.unparsed)],
        ...[number(last.kl), first.meanLength.toFixed(1), last.meanLength.toFixed(1), String(keptStep), seconds.toFixed(0)],
      ],
    ];
  });
  const parts = [`Training: means of the first and the last fifth of the steps\n\n${markdownTable(columns, trainings)}`];
  const scored = Object.entries(overSeeds).flatMap(([condition, sets]) =>
    Object.entries(sets).map(([set, { f1, auroc, intentCosine, unparsed }]) => [
      ...[`${condition}, ${set}`, spreadText(f1), spreadText(auroc), spreadText(intentCosine), spreadText(unparsed)],
    ]),
  );
  const scores = ["", "F1", "AUROC", "intent cosine", "unparsed"];
  parts.push(`Seeds ${seeds.join(", ")}\n\n${markdownTable(scores, scored)}`);
  for (const [reward, comparison] of Object.entries(againstStart)) parts.push(comparisonText(comparison, "start", reward));
  if (intentAgainstLabel !== null) parts.push(comparisonText(intentAgainstLabel, "label_only", "label_intent"));
  parts.push(...errorTables(Object.keys(overSeeds), runs));
  for (const { set, reason } of summary.leftOut) parts.push(printable(`${set} was left out: ${reason}`));
  return parts.join("\n\n");
}
