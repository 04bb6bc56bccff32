/** The plan of an experiment of many parts (cells, arms): which are done, running, failed or left, and how long what is left will take. */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readJson, writeJson } from "./run-folder.js";

export type PartState = "done" | "running" | "failed" | "left";

export interface PlannedPart {
  /** Whether it is to be run: `--only` leaves parts out. */
  readonly chosen: boolean;
  state: PartState;
  /** Why it failed the last time. */
  reason: string | null;
  /** Training and evaluation, once it is done. */
  seconds: number | null;
}

/** Expected seconds of a part that is due; null where nothing like it is done yet. */
export type Estimate<Part> = (part: Part) => number | null;

/** How parts are called: "cells", and those of which no time is known: "of students not measured yet". */
export interface PlanWords {
  readonly parts: string;
  readonly unknown: string;
}

const SUMMARY = "summary.json";
const FAILURE = "failure.json";
const failureSchema = z.looseObject({ reason: z.string() });

/**
 * Where a part stands, by its folder: done with a summary of this form that has a run of every seed, failed with a note of the failure, else
 * left. A part whose files cannot be read is left: it is looked at again; so is one that was done before seeds were added.
 * @param runs of a summary: those that there has to be one of for each of `seeds`
 */
export function partState<Done extends { readonly seconds: number }>(
  folder: string,
  done: z.ZodType<Done>,
  seeds: readonly number[],
  runs: (summary: Done) => readonly { readonly seed: number }[],
): { state: PartState; reason: string | null; seconds: number | null; summary: Done | null } {
  const summary = read(join(folder, SUMMARY), done);
  const has = (seed: number): boolean => summary !== null && runs(summary).some((run) => run.seed === seed);
  if (summary !== null && seeds.every(has)) return { state: "done", reason: null, seconds: summary.seconds, summary };
  const failed = read(join(folder, FAILURE), failureSchema);
  if (failed !== null) return { state: "failed", reason: failed.reason, seconds: null, summary: null };
  return { state: "left", reason: null, seconds: null, summary: null };
}

function read<T>(file: string, schema: z.ZodType<T>): T | null {
  if (!existsSync(file)) return null;
  try {
    const parsed = schema.safeParse(readJson(file));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Notes that a part, whose summary stands in its folder, is done. */
export function markPartDone(part: PlannedPart, folder: string, seconds: number | null): void {
  rmSync(join(folder, FAILURE), { force: true });
  Object.assign(part, { state: "done", reason: null, seconds });
}

/** Notes why a part failed; the next run tries it again. */
export function markPartFailed(part: PlannedPart, folder: string, reason: string): void {
  mkdirSync(folder, { recursive: true });
  writeJson(join(folder, FAILURE), { reason, date: new Date().toISOString() });
  rmSync(join(folder, SUMMARY), { force: true });
  Object.assign(part, { state: "failed", reason, seconds: null });
}

/** Whether a part is to be run now. */
export function isDue({ chosen, state }: PlannedPart): boolean {
  return chosen && state !== "done";
}

/** What the parts that are due will take, and of how many nobody can tell yet. */
export function secondsLeft<Part extends PlannedPart>(
  plan: readonly Part[],
  estimate: Estimate<Part>,
): { readonly seconds: number; readonly unknown: number } {
  const estimates = plan.filter(isDue).map(estimate);
  return {
    seconds: estimates.reduce<number>((sum, seconds) => sum + (seconds ?? 0), 0),
    unknown: estimates.filter((seconds) => seconds === null).length,
  };
}

/** "2 of 12 cells done, 1 failed, 9 left: about 41 min" */
export function summaryLine<Part extends PlannedPart>(plan: readonly Part[], words: PlanWords, estimate: Estimate<Part>): string {
  const count = (state: PartState): number => plan.filter((part) => part.state === state).length;
  const due = plan.filter((part) => isDue(part) && part.state !== "failed").length;
  const out = plan.filter((part) => !part.chosen && part.state !== "done").length;
  const parts = [`${count("done")} of ${plan.length} ${words.parts} done`];
  if (count("failed") > 0) parts.push(`${count("failed")} failed`);
  parts.push(`${due} left`);
  if (out > 0) parts.push(`${out} not asked for`);
  const { seconds, unknown } = secondsLeft(plan, estimate);
  const known = seconds > 0 ? [`about ${duration(seconds)}`] : [];
  if (unknown > 0) known.push(`${unknown} ${words.unknown}`);
  return `${parts.join(", ")}${known.length > 0 ? `: ${known.join(" and ")}` : ""}`;
}

/** The two last cells of a part's line in a table: its state with the reason, and its time, estimated with a "~". */
export function stateCells<Part extends PlannedPart>(part: Part, estimate: Estimate<Part>): [string, string] {
  const { state, reason, seconds, chosen } = part;
  const expected = estimate(part);
  const time = seconds !== null ? duration(seconds) : isDue(part) && expected !== null ? `~ ${duration(expected)}` : "?";
  const asked = chosen || state === "done" ? state : `${state}, not asked for`;
  return [reason === null ? asked : `${asked}: ${reason}`, time];
}

/** "45 s", "12 min", "3.5 h" */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
