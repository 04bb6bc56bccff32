/** Re-reads the files of models and compares them with their checksums. */
import { findModel } from "./catalogue.js";
import { ModelError, UnknownModelError } from "./errors.js";
import { foldersOf, localModels, verifyFile } from "./present.js";
import type { LocalModel } from "./present.js";
import { hubFolder, parseHubId } from "./resolve.js";
import { readRecord } from "./record.js";

export interface Verification {
  readonly name: string;
  readonly folder: string;
  /** Number of files read and bytes compared. */
  readonly files: number;
  readonly bytes: number;
  /** One sentence a damaged or missing file; empty if all is well. */
  readonly problems: readonly string[];
}

/**
 * Verifies the named models, or every model on this machine if none is named. Names are those of the catalogue or hub
 * ids. Throws ModelError for a model that is not on this machine, UnknownModelError for what is no name, and the signal's reason when aborted.
 */
export async function verifyModels(names: readonly string[], signal?: AbortSignal): Promise<Verification[]> {
  const models: LocalModel[] = names.length === 0 ? await localModels() : [];
  for (const name of names) models.push(...(await named(name)));
  const results: Verification[] = [];
  for (const model of models) results.push(await verify(model, signal));
  return results;
}

async function named(name: string): Promise<LocalModel[]> {
  const entry = findModel(name);
  const id = parseHubId(name);
  if (entry !== null) {
    const folders = await foldersOf(entry);
    if (folders.length > 0) return folders;
  } else if (id !== null) {
    const folder = hubFolder(id.repo, id.revision, id.file);
    const record = await readRecord(folder);
    if (record !== null) return [{ name, folder, files: record.files, source: record.source }];
  }
  if (entry !== null || id !== null) throw new ModelError(`${name} is not on this machine`);
  throw new UnknownModelError(`there is no model ${name}; true-intents model list shows those that have a name`);
}

async function verify(model: LocalModel, signal?: AbortSignal): Promise<Verification> {
  const { name, folder, files } = model;
  if (files === null) return { name, folder, files: 0, bytes: 0, problems: [`${folder}: no checksums are known for this copy`] };
  const problems: string[] = [];
  for (const file of files) {
    const problem = await verifyFile(folder, file, signal);
    if (problem !== null) problems.push(problem);
  }
  return { name, folder, files: files.length, bytes: files.reduce((sum, file) => sum + file.bytes, 0), problems };
}
