/**
 * What a distillation grid found: each cell (teacher, student, condition) with its scores, lengths and losses, and each condition with an
 * intent beside reasoning alone, prompt by prompt.
 */
import { compareModels, overallF1, type Comparison } from "../evaluate/comparison.js";
import type { Prediction } from "../evaluate/predictions.js";
import { reportSet, type SetReport } from "../evaluate/set-report.js";
import { markdownTable, number, printable } from "../evaluate/table.js";
import { differenceCells } from "../evaluate/signed.js";
import type { Condition } from "../prompts/distillation.js";
import { sameCell } from "./distillation-cells.js";
import type { DistillationConfig } from "./distillation-config.js";
import type { PartState } from "./plan.js";
import type { TrainingFacts } from "./sft-log.js";
import type { LeftOut, NamedSet } from "./sets.js";
import { meanOf } from "../evaluate/spread.js";

/** One training of a cell, by rate and seed: one folder. */
export interface CellRun {
  readonly learningRate: number;
  readonly seed: number;
  /** Below the experiment's folder; predictions are in its `predictions/<set>.jsonl`. */
  readonly folder: string;
  /** `bestLoss` is the loss on the validation traces of the epoch that was kept; `bestEpoch` counts from 0. */
  readonly training: TrainingFacts;
  /** By set; of a rate that was not chosen, the validation set alone. `scores.byRule` has all three rules for unparsed answers. */
  readonly sets: Readonly<Record<string, CellSet>>;
  /** Mean F1 over the sets of that kind that were evaluated, unparsed answers counted as wrong; null if undefined on one, or there are none. */
  readonly validationF1: number | null;
  readonly selectionF1: number | null;
  readonly testF1: number | null;
}

/** A run on one set. `throughput` has tokens and milliseconds a prompt. */
export type CellSet = Pick<SetReport, "scores" | "constants" | "intervals" | "unparsedRate" | "throughput">;

export interface CellKey {
  readonly teacher: string;
  readonly student: string;
  readonly condition: Condition;
}

export interface DistillationCell extends CellKey {
  readonly state: PartState;
  /** Why it failed; null otherwise. */
  readonly reason: string | null;
  /** Traces trained and validated on; null before it was done. */
  readonly rows: { readonly train: number; readonly validation: number } | null;
  /** Null before it was done. Of several, the one of highest F1 on the validation set with the first seed. */
  readonly learningRate: number | null;
  /** Every rate with the first seed. */
  readonly sweep: readonly CellRun[];
  /** The chosen rate, one run a seed. Empty unless done. */
  readonly runs: readonly CellRun[];
  /** Training and evaluation of its runs, restarts not counted. Null before it was done. */
  readonly seconds: number | null;
}

/** A condition with an intent against `no_intent`, same teacher and student. `first` is no_intent, `second` the condition; every seed counts. */
export interface IntentEffect {
  readonly teacher: string;
  readonly student: string;
  readonly condition: Exclude<Condition, "no_intent">;
  /** On the test sets. */
  readonly comparison: Comparison;
}

export interface DistillationSummary {
  readonly teachers: readonly string[];
  readonly students: readonly string[];
  readonly conditions: readonly Condition[];
  readonly seeds: readonly number[];
  readonly learningRates: readonly number[];
  /** Its traces stop training early, its rows choose the rate. */
  readonly validationSet: string;
  /** Teacher, student and condition are chosen by the mean F1 over these. */
  readonly selectionSets: readonly string[];
  readonly testSets: readonly string[];
  /** Every cell of the grid, done or not: teachers first, then students, then conditions. */
  readonly cells: readonly DistillationCell[];
  /** For each teacher and student whose two cells are done. */
  readonly effects: readonly IntentEffect[];
  readonly leftOut: readonly LeftOut[];
  /** Training and evaluation of all runs, restarts not counted. */
  readonly seconds: number;
}

/** Sets by what a run's F1 on them is for. */
interface SetsByUse {
  readonly validation: NamedSet;
  readonly selection: readonly NamedSet[];
  readonly tests: readonly NamedSet[];
}

/** A run with what it said, by set. */
export function summariseRun(
  run: Pick<CellRun, "learningRate" | "seed" | "folder" | "training">,
  said: ReadonlyMap<string, readonly Prediction[]>,
  { validation, selection, tests }: SetsByUse,
): CellRun {
  const rows = new Map([validation, ...selection, ...tests].map((set) => [set.name, set.rows]));
  const sets = Object.fromEntries(
    [...said].map(([name, predictions]): [string, CellSet] => {
      const { scores, constants, intervals, unparsedRate, throughput } = reportSet(rows.get(name)!, predictions);
      return [name, { scores, constants, intervals, unparsedRate, throughput }];
    }),
  );
  const meanF1 = (of: readonly NamedSet[]): number | null =>
    meanOf(of.filter(({ name }) => said.has(name)).map(({ name }) => sets[name].scores.byRule.wrong.f1));
  return { ...run, sets, validationF1: meanF1([validation]), selectionF1: meanF1(selection), testF1: meanF1(tests) };
}

