/** The sets of an experiment by name, and which of them are not at hand. */
import { createHash } from "node:crypto";
import { DataUnavailableError } from "../data/errors.js";
import type { OwnColumns } from "../data/own.js";
import type { LabelledPrompt } from "../data/prompt.js";
import { loadSet, setNames } from "../data/sets.js";
import { say } from "./progress.js";

export interface NamedSet {
  readonly name: string;
  readonly rows: readonly LabelledPrompt[];
}

export interface LeftOut {
  readonly set: string;
  readonly reason: string;
}

/**
 * A set by a name that `loadSet` takes, or one split of it: `sample-train`, `aims-validation`. Says on stderr what there is to know of it:
 * rows left out, counts that are not the published ones.
 * @param limit keep the first rows only; 0: all
 * @param columns of the user's own files; the usual names are found without
 * @throws DataUnavailableError if it is not at hand; UnknownSetError with the closest name
 */
export async function loadNamed(name: string, limit: number, columns: OwnColumns = {}): Promise<NamedSet> {
  const known = setNames();
  const [, whole, split] = /^(.+)-(train|validation|test)$/.exec(name) ?? [];
  let rows: readonly LabelledPrompt[];
  if (whole !== undefined && known.includes(whole) && !known.includes(name)) {
    rows = (await loadAndTell(whole)).filter((row) => row.split === split);
    if (rows.length === 0)
      throw new DataUnavailableError(name, `${whole} is here without its ${split} split`, `See: true-intents data list`);
  } else rows = await loadAndTell(name, columns);
  return { name, rows: limit > 0 ? rows.slice(0, limit) : rows };
}

async function loadAndTell(name: string, columns?: OwnColumns): Promise<readonly LabelledPrompt[]> {
  const { rows, notes } = await loadSet(name, columns === undefined ? {} : { columns });
  for (const note of notes) say(`${name}: ${note}`);
  return rows;
}

/** Loads what is at hand and says what is not. */
export async function loadAtHand(
  names: readonly string[],
  limit: number,
  columns: OwnColumns = {},
): Promise<{ readonly sets: NamedSet[]; readonly leftOut: LeftOut[] }> {
  const sets: NamedSet[] = [];
  const leftOut: LeftOut[] = [];
  for (const name of names) {
    try {
      sets.push(await loadNamed(name, limit, columns));
    } catch (error) {
      if (!(error instanceof DataUnavailableError)) throw error;
      leftOut.push({ set: name, reason: error.message });
    }
  }
  return { sets, leftOut };
}

export interface ChosenAndTested {
  /** Choose the checkpoint; at least one. */
  readonly selection: readonly NamedSet[];
  readonly tests: readonly NamedSet[];
  /** Both, each once: a set may be in both. */
  readonly sets: readonly NamedSet[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * The sets that choose a training's checkpoint and those that test it. Says which are not at hand.
 * @throws DataUnavailableError if none is left to choose by
 */
export async function loadChosenAndTested(config: {
  readonly selectionSets: readonly string[];
  readonly testSets: readonly string[];
  readonly limit: number;
}): Promise<ChosenAndTested> {
  const selection = await loadAtHand(config.selectionSets, config.limit);
  if (selection.sets.length === 0) {
    const [{ set, reason }] = selection.leftOut;
    throw new DataUnavailableError(set, `the checkpoint cannot be chosen: ${reason}`, "Name another one: --set selectionSets=…");
  }
  const tests = await loadAtHand(config.testSets, config.limit);
  const leftOut = [...selection.leftOut, ...tests.leftOut];
  for (const { set, reason } of leftOut) say(`${set} is left out: ${reason}`);
  const sets = [...new Map([...selection.sets, ...tests.sets].map((set) => [set.name, set])).values()];
  return { selection: selection.sets, tests: tests.sets, sets, leftOut };
}

/** sha256 over what the rows say, whatever file they came from. */
export function hashRows(rows: readonly LabelledPrompt[]): string {
  const hash = createHash("sha256");
  for (const { id, prompt, intent, harm } of rows) hash.update(`${JSON.stringify([id, prompt, intent, harm])}\n`);
  return hash.digest("hex");
}
