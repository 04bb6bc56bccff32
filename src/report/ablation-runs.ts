/** What the ablations left on disk (src/experiments/ablations.ts), for figures and tables: an SFT experiment an arm. */
import { join } from "node:path";
import { z } from "zod";
import { DataFormatError } from "../data/errors.js";
import { checkRow } from "../data/rows.js";
import { REFERENCE } from "../experiments/ablations-arms.js";
import { ABLATIONS, type Ablation } from "../experiments/ablations-config.js";
import type { PartState } from "../experiments/plan.js";
import { readJson } from "../experiments/run-folder.js";
import { MODES, type Mode } from "../experiments/sft-config.js";
import type { ConditionRuns } from "./conditions.js";
import { findRun, leftOutSchema, type Found } from "./experiment-folder.js";
import { chosenRuns, modesOf, readExperiment, type ExperimentRecord } from "./runs.js";

export interface ArmRecord {
  readonly name: string;
  readonly ablations: readonly Ablation[];
  readonly what: string;
  readonly epochs: number;
  readonly state: PartState;
  readonly reason: string | null;
  /** Null unless it is done. */
  readonly rows: { readonly train: number; readonly harmful: number } | null;
  /** Of an arm under other labels: how many differ from the set's own, and rows that have none. */
  readonly labels: { readonly changed: number; readonly missing: number } | null;
  readonly experiment: ExperimentRecord | null;
}

export interface AblationsRecord {
  readonly folder: string;
  readonly model: string;
  readonly seeds: readonly number[];
  readonly trainSet: string;
  readonly otherLabels: string;
  readonly pool: string;
  /** Test sets that every arm that is done saw, in the config's order. */
  readonly testSets: readonly string[];
  readonly arms: readonly ArmRecord[];
  readonly leftOut: readonly { readonly set: string; readonly reason: string }[];
}

export type FoundAblations = Found<AblationsRecord>;

/**
 * The user's own ablations if their summary is written, else the recorded ones, else none: the paper's numbers can be shown without.
 * @param name folder below `results/runs` and `results/recorded`, for instance "ablations-small"; or a path to any
 * @param command what makes the folder
 * @throws DataFormatError or RunFolderError if what is there is damaged, or another experiment.
 */
export function findAblations(name: string, command: string, results?: string): FoundAblations {
  return findRun(name, command, readAblations, results);
}

const count = z.number().int().nonnegative();
const names = z.array(z.string());
const schema = z.looseObject({
  kind: z.literal("ablations"),
  model: z.string(),
  seeds: z.array(count),
  trainSet: z.string(),
  otherLabels: z.string(),
  pool: z.string(),
  testSets: names,
  arms: z.array(
    z.looseObject({
      name: z.string().min(1),
      ablations: z.array(z.enum(ABLATIONS)),
      what: z.string(),
      epochs: count,
      state: z.enum(["done", "running", "failed", "left"]),
      reason: z.string().nullable(),
      rows: z.looseObject({ train: count, harmful: count }).nullable(),
      labels: z.looseObject({ changed: count, missing: count }).nullable(),
      // Below the experiment: no step leads out of it.
      folder: z.string().regex(/^arms\/[\w-]+(\.\d+)?$/),
    }),
  ),
  leftOut: leftOutSchema,
});

/** Reads ablations, finished or not. @throws DataFormatError naming file and field; RunFolderError for what is no JSON. */
export function readAblations(folder: string): AblationsRecord {
  const file = join(folder, "summary.json");
  const { model, seeds, trainSet, otherLabels, pool, testSets, leftOut, ...summary } = checkRow(schema, readJson(file), file, 0);
  const arms = summary.arms.map(({ folder: below, ...arm }): ArmRecord => {
    const experiment = arm.state === "done" ? readExperiment(join(folder, below)) : null;
    if (experiment !== null && arm.rows === null)
      throw new DataFormatError(file, 0, "arms", `${arm.name} is done and has no rows`);
    return { ...arm, experiment };
  });
  if (new Set(arms.map(({ name }) => name)).size < arms.length) throw new DataFormatError(file, 0, "arms", "two have one name");
  const done = arms.flatMap(({ experiment }) => experiment ?? []);
  const saw = (set: string): boolean => done.every((one) => one.runs.every((run) => !run.chosen || run.predictions.has(set)));
  const seen = testSets.filter((set) => done.length > 0 && saw(set));
  return { folder, model, seeds, trainSet, otherLabels, pool, testSets: seen, arms, leftOut };
}

/** Arms of an ablation that are done and were trained in the mode, the annotated rows first. */
export function doneArms({ arms }: AblationsRecord, ablation: Ablation, mode: Mode): readonly ArmRecord[] {
  return arms
    .filter(
      ({ ablations, experiment }) => ablations.includes(ablation) && experiment !== null && modesOf(experiment).includes(mode),
    )
    .toSorted((a, b) => Number(b.name === REFERENCE) - Number(a.name === REFERENCE));
}

/** The modes that some arm was trained in. */
export function armModes({ arms }: AblationsRecord): readonly Mode[] {
  return MODES.filter((mode) => arms.some(({ experiment }) => experiment !== null && modesOf(experiment).includes(mode)));
}

/** An arm's runs as a condition: what each seed said. */
export function armRuns({ name, experiment }: ArmRecord, mode: Mode): ConditionRuns {
  const runs = experiment === null ? [] : chosenRuns(experiment, mode);
  return { name, runs: runs.map(({ seed, predictions }) => ({ seed, predictions, intents: {}, errors: {} })) };
}
