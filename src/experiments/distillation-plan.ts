/** The plan of a distillation grid: which cells are done, running, failed or left, and how long what is left will take. */
import { join } from "node:path";
import { z } from "zod";
import { markdownTable } from "../evaluate/table.js";
import { cellFolder, cellsOf, sameCell } from "./distillation-cells.js";
import type { DistillationConfig } from "./distillation-config.js";
import type { CellKey } from "./distillation-summary.js";
import { markPartDone, markPartFailed, partState, secondsLeft, stateCells, summaryLine, type PlannedPart } from "./plan.js";
import { writeJson } from "./run-folder.js";

export interface PlannedCell extends CellKey, PlannedPart {}

const WORDS = { parts: "cells", unknown: "of students not measured yet" };
const run = z.looseObject({ seed: z.number() });
const summarySchema = z.looseObject({ state: z.literal("done"), seconds: z.number(), runs: z.array(run) });

/** Reads from the folder where the grid stands. A cell whose files cannot be read is left: it is looked at again. */
export function readPlan(config: DistillationConfig, out: string, chosen: readonly CellKey[]): PlannedCell[] {
  return cellsOf(config).map((cell): PlannedCell => {
    const { state, reason, seconds } = cellState(config, out, cell);
    return { ...cell, chosen: chosen.some((one) => sameCell(one, cell)), state, reason, seconds };
  });
}

/** Where a cell stands, by its folder. */
export function cellState({ seeds }: DistillationConfig, out: string, cell: CellKey): Omit<PlannedPart, "chosen"> {
  return partState(join(out, cellFolder(cell)), summarySchema, seeds, ({ runs }) => runs);
}

/** Notes that a cell is done; `summary` stands in its folder from then on. */
export function markDone(cell: PlannedCell, out: string, summary: { readonly seconds: number | null }): void {
  const folder = join(out, cellFolder(cell));
  writeJson(join(folder, "summary.json"), summary);
  markPartDone(cell, folder, summary.seconds);
}

/** Notes why a cell failed; the next run tries it again. */
export function markFailed(cell: PlannedCell, out: string, reason: string): void {
  markPartFailed(cell, join(out, cellFolder(cell)), reason);
}

/** Mean seconds of the cells done with the same student: what trains and generates decides. Null before there is one. */
function estimatedSeconds(plan: readonly PlannedCell[]): (cell: PlannedCell) => number | null {
  return ({ student }) => {
    const known = plan.flatMap((cell) => (cell.student === student && cell.seconds !== null ? [cell.seconds] : []));
    return known.length === 0 ? null : known.reduce((sum, seconds) => sum + seconds, 0) / known.length;
  };
}

/** What the cells that are due will take: measured where a student has a cell done, and how many cells nobody can tell of yet. */
export function timeLeft(plan: readonly PlannedCell[]): { readonly seconds: number; readonly unknown: number } {
  return secondsLeft(plan, estimatedSeconds(plan));
}

/** "2 of 12 cells done, 1 failed, 9 left: about 41 min" */
export function planLine(plan: readonly PlannedCell[]): string {
  return summaryLine(plan, WORDS, estimatedSeconds(plan));
}

/** The plan as a table, a line a cell, then {@link planLine}. */
export function planText(plan: readonly PlannedCell[]): string {
  const estimate = estimatedSeconds(plan);
  const lines = plan.map((cell) => [cell.teacher, cell.student, cell.condition, ...stateCells(cell, estimate)]);
  return `${markdownTable(["teacher", "student", "condition", "state", "time"], lines, [0, 1, 2, 3])}\n\n${planLine(plan)}`;
}
