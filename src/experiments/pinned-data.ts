/** The data that a folder's numbers are of, kept in its `environment.json`: another run of the folder must find the same rows. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import { openPredictionFolder } from "../evaluate/prediction-folder.js";
import type { Prediction } from "../evaluate/predictions.js";
import { readJson, RunFolderError } from "./run-folder.js";
import { hashRows, type NamedSet } from "./sets.js";

export const ENVIRONMENT = "environment.json";

/** By set: sha256 of its rows, and their number. */
export interface PinnedData {
  readonly data: Readonly<Record<string, string>>;
  readonly rows: Readonly<Record<string, number>>;
}

const storedSchema = z.looseObject({
  data: z.record(z.string(), z.string()).default({}),
  rows: z.record(z.string(), z.number().int().nonnegative()).default({}),
});

function storedData(out: string): PinnedData {
  const file = join(out, ENVIRONMENT);
  return existsSync(file) ? checkRow(storedSchema, readJson(file), file, 0) : { data: {}, rows: {} };
}

/**
 * These sets and those evaluated here before, as `environment.json` keeps them.
 * @throws RunFolderError if a set's rows are not what they were; DataFormatError for a damaged file
 */
export function pinData(out: string, sets: readonly NamedSet[]): PinnedData {
  const before = storedData(out);
  const data = Object.fromEntries(sets.map(({ name, rows }) => [name, hashRows(rows)]));
  for (const [name, hash] of Object.entries(before.data))
    if (Object.hasOwn(data, name) && data[name] !== hash)
      throw new RunFolderError(out, `the rows of ${name} have changed since; use another --out, or --fresh to begin anew`);
  const rows = Object.fromEntries(sets.map((set) => [set.name, set.rows.length]));
  return { data: { ...before.data, ...data }, rows: { ...before.rows, ...rows } };
}

/**
 * What was said of every set of the folder that is finished, in the order of their names. A set that was begun and not ended is left out: the
 * folder's summary may be of an earlier run.
 * @throws PredictionFolderError; DataFormatError for damaged files
 */
export function wholePredictions(folder: string): Map<string, Prediction[]> {
  const { rows } = storedData(folder);
  const said = openPredictionFolder(folder);
  const bySet = said.sets.map((set) => [set, said.read(set)[0]] as const);
  return new Map(bySet.filter(([set, predictions]) => predictions.length >= (Object.hasOwn(rows, set) ? rows[set] : 0)));
}
