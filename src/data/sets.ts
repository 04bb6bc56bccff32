/** Data sets by name: one call from a name, or a path to the user's own file, to labelled prompts. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { fileDigest } from "../download/digest.js";
import { DownloadError } from "../download/errors.js";
import { say } from "../terminal.js";
import { findSet, SETS } from "./catalogue.js";
import type { ColumnMap } from "./columns.js";
import { countNotes } from "./counts.js";
import type { SetEntry } from "./entry.js";
import { DataFormatError, DataUnavailableError } from "./errors.js";
import { fetchSet, mirrorRemedy } from "./fetch.js";
import { downloadFolder, locateSet, type LocatedSet } from "./locate.js";
import { readLock } from "./lock.js";
import { loadOwnRows } from "./own.js";
import type { LabelledPrompt } from "./prompt.js";
import { isTableFile } from "./tables.js";

export interface LoadedSet {
  readonly name: string;
  readonly rows: readonly LabelledPrompt[];
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
  /** What a reader of numbers on this set should know: rows left out and why, counts that differ from the published ones. */
  readonly notes: readonly string[];
}

export interface LoadOptions {
  /** Download a named set that is not on this machine. Default false. */
  readonly download?: boolean;
  readonly signal?: AbortSignal;
  /** Columns of the user's own file; default: {@link ownColumns}. Named sets have theirs. */
  readonly columns?: Partial<ColumnMap>;
  /** Progress of a download, a line at a time. Default: stderr. */
  readonly log?: (line: string) => void;
}

/** The names that {@link loadSet} knows. */
export function setNames(): string[] {
  return SETS.map((set) => set.name);
}

/**
 * Loads a set: a name of {@link setNames}, or a path to a file of the user's own (.jsonl, .csv, .json, .parquet, the text formats also
 * as .gz). A named set is looked for below `TRUE_INTENTS_DATA`, then among the downloads, then (with `download`) on the hub.
 * @throws UnknownSetError with the closest name; DataUnavailableError saying how to get the set; DataFormatError naming file, line and
 * field; DownloadError.
 */
export async function loadSet(name: string, options: LoadOptions = {}): Promise<LoadedSet> {
  if (isTableFile(name) && (existsSync(name) || /[/\\]/.test(name))) return loadOwn(name, options);
  const entry = findSet(name);
  let located = locateSet(entry);
  if (located === null && options.download === true) {
    await fetchSet(entry, { log: options.log ?? say, ...(options.signal && { signal: options.signal }) });
    located = locateSet(entry);
  }
  if (located === null) {
    if (entry.hub === null) throw new DataUnavailableError(entry.name, "it is not on this machine", mirrorRemedy(entry));
    throw new DataUnavailableError(entry.name, "it is not on this machine", `Get it: true-intents data get ${entry.name}`);
  }
  return loadLocated(entry, located, options.signal);
}

/**
 * Makes sure that a named set is on this machine, whole where it can be had whole, and loads it.
 * @throws as {@link loadSet}
 */
export async function getSet(name: string, options: Omit<LoadOptions, "download" | "columns"> = {}): Promise<LoadedSet> {
  const entry = findSet(name);
  const located = locateSet(entry);
  if (located?.part === true && entry.hub !== null) {
    await fetchSet(entry, { log: options.log ?? say, ...(options.signal && { signal: options.signal }) });
  }
  return loadSet(entry.name, { ...options, download: true });
}

/**
 * Downloads those of the named sets that are not on this machine and that anybody may have without asking. A set that cannot be had, for
 * instance without a network, is said and left: what needs it says so by itself. Other names (splits, the user's files) are passed over.
 */
export async function getOpenSets(names: readonly string[], options: Pick<LoadOptions, "signal" | "log"> = {}): Promise<void> {
  const { log = say, signal } = options;
  for (const entry of SETS) {
    if (!names.includes(entry.name) || entry.gated || entry.hub === null || locateSet(entry) !== null) continue;
    try {
      await fetchSet(entry, { log, ...(signal && { signal }) });
    } catch (error) {
      if (!(error instanceof DownloadError || error instanceof DataUnavailableError)) throw error;
      log(`${entry.name} could not be downloaded: ${error.message}`);
    }
  }
}

async function loadLocated(entry: SetEntry, located: LocatedSet, signal?: AbortSignal): Promise<LoadedSet> {
  const files = await Promise.all(located.files.map(({ path }) => hashed(path, signal)));
  if (located.where === "cache") requireLocked(entry, files);
  const { rows, notes } = await located.read(located.files);
  const own = located.note === null ? [] : [located.note];
  return {
    name: entry.name,
    rows,
    files,
    notes: [...own, ...pinNotes(entry, located, files), ...notes, ...countNotes(entry.published, rows, located.part)],
  };
}

async function loadOwn(path: string, options: LoadOptions): Promise<LoadedSet> {
  const file = await hashed(path, options.signal);
  const { rows, notes } = await loadOwnRows(path, options.columns);
  return { name: basename(path), rows, files: [file], notes };
}

async function hashed(path: string, signal?: AbortSignal): Promise<{ path: string; sha256: string }> {
  const info = await stat(path).catch(() => null);
  if (info === null || !info.isFile()) throw new DataUnavailableError(path, "there is no such file", "Check the path.");
  return { path, sha256: await fileDigest(path, "sha256", info.size, signal) };
}

/** @throws DataFormatError if a downloaded file is no longer what it was. */
function requireLocked(entry: SetEntry, files: LoadedSet["files"]): void {
  const folder = downloadFolder(entry);
  const expected = new Set(readLock(folder)?.files.map((file) => file.sha256));
  const changed = files.find((file) => !expected.has(file.sha256));
  if (changed === undefined) return;
  const remedy = `delete ${folder} and run: true-intents data get ${entry.name}`;
  throw new DataFormatError(
    changed.path,
    0,
    null,
    `changed or damaged since it was downloaded (sha256 ${changed.sha256}); ${remedy}`,
  );
}

function pinNotes(entry: SetEntry, located: LocatedSet, files: LoadedSet["files"]): string[] {
  if (located.where !== "mirror" || located.part) return [];
  const pins = (entry.hub?.files ?? []).filter((file) => file.sha256 !== undefined);
  const unlike = pins.filter((pin) => files.every((file) => file.sha256 !== pin.sha256));
  return unlike.map((pin) => `the local copy is not byte for byte the published ${pin.path} (sha256 ${pin.sha256 ?? ""})`);
}