/** A cell that is done, with what its runs said: by set, a list a seed. */
interface SaidCell {
  readonly cell: CellKey;
  readonly predictions: ReadonlyMap<string, readonly (readonly Prediction[])[]>;
}

/**
 * Every condition with an intent against no_intent, where both are done. Without test sets there is nothing to compare.
 * @param known effects of the same grid that need not be computed again
 */
export function intentEffects(
  done: readonly SaidCell[],
  tests: readonly NamedSet[],
  known: readonly IntentEffect[] = [],
): IntentEffect[] {
  if (tests.length === 0) return [];
  return done.flatMap(({ cell, predictions }) => {
    const { teacher, student, condition } = cell;
    const plain = done.find((other) => sameCell(other.cell, { teacher, student, condition: "no_intent" }));
    if (condition === "no_intent" || plain === undefined) return [];
    const before = known.find((effect) => sameCell(effect, cell));
    if (before !== undefined) return [before];
    const sets = tests.map(({ name }) => ({
      set: name,
      first: plain.predictions.get(name)!,
      second: predictions.get(name)!,
    }));
    return [{ teacher, student, condition, comparison: compareModels(sets) }];
  });
}

export function summariseGrid(
  config: DistillationConfig,
  cells: readonly DistillationCell[],
  effects: readonly IntentEffect[],
  leftOut: readonly LeftOut[],
): DistillationSummary {
  const { teachers, students, conditions, seeds, learningRates, validationSet, selectionSets, testSets } = config;
  return {
    ...{ teachers, students, conditions, seeds, learningRates, validationSet, selectionSets, testSets },
    ...{ cells, effects, leftOut },
    seconds: cells.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0),
  };
}

/** The summary as Markdown: a line a cell, what an intent changed, and which cells failed. Means over seeds where there are several. */
export function distillationTables(summary: DistillationSummary): string {
  const sets = summary.testSets.filter((set) => summary.leftOut.every((left) => left.set !== set));
  const done = summary.cells.filter(({ state }) => state === "done");
  const mean = (cell: DistillationCell, of: (run: CellRun) => number | null): string => number(meanOf(cell.runs.map(of)));
  const lines = done.map((cell) => [
    ...[cell.teacher, cell.student, cell.condition, `${cell.learningRate}`],
    mean(cell, ({ training }) => training.bestLoss),
    mean(cell, ({ selectionF1 }) => selectionF1),
    ...sets.map((set) => mean(cell, (run) => run.sets[set].scores.byRule.wrong.f1)),
    mean(cell, (run) => meanOf(sets.map((set) => run.sets[set].unparsedRate))),
    ...(["tokensPerPrompt", "millisecondsPerPrompt"] as const).map((key) => {
      const value = meanOf(cell.runs.flatMap((run) => sets.map((set) => run.sets[set].throughput[key])));
      return value === null ? "–" : value.toFixed(0);
    }),
  ]);
  const names = ["teacher", "student", "condition"];
  const head = [...names, "rate", "val. loss", "selection F1", ...sets.map((set) => `F1 ${set}`), "unparsed", "tokens", "ms"];
  const parts = [`Cells\n\n${markdownTable(head, lines, [0, 1, 2])}`];
  const effects = summary.effects.map(({ teacher, student, condition, comparison }) => {
    return [teacher, student, condition, ...differenceCells(overallF1(comparison))];
  });
  const over = printable(sets.length > 1 ? `mean F1 over ${sets.join(", ")}` : `F1 on ${sets.join()}`);
  if (effects.length > 0)
    parts.push(
      `With an intent, less no_intent (${over})\n\n${markdownTable([...names, "difference", "95% interval"], effects, [0, 1, 2])}`,
    );
  const trained = done.flatMap(({ sweep, runs }) => [
    ...sweep,
    ...runs.filter((run) => sweep.every(({ folder }) => folder !== run.folder)),
  ]);
  if (trained.length > 0) parts.push(tokensLine(trained));
  for (const { teacher, student, condition, reason } of summary.cells.filter(({ state }) => state === "failed"))
    parts.push(printable(`${teacher} -> ${student}, ${condition} failed: ${reason ?? ""}`));
  for (const { set, reason } of summary.leftOut) parts.push(printable(`${set} was left out: ${reason}`));
  return parts.join("\n\n");
}

/** What sharing the system prompt among the rows of a batch saved. */
function tokensLine(runs: readonly CellRun[]): string {
  const total = (key: "tokens" | "tokensUnshared"): number => runs.reduce((sum, { training }) => sum + training[key], 0);
  const [computed, whole] = [total("tokens"), total("tokensUnshared")];
  const share = Math.round((100 * computed) / whole);
  return `Training computed ${computed} tokens; the rows have ${whole}, each with a system prompt of its own (${share}%), and no padding.`;
}
