/** What a distillation grid left on disk (src/experiments/distillation-summary.ts), for figures and tables. */
import { join } from "node:path";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import { throughputOf, type Throughput } from "../evaluate/latency.js";
import { constantScores, score } from "../evaluate/metrics.js";
import type { Prediction } from "../evaluate/predictions.js";
import type { CellKey } from "../experiments/distillation-summary.js";
import type { PartState } from "../experiments/plan.js";
import { readJson } from "../experiments/run-folder.js";
import { meanOf } from "../evaluate/spread.js";
import { CONDITIONS, type Condition } from "../prompts/distillation.js";
import { modelNames } from "./distillation-names.js";
import type { GridCell } from "./distillation-grid.js";
import { atHand, findRun, leftOutSchema, predictionsIn, type Found } from "./experiment-folder.js";

/** A training of the chosen rate. */
export interface CellRunRecord {
  readonly seed: number;
  readonly folder: string;
  /** Tokens that an answer may have. */
  readonly maxNewTokens: number;
  /** Of a completion token of the validation traces, in nats; null without such traces. */
  readonly loss: number | null;
  /** Mean F1 over the sets that choose models: the selection sets, or the validation set where they were not at hand. */
  readonly validationF1: number | null;
  /** By test set. */
  readonly predictions: ReadonlyMap<string, readonly Prediction[]>;
}

/** A cell; teacher and student by their short names. */
export interface CellRecord extends CellKey {
  readonly state: PartState;
  readonly reason: string | null;
  /** Traces trained on. */
  readonly traces: number | null;
  readonly learningRate: number | null;
  /** One a seed; empty unless done. */
  readonly runs: readonly CellRunRecord[];
}

export interface DistillationRecord {
  readonly folder: string;
  /** Short names, and what they stand for. */
  readonly models: ReadonlyMap<string, string>;
  readonly seeds: readonly number[];
  readonly learningRates: readonly number[];
  /** The sets that {@link CellRunRecord.validationF1} is over. */
  readonly validationSets: readonly string[];
  /** In the config's order, those at hand that every cell that is done saw. */
  readonly testSets: readonly string[];
  /** Test sets that some cell that is done did not see: they are in no mean. */
  readonly unseenSets: readonly string[];
  /** Every cell of the plan: teachers first, then students, then conditions. */
  readonly cells: readonly CellRecord[];
  readonly leftOut: readonly { readonly set: string; readonly reason: string }[];
}

export type FoundDistillation = Found<DistillationRecord>;

/**
 * The user's own grid if its summary is written, else the recorded one, else none: the paper's numbers can be shown without.
 * @param name folder below `results/runs` and `results/recorded`, for instance "distillation-small"; or a path to any
 * @param command what makes the folder
 * @throws DataFormatError or RunFolderError if what is there is damaged.
 */
export function findDistillation(name: string, command: string, results?: string): FoundDistillation {
  return findRun(name, command, readDistillation, results);
}

const f1 = z.number().min(0).max(1).nullable();
const runSchema = z.looseObject({
  seed: z.number().int().nonnegative(),
  // Below the experiment: no step leads out of it.
  folder: z.string().regex(/^(?!\/)(?!(.*\/)?\.\.(\/|$))[^\\]+$/),
  training: z.looseObject({ bestLoss: z.number().nullable() }),
  validationF1: f1,
  selectionF1: f1,
});
const names = z.array(z.string().min(1));
const configSchema = z.looseObject({ maxNewTokens: z.number().int().positive() });
const schema = z.looseObject({
  teachers: names,
  students: names,
  seeds: z.array(z.number().int().nonnegative()),
  learningRates: z.array(z.number().positive()),
  validationSet: z.string(),
  selectionSets: names,
  testSets: names,
  cells: z.array(
    z.looseObject({
      teacher: z.string().min(1),
      student: z.string().min(1),
      condition: z.enum(CONDITIONS),
      state: z.enum(["done", "running", "failed", "left"]),
      reason: z.string().nullable(),
      rows: z.looseObject({ train: z.number().int().nonnegative() }).nullable(),
      learningRate: z.number().positive().nullable(),
      runs: z.array(runSchema),
    }),
  ),
  leftOut: leftOutSchema,
});

