/**
 * Distillation (paper section 5): students learn to reason about a prompt as a teacher does, to say what it intends (nothing, the teacher's
 * words, or the annotator's), and then to judge it; which teacher, student and condition give the better judge is the question.
 *
 * Differs from the paper here: LoRA on weights in bf16 or float32, not 4-bit; plain AdamW, not the paged 8-bit one; every condition of a
 * teacher is trained on the same rows; early stopping looks at validation rows only, never at test rows.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { stratifiedSubset } from "../traces/subset.js";
import { cellFolder, cellName, CELLS, checkFolders, chosenCells } from "./distillation-cells.js";
import { runCell, type CellDone, type GridSets } from "./distillation-cell.js";
import { checkDistillationConfig, type DistillationConfig } from "./distillation-config.js";
import { markDone, markFailed, planLine, planText, readPlan, type PlannedCell } from "./distillation-plan.js";
import { intentEffects, summariseGrid } from "./distillation-summary.js";
import type { DistillationCell, DistillationSummary, IntentEffect } from "./distillation-summary.js";
import { teacherRows } from "./distillation-traces.js";
import { openFolder, type ExperimentFolder } from "./experiment.js";
import { isDue } from "./plan.js";
import { say } from "./progress.js";
import { writeJson } from "./run-folder.js";
import { loadAtHand, loadNamed, type LeftOut, type NamedSet } from "./sets.js";

export interface DistillationOptions {
  /** Removes what an earlier run left: the cells that are asked for, or with all of them everything. */
  readonly fresh?: boolean;
  /** Run these cells alone, such as "teacher=a,condition=no_intent"; see {@link chosenCells}. Default: all. */
  readonly only?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Runs the grid in the folder `out`, or goes on with it there, student by student: what is trained or predicted is not done again. A cell
 * that fails is noted with its reason and does not stop the others; the next run tries it again.
 * @throws ConfigError; FolderLockedError; RunFolderError if the folder is of another config or data; DataUnavailableError if the validation
 * rows are not at hand; the signal's reason.
 */
export async function runDistillation(
  config: DistillationConfig,
  out: string,
  { fresh = false, only = [], signal }: DistillationOptions = {},
): Promise<DistillationSummary> {
  checkFolders(config);
  const chosen = chosenCells(config, only);
  const { sets, leftOut } = await gridSets(config);
  for (const { set, reason } of leftOut) say(`${set} is left out: ${reason}`);

  const all = [sets.validation, ...sets.selection, ...sets.tests];
  const folder = openFolder(config, out, checkDistillationConfig, all, [CELLS], {
    fresh: fresh && only.length === 0,
    ...(signal && { signal }),
  });
  try {
    if (fresh) for (const cell of chosen) rmSync(join(out, cellFolder(cell)), { recursive: true, force: true });
    const plan = readPlan(config, out, chosen);
    say(planText(plan));
    const rowsOf = keyed((teacher) => teacherRows(config, teacher));
    const done = new Map<PlannedCell, CellDone>();
    let effects: IntentEffect[] = [];
    const summarise = (): DistillationSummary => {
      effects = intentEffects(
        plan.flatMap((cell) => done.get(cell) ?? []),
        sets.tests,
        effects,
      );
      const cells = plan.map((cell) => done.get(cell)?.cell ?? unfinished(cell));
      const summary = summariseGrid(config, cells, effects, leftOut);
      writeJson(join(out, "summary.json"), summary);
      return summary;
    };

    const run = async (cell: PlannedCell, open: OpenedOnce["open"]): Promise<void> => {
      const { teacher, student, condition } = cell;
      try {
        const [train, validation] = [rowsOf(teacher).train.get(condition)!, rowsOf(teacher).validation.get(condition)!];
        const key = { teacher, student, condition };
        const result = await runCell({ config, out, cell: key, train, validation, sets, student: open, signal });
        markDone(cell, out, result.cell);
        done.set(cell, result);
      } catch (error) {
        if (signal?.aborted) throw error;
        markFailed(cell, out, error instanceof Error ? error.message : String(error));
        say(`${cellName(cell)}: failed: ${cell.reason}`);
      }
    };
    const withStudent = async (name: string, work: (open: OpenedOnce["open"]) => Promise<void>): Promise<void> => {
      const student = openedOnce(folder, name);
      try {
        await work(student.open);
      } finally {
        await student.close();
      }
    };
    // What was done in an earlier run is only read, and before anything else: a summary that is written on the way has it too.
    for (const cell of plan.filter(({ state }) => state === "done")) await withStudent(cell.student, (open) => run(cell, open));
    for (const name of config.students)
      await withStudent(name, async (open) => {
        for (const cell of plan.filter((one) => one.student === name && isDue(one))) {
          cell.state = "running";
          say(`\n${cellName(cell)}: begins; ${planLine(plan)}`);
          await run(cell, open);
          summarise();
        }
      });
    say(`\n${planText(plan)}`);
    return summarise();
  } finally {
    folder.close();
  }
}

/** Where a grid stands, and what is left, without running anything. */
export function showPlan(config: DistillationConfig, out: string, only: readonly string[] = []): string {
  return planText(readPlan(config, out, chosenCells(config, only)));
}

/** The rows of each set that are asked about. A set for selection or test that is not at hand is left out. */
async function gridSets(config: DistillationConfig): Promise<{ sets: GridSets; leftOut: LeftOut[] }> {
  const drawn = (count: number) => (set: NamedSet) => ({ ...set, rows: stratifiedSubset(set.rows, count || Infinity, 22) });
  const validation = drawn(config.validationRows)(await loadNamed(config.validationSet, 0));
  const selection = await loadAtHand(config.selectionSets, 0);
  const tests = await loadAtHand(config.testSets, 0);
  return {
    sets: {
      validation,
      selection: selection.sets.map(drawn(config.validationRows)),
      tests: tests.sets.map(drawn(config.testRows)),
    },
    leftOut: [...selection.leftOut, ...tests.leftOut],
  };
}

/** A cell that has no numbers. */
function unfinished({ teacher, student, condition, state, reason }: PlannedCell): DistillationCell {
  return { teacher, student, condition, state, reason, rows: null, learningRate: null, sweep: [], runs: [], seconds: null };
}

interface OpenedOnce {
  readonly open: () => ReturnType<ExperimentFolder<DistillationConfig>["open"]>;
  readonly close: () => Promise<void>;
}

/** Opens a student when first needed, for all its cells; what opening throws, each of them gets. */
function openedOnce(folder: ExperimentFolder<DistillationConfig>, name: string): OpenedOnce {
  let opening: ReturnType<typeof folder.open> | undefined;
  return {
    open: (): ReturnType<typeof folder.open> => (opening ??= folder.open(name)),
    close: async (): Promise<void> => {
      await opening?.then(({ model }) => model.free()).catch(() => undefined);
    },
  };
}

/** A function that computes each value once; what it throws is thrown again. */
function keyed<T>(compute: (key: string) => T): (key: string) => T {
  const known = new Map<string, () => T>();
  return (key) => {
    if (!known.has(key)) {
      try {
        const value = compute(key);
        known.set(key, () => value);
      } catch (error) {
        known.set(key, () => {
          throw error;
        });
      }
    }
    return known.get(key)!();
  };
}
