/** What a DPO experiment found: each condition beside the SFT model it started from, seed by seed, with what became of its intents. */
import { compareModels, comparisonText, type Comparison } from "../evaluate/comparison.js";
import { score, type Scores } from "../evaluate/metrics.js";
import type { Prediction } from "../evaluate/predictions.js";
import type { IntentReport } from "../evaluate/set-report.js";
import { markdownTable, printable } from "../evaluate/table.js";
import type { Judge } from "../intent/judge.js";
import type { PairSetName } from "../intent/pair-sets.js";
import { intentCosine } from "../intent/similarity.js";
import type { DpoConfig } from "./dpo-config.js";
import type { AgreementBySet, Instruments } from "./dpo-instruments.js";
import type { DpoTrainingFacts } from "./dpo-log.js";
import type { MiningFacts } from "./dpo-pairs.js";
import type { LeftOut, NamedSet } from "./sets.js";
import { meanOf, spread, spreadText, type Spread } from "../evaluate/spread.js";

/** The model that DPO starts from is a condition too. */
export type Condition = "sft" | PairSetName;

/** A run with what it said on each set. */
export interface DpoTrained {
  readonly condition: Condition;
  readonly seed: number;
  /** Below the experiment's folder. */
  readonly folder: string;
  /** Pairs trained on; null for SFT. */
  readonly pairs: number | null;
  readonly training: DpoTrainingFacts | null;
  readonly predictions: ReadonlyMap<string, readonly Prediction[]>;
}

/** Verdict against intent, on the rows with a gold intent. Faithful: the judge calls the stated intent good or decent. */
export interface ErrorTypes {
  readonly rightFaithful: number;
  readonly rightUnfaithful: number;
  readonly wrongFaithful: number;
  readonly wrongUnfaithful: number;
  /** No verdict or no intent in the answer. */
  readonly unparsed: number;
  /** The judge gave no verdict. */
  readonly unjudged: number;
}

export interface DpoRunSummary extends Omit<DpoTrained, "predictions"> {
  readonly scores: Readonly<Record<string, Scores>>;
  /** By set; absent for a set without intents. */
  readonly intents: Readonly<Record<string, IntentReport>>;
  readonly errors: Readonly<Record<string, ErrorTypes>>;
}

export interface DpoSummary {
  readonly model: string;
  readonly seeds: readonly number[];
  readonly judge: AgreementBySet;
  /** By seed. */
  readonly mining: Readonly<Record<string, MiningFacts>>;
  readonly runs: readonly DpoRunSummary[];
  /** By condition and set. */
  readonly overSeeds: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<"f1" | "auroc" | "intentCosine", Spread>>>>>
  >;
  /** By condition: less SFT on the test sets, paired by prompt and by the seeds that both have. Without test sets, on the selection sets. */
  readonly againstSft: Readonly<Record<string, Comparison>>;
  readonly leftOut: readonly LeftOut[];
  /** Conditions that could not be trained, and why. */
  readonly skipped: readonly { readonly condition: Condition; readonly seed: number; readonly reason: string }[];
}

/** Scores a run, and measures the intents that it stated. */
export async function summariseDpoRun<Run extends Pick<DpoTrained, "predictions">>(
  { predictions, ...run }: Run,
  sets: readonly NamedSet[],
  { encoder, judge }: Instruments,
  signal?: AbortSignal,
): Promise<Omit<Run, "predictions"> & Pick<DpoRunSummary, "scores" | "intents" | "errors">> {
  const intents: Record<string, IntentReport> = {};
  const errors: Record<string, ErrorTypes> = {};
  const scores: Record<string, Scores> = {};
  for (const { name, rows } of sets) {
    const said = predictions.get(name) ?? [];
    scores[name] = score(said);
    const gold = new Map(rows.map((row) => [row.id, row]));
    const stated = said.filter(({ id }) => typeof gold.get(id)?.intent === "string");
    if (stated.length === 0) continue;
    const [told, wanted] = [stated.map(({ intent }) => intent), stated.map(({ id }) => gold.get(id)!.intent)];
    const { mean, compared, missing } = await intentCosine(encoder, told, wanted, signal);
    intents[name] = { cosine: mean, compared, missing };
    const prompts = new Map(rows.map(({ id, prompt, intent }) => [id, { prompt, goldIntent: intent ?? "" }]));
    errors[name] = await errorTypes(judge, stated, prompts, signal);
  }
  return { ...run, scores, intents, errors };
}

async function errorTypes(
  judge: Judge,
  said: readonly Prediction[],
  rows: ReadonlyMap<string, { readonly prompt: string; readonly goldIntent: string }>,
  signal?: AbortSignal,
): Promise<ErrorTypes> {
  const whole = said.flatMap(({ id, gold, harm, intent }) =>
    harm === "unparsed" || intent === null ? [] : [{ right: harm === gold, item: { ...rows.get(id)!, sampledIntent: intent } }],
  );
  const verdicts = await judge.judge(
    whole.map(({ item }) => item),
    signal === undefined ? {} : { signal },
  );
  const count = (right: boolean, faithful: boolean): number =>
    whole.filter((one, i) => one.right === right && verdicts[i] !== null && (verdicts[i] !== "bad") === faithful).length;
  return {
    rightFaithful: count(true, true),
    rightUnfaithful: count(true, false),
    wrongFaithful: count(false, true),
    wrongUnfaithful: count(false, false),
    unparsed: said.length - whole.length,
    unjudged: verdicts.filter((verdict) => verdict === null).length,
  };
}