/** Reads a grid, finished or not. @throws DataFormatError naming file and field; RunFolderError for what is no JSON. */
export function readDistillation(folder: string): DistillationRecord {
  const file = join(folder, "summary.json");
  const summary = checkRow(schema, readJson(file), file, 0);
  const configFile = join(folder, "config.json");
  const { maxNewTokens } = checkRow(configSchema, readJson(configFile), configFile, 0);
  const models = modelNames([...new Set([...summary.teachers, ...summary.students, ...summary.cells.flatMap(namesOf)])]);
  const tests = atHand(summary.testSets, summary.leftOut);
  const selection = atHand(summary.selectionSets, summary.leftOut);
  const done = summary.cells.flatMap(({ runs }) => runs);
  // One measure for all cells, or they could not be compared.
  const selected = selection.length > 0 && done.every(({ selectionF1 }) => selectionF1 !== null);
  const cells = summary.cells.map(({ teacher, student, condition, state, reason, rows, learningRate, runs }): CellRecord => ({
    ...{ teacher: models.get(teacher)!, student: models.get(student)!, condition, state, reason, learningRate },
    traces: rows?.train ?? null,
    runs: runs.map(({ seed, folder: below, training, validationF1, selectionF1 }) => ({
      ...{
        seed,
        folder: join(folder, below),
        maxNewTokens,
        loss: training.bestLoss,
        validationF1: selected ? selectionF1 : validationF1,
      },
      predictions: predictionsIn(join(folder, below), tests),
    })),
  }));
  const trained = cells.flatMap(({ runs }) => runs);
  const seen = tests.filter((set) => trained.length > 0 && trained.every(({ predictions }) => predictions.has(set)));
  return {
    folder,
    models: new Map([...models].map(([model, name]) => [name, model])),
    ...{ seeds: summary.seeds, learningRates: summary.learningRates, cells, leftOut: summary.leftOut },
    validationSets: selected ? selection : [summary.validationSet],
    testSets: seen,
    unseenSets: trained.length > 0 ? tests.filter((set) => !seen.includes(set)) : [],
  };
}

const namesOf = ({ teacher, student }: CellKey): string[] => [teacher, student];

/** The grid's numbers, each the mean over seeds. Null for a cell that is not done, or has no such number. */
export const MEASURES = {
  /** Mean over the test sets; unparsed answers count as wrong. */
  testF1: (run, sets) => meanOf(sets.map((set) => score(run.predictions.get(set)!).byRule.wrong.f1)),
  /** Mean over the test sets. */
  auroc: (run, sets) => meanOf(sets.map((set) => score(run.predictions.get(set)!).auroc)),
  validationF1: (run) => run.validationF1,
  loss: (run) => run.loss,
  /** Share of all answers on the test sets whose verdict is harmful; one that cannot be read is not. */
  calledHarmful: (run, sets) => shareOf(run, sets, "harmful"),
  /** Share of the answers on the test sets without a readable verdict. */
  unparsed: (run, sets) => shareOf(run, sets, "unparsed"),
  tokensPerPrompt: (run, sets) => throughput(run, sets).tokensPerPrompt,
  /** In batches. */
  millisecondsPerPrompt: (run, sets) => throughput(run, sets).millisecondsPerPrompt,
} as const satisfies Record<string, (run: CellRunRecord, testSets: readonly string[]) => number | null>;
export type Measure = keyof typeof MEASURES;

function shareOf(run: CellRunRecord, sets: readonly string[], verdict: Prediction["harm"]): number | null {
  const said = sets.flatMap((set) => run.predictions.get(set)!);
  return said.length === 0 ? null : said.filter(({ harm }) => harm === verdict).length / said.length;
}

function throughput(run: CellRunRecord, sets: readonly string[]): Throughput {
  return throughputOf(sets.flatMap((set) => run.predictions.get(set)!));
}

/** Mean F1 over the test sets of always answering harmful: a cell that is not above it has learnt nothing that helps. Null without runs. */
export function constantF1({ cells, testSets }: DistillationRecord): number | null {
  const [one] = cells.flatMap(({ runs }) => runs);
  if (one === undefined || testSets.length === 0) return null;
  return meanOf(testSets.map((set) => constantScores(one.predictions.get(set)!, "harmful").byRule.wrong.f1));
}

/** The grid of one {@link MEASURES}. */
export function gridOf({ cells, testSets }: DistillationRecord, measure: Measure): GridCell[] {
  return cells.map(({ teacher, student, condition, runs }) => {
    const value = meanOf(runs.map((run) => MEASURES[measure](run, testSets)));
    return { teacher, student, condition, value };
  });
}

/** A cell that is done, with what it said on a test set, a list a seed. */
export interface DoneCell extends CellRecord {
  readonly said: (set: string) => readonly (readonly Prediction[])[];
}

/** The cell if it is done and saw the test sets, else null. */
export function doneCell(
  { cells, testSets }: DistillationRecord,
  teacher: string,
  student: string,
  condition: Condition,
): DoneCell | null {
  const cell = cells.find((one) => one.teacher === teacher && one.student === student && one.condition === condition);
  if (cell === undefined || cell.runs.length === 0 || testSets.length === 0) return null;
  return { ...cell, said: (set) => cell.runs.map(({ predictions }) => predictions.get(set)!) };
}
