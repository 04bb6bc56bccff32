/**
 * A run folder: everything one run leaves behind, readable by people and by the report.
 *
 *     config.json        what was asked for
 *     environment.json   versions, commit, machine, data hashes, seed
 *     log.jsonl          one line a step
 *     checkpoints/       where a killed run goes on from; gone when training is done
 *     adapter/           the trained adapter, as PEFT writes it
 *     manifest.json      sha256 of adapter and log: training is done
 *     predictions/       one JSONL a set
 *     summary.json       the numbers
 *
 * An experiment's folder has config, environment and summary of its own, and its runs below it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { uniqueFileName } from "../file-name.js";
import { writeFileAtomic } from "../model/weights/atomic-file.js";
import { beginsWith, firstDifference } from "./config.js";

/** A run folder that cannot be used as it stands; the message says what to do. */
export class RunFolderError extends Error {
  override readonly name = "RunFolderError";
  constructor(
    readonly path: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${problem}`, options);
  }
}

const ENTRIES = [
  "config.json",
  "environment.json",
  "log.jsonl",
  "checkpoints",
  "adapter",
  "manifest.json",
  "predictions",
  "summary.json",
];

/** Where a set's predictions stand below an evaluation's or a run's folder. A name is the user's, and may be a path: two never share a file. */
export function predictionFile(folder: string, set: string): string {
  return join(folder, "predictions", `${uniqueFileName(set)}.jsonl`);
}

/** Writes JSON whole or not at all. */
export function writeJson(file: string, value: unknown): void {
  writeFileAtomic(file, (append) => append(Buffer.from(`${JSON.stringify(value, null, 2)}\n`)));
}

/** @throws RunFolderError if the file is not JSON */
export function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as unknown;
  } catch (cause) {
    throw new RunFolderError(file, `cannot be read (${cause instanceof Error ? cause.message : "?"}); --fresh begins anew`, {
      cause,
    });
  }
}

/**
 * Makes a folder the folder of this config, or finds that it is.
 * @param check reads a stored config; throws for one that is none. Default: any object is one.
 * @param mayGrow lists that say how much is run: they may be longer than before, and what was done of them stays done
 * @returns whether something was there to go on with
 * @throws RunFolderError naming the first field that differs, or if what is there has no config
 */
export function claimFolder(
  path: string,
  config: object,
  check: (value: unknown, file: string) => object = anyObject,
  mayGrow: readonly string[] = [],
): boolean {
  mkdirSync(path, { recursive: true });
  removeTemporaries(path);
  const file = join(path, "config.json");
  if (!existsSync(file)) {
    // The config is the first thing that is written.
    const other = ENTRIES.find((entry) => existsSync(join(path, entry)));
    if (other !== undefined)
      throw new RunFolderError(
        path,
        `holds ${other} but no config.json: not a run that can be gone on with; use another --out, or empty it`,
      );
    writeJson(file, config);
    return false;
  }
  const [before, now] = [check(readJson(file), file), config] as [Record<string, unknown>, Record<string, unknown>];
  const grown = mayGrow.filter((field) => beginsWith(now[field], before[field]));
  const difference = firstDifference({ ...before, ...Object.fromEntries(grown.map((field) => [field, now[field]])) }, now);
  if (difference !== null) throw new RunFolderError(path, `${difference.words}; use another --out, or --fresh to begin anew`);
  if (grown.length > 0) writeJson(file, config);
  return true;
}

/** Removes what runs left in a folder, and nothing else; nothing at all where there is no config: that is no folder of ours. */
export function clearFolder(path: string, more: readonly string[] = []): void {
  if (!existsSync(join(path, "config.json"))) return;
  // The config last: a folder that was half removed is still known as one.
  for (const entry of [...more, ...ENTRIES.toReversed()]) rmSync(join(path, entry), { recursive: true, force: true });
}

/** Makes `link` a relative symbolic link to `folder`, in one step. */
export function linkFolder(link: string, folder: string): void {
  const temporary = `${link}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  symlinkSync(relative(dirname(link), folder), temporary);
  renameSync(temporary, link);
}

function anyObject(value: unknown, file: string): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new RunFolderError(file, "is no config; --fresh begins anew");
}

/** Removes what a killed process was about to rename, also in the folders of a run. */
export function removeTemporaries(path: string): void {
  for (const folder of [path, join(path, "adapter"), join(path, "predictions")])
    for (const name of existsSync(folder) ? readdirSync(folder) : [])
      if (/\.\d+\.tmp$/.test(name)) rmSync(join(folder, name), { force: true });
}
