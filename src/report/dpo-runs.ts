/** What a DPO experiment left on disk (src/experiments/dpo.ts), for figures and tables. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { DataFormatError } from "../data/errors.js";
import { checkRow } from "../data/rows.js";
import type { AgreementBySet } from "../experiments/dpo-instruments.js";
import { dpoTrainingFacts, readDpoLog, type DpoLog, type DpoTrainingFacts } from "../experiments/dpo-log.js";
import type { Condition } from "../experiments/dpo-summary.js";
import { readJson } from "../experiments/run-folder.js";
import { SAMPLE_OUTCOMES, type MinedCounts } from "../intent/mined.js";
import { PAIR_SETS, type PairSetName } from "../intent/pair-sets.js";
import { readPairs } from "../intent/pairs-file.js";
import type { PreferencePair } from "../intent/pairs.js";
import { setsSeenBy, type ConditionRun } from "./conditions.js";
import { atHand, findRun, leftOutSchema, logIn, predictionsIn, type Found } from "./experiment-folder.js";

/** One condition of one seed: the SFT model it starts from, or what DPO made of it. */
export interface DpoRunRecord extends ConditionRun {
  readonly condition: Condition;
  readonly folder: string;
  /** Pairs trained on; null for SFT. */
  readonly pairs: number | null;
  /** Null for SFT. */
  readonly log: DpoLog | null;
  readonly training: DpoTrainingFacts | null;
}

export interface DpoMining {
  readonly seed: number;
  readonly counts: MinedCounts;
  readonly skipped: { readonly noGoldIntent: number; readonly unwritableGold: readonly string[] };
  readonly judge: string | null;
}

export interface DpoSettings {
  readonly trainSet: string;
  readonly selectionSets: readonly string[];
  readonly samples: number;
  readonly temperature: number;
  readonly balance: string;
  readonly loss: string;
  readonly beta: number;
  readonly learningRate: number;
  readonly epochs: number;
  readonly batchSize: number;
}

export interface DpoRecord {
  readonly folder: string;
  readonly model: string;
  readonly seeds: readonly number[];
  readonly settings: DpoSettings;
  /** In the config's order, as far as they were at hand. */
  readonly testSets: readonly string[];
  readonly agreement: AgreementBySet;
  readonly mining: readonly DpoMining[];
  readonly runs: readonly DpoRunRecord[];
  readonly leftOut: readonly { readonly set: string; readonly reason: string }[];
  readonly skipped: readonly { readonly condition: Condition; readonly seed: number; readonly reason: string }[];
}

/** {@link Found}, of a DPO experiment. */
export type FoundDpo = Found<DpoRecord>;

/**
 * The user's own DPO experiment if it is finished, else the recorded one, else none: the paper's numbers can be shown without.
 * @param name folder below `results/runs` and `results/recorded`, for instance "dpo-small"; or a path to any finished experiment
 * @param command what makes the folder
 * @throws DataFormatError or RunFolderError if what is there is damaged.
 */
export function findDpo(name: string, command: string, results?: string): FoundDpo {
  return findRun(name, command, readDpo, results);
}