export function summariseDpo(
  config: DpoConfig,
  trained: readonly DpoTrained[],
  runs: readonly DpoRunSummary[],
  sets: readonly NamedSet[],
  tests: readonly NamedSet[],
  rest: Pick<DpoSummary, "judge" | "mining" | "leftOut" | "skipped">,
): DpoSummary {
  const conditions = [...new Set(trained.map(({ condition }) => condition))];
  const overSeeds = conditions.map((condition) => {
    const own = runs.filter((run) => run.condition === condition);
    return [condition, Object.fromEntries(sets.map(({ name }) => [name, spreadsOf(own, name)]))] as const;
  });
  const againstSft = conditions
    .filter((condition) => condition !== "sft")
    .map((condition) => {
      const own = trained.filter((run) => run.condition === condition);
      const start = own.map(({ seed }) => trained.find((run) => run.condition === "sft" && run.seed === seed)!);
      const paired = (tests.length > 0 ? tests : sets).map(({ name }) => ({
        set: name,
        first: start.map(({ predictions }) => predictions.get(name)!),
        second: own.map(({ predictions }) => predictions.get(name)!),
      }));
      return [condition, compareModels(paired, { seeds: "together" })] as const;
    });
  return {
    model: config.model,
    seeds: config.seeds,
    ...rest,
    runs,
    overSeeds: Object.fromEntries(overSeeds),
    againstSft: Object.fromEntries(againstSft),
  };
}

function spreadsOf(runs: readonly DpoRunSummary[], set: string): Record<"f1" | "auroc" | "intentCosine", Spread> {
  return {
    f1: spread(runs.map(({ scores }) => scores[set].byRule.wrong.f1)),
    auroc: spread(runs.map(({ scores }) => scores[set].auroc)),
    intentCosine: spread(runs.map(({ intents }) => (Object.hasOwn(intents, set) ? intents[set].cosine : null))),
  };
}

/** The summary as Markdown: scores over seeds, differences to SFT with intervals, kinds of errors. */
export function dpoTables(summary: DpoSummary): string {
  const { overSeeds, againstSft, runs, mining, seeds } = summary;
  const mined = Object.entries(mining).map(([seed, { counts, pairs, seconds }]) => {
    const { label_error, judge_bad, judge_decent } = counts.all.outcomes;
    return [seed, counts.all.samples, label_error, judge_bad, judge_decent, pairs, seconds.toFixed(0)].map(String);
  });
  const head = ["seed", "samples", "label error", "judge bad", "judge decent", "pairs", "seconds"];
  const parts = [`Mined\n\n${markdownTable(head, mined)}`];
  const scored = Object.entries(overSeeds).flatMap(([condition, sets]) =>
    Object.entries(sets).map(([set, { f1, auroc, intentCosine }]) => [
      ...[`${condition}, ${set}`, spreadText(f1), spreadText(auroc), spreadText(intentCosine)],
    ]),
  );
  parts.push(`Seeds ${seeds.join(", ")}\n\n${markdownTable(["", "F1", "AUROC", "intent cosine"], scored)}`);
  for (const [condition, comparison] of Object.entries(againstSft)) parts.push(comparisonText(comparison, "sft", condition));
  parts.push(...errorTables(Object.keys(overSeeds), runs));
  for (const { condition, seed, reason } of summary.skipped)
    parts.push(printable(`${condition}, seed ${seed}, was left out: ${reason}`));
  for (const { set, reason } of summary.leftOut) parts.push(printable(`${set} was left out: ${reason}`));
  return parts.join("\n\n");
}

/** Verdict against intent, rows a seed: a table a set with intents. */
export function errorTables(
  conditions: readonly string[],
  runs: readonly { readonly condition: string; readonly errors: DpoRunSummary["errors"] }[],
): string[] {
  const kinds = ["rightFaithful", "rightUnfaithful", "wrongFaithful", "wrongUnfaithful", "unparsed"] as const;
  const columns = ["", "right, faithful", "right, unfaithful", "wrong, faithful", "wrong, unfaithful", "unparsed"];
  return [...new Set(runs.flatMap(({ errors }) => Object.keys(errors)))].map((set) => {
    const lines = conditions.map((condition) => {
      const own = runs.filter((run) => run.condition === condition && Object.hasOwn(run.errors, set));
      return [condition, ...kinds.map((kind) => meanOf(own.map(({ errors }) => errors[set][kind]))?.toFixed(1) ?? "–")];
    });
    return `${printable(set)}: verdict and intent, rows a seed\n\n${markdownTable(columns, lines)}`;
  });
}