const count = z.number().int().nonnegative();
const score = z.number().nullable();
const verdicts = z.looseObject({ items: count, good: count, decent: count, bad: count, none: count });
const interval = z.looseObject({
  estimate: z.number(),
  sides: z.array(z.number()),
  low: z.number(),
  high: z.number(),
  level: z.number(),
  resamples: count,
  undefinedResamples: count,
  seeds: z.array(count),
});
const agreement = z.looseObject({
  judge: z.string(),
  same: verdicts,
  shuffled: verdicts,
  contrasts: verdicts.nullable(),
  auroc: interval.nullable(),
  contrastAuroc: interval.nullable(),
});
/** A judge against annotators, as summaries list it. */
export const agreementSchema = z.record(z.string(), agreement);
const outcomes = z.looseObject({ rows: count, samples: count, outcomes: z.record(z.enum(SAMPLE_OUTCOMES), count) });
const named = outcomes.extend({ name: z.string().nullable() });
const miningSchema = z.looseObject({
  counts: z.looseObject({ all: outcomes, byTheme: z.array(named), byLevel: z.array(named) }),
  skipped: z.looseObject({ noGoldIntent: count, unwritableGold: z.array(z.string()) }),
  judge: z.string().nullable(),
});
const condition = z.enum(["sft", ...(Object.keys(PAIR_SETS) as PairSetName[])]);
const errorTypes = z.looseObject({
  rightFaithful: count,
  rightUnfaithful: count,
  wrongFaithful: count,
  wrongUnfaithful: count,
  unparsed: count,
  unjudged: count,
});
const runSchema = z.looseObject({
  condition,
  seed: count,
  folder: z.string().regex(/^runs\/seed-\d+\/[a-z_]+$/),
  pairs: count.nullable(),
  intents: z.record(z.string(), z.looseObject({ cosine: score, compared: count, missing: count })),
  errors: z.record(z.string(), errorTypes),
});
const summarySchema = z.looseObject({
  model: z.string(),
  seeds: z.array(count),
  judge: agreementSchema,
  mining: z.record(z.string().regex(/^\d+$/), miningSchema),
  runs: z.array(runSchema),
  leftOut: leftOutSchema,
  skipped: z.array(z.looseObject({ condition, seed: count, reason: z.string() })),
});
const configSchema = z.looseObject({
  trainSet: z.string(),
  selectionSets: z.array(z.string()),
  testSets: z.array(z.string()),
  samples: count,
  temperature: z.number(),
  balance: z.string(),
  loss: z.string(),
  beta: z.number(),
  learningRate: z.number(),
  epochs: count,
  batchSize: count,
});

/** Reads a finished experiment. @throws DataFormatError naming file and field; RunFolderError for what is no JSON. */
export function readDpo(folder: string): DpoRecord {
  const summaryFile = join(folder, "summary.json");
  const summary = checkRow(summarySchema, readJson(summaryFile), summaryFile, 0);
  const configFile = join(folder, "config.json");
  const { testSets, ...settings } = checkRow(configSchema, readJson(configFile), configFile, 0);
  const sets = [...settings.selectionSets, ...testSets];
  return {
    folder,
    model: summary.model,
    seeds: summary.seeds,
    settings,
    testSets: atHand(testSets, summary.leftOut),
    agreement: summary.judge,
    mining: Object.entries(summary.mining).map(([seed, mined]) => ({ seed: Number(seed), ...mined })),
    runs: summary.runs.map((run) => readRun(folder, run, sets)),
    leftOut: summary.leftOut,
    skipped: summary.skipped,
  };
}

function readRun(experiment: string, run: z.infer<typeof runSchema>, sets: readonly string[]): DpoRunRecord {
  const { condition, seed, pairs, intents, errors } = run;
  const folder = join(experiment, run.folder);
  const predictions = predictionsIn(folder, sets);
  const log = condition === "sft" ? null : readLog(logIn(folder));
  return { condition, seed, folder, pairs, log, training: log && dpoTrainingFacts(log), predictions, intents, errors };
}

function readLog(file: string): DpoLog {
  const log = readDpoLog(file);
  if (log.steps.length === 0) throw new DataFormatError(file, 0, null, "holds no step");
  return log;
}

/** The conditions that some seed was trained on, SFT first. */
export function conditionsOf({ runs }: DpoRecord): readonly Condition[] {
  return [...new Set(runs.map((run) => run.condition))].sort((a, b) => Number(b === "sft") - Number(a === "sft"));
}

export function runsOf({ runs }: DpoRecord, wanted: Condition): readonly DpoRunRecord[] {
  return runs.filter((run) => run.condition === wanted);
}

/** Test sets that every run saw. */
export function setsSeen({ testSets, runs }: DpoRecord): readonly string[] {
  return setsSeenBy(testSets, runs);
}

/** All pairs mined for a seed, whatever was trained on; null if the folder does not hold them. @throws DataFormatError */
export function minedPairs({ folder }: DpoRecord, seed: number): readonly PreferencePair[] | null {
  const file = join(folder, "runs", `seed-${seed}`, "pairs.jsonl");
  return existsSync(file) ? readPairs(file) : null;
}
