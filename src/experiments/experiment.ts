/** What every experiment has in common: its folder, locked and of one config, its data pinned, and its model opened when first needed. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { lockFolder } from "../folder-lock.js";
import type { LanguageModel } from "../model/language-model.js";
import type { Precision } from "../tensor/ops.js";
import { describeEnvironment } from "./environment.js";
import { openExperimentModel } from "./model.js";
import { say } from "./progress.js";
import { claimFolder, clearFolder, readJson, RunFolderError, writeJson } from "./run-folder.js";
import { hashRows, type NamedSet } from "./sets.js";

export interface Experiment<Config> {
  readonly config: Config;
  readonly out: string;
  /** Opens the model, once. */
  readonly model: () => Promise<LanguageModel>;
  /** What the experiment runs on, as `environment.json` has it. */
  readonly environment: () => Promise<Record<string, unknown>>;
  readonly signal: AbortSignal | undefined;
  /** Frees the model and gives the folder back. */
  close(): void;
}

const ENVIRONMENT = "environment.json";
const schema = z.looseObject({
  precision: z.string(),
  ops: z.string(),
  placement: z.string(),
  data: z.record(z.string(), z.string()),
});

/**
 * @param sets data that the experiment reads; on resuming they must say what they said
 * @param folders below `out` that the experiment makes, for `fresh`
 * @throws FolderLockedError; RunFolderError
 */
export function openExperiment<Config extends { readonly model: string; readonly precision: Precision | "auto" }>(
  config: Config,
  out: string,
  check: (value: unknown, file: string) => Config,
  sets: readonly NamedSet[],
  folders: readonly string[],
  options: { readonly fresh?: boolean; readonly signal?: AbortSignal },
): Experiment<Config> {
  const unlock = lockFolder(out);
  try {
    if (options.fresh) clearFolder(out, [...folders, "model"]);
    if (claimFolder(out, config, check)) say(`${out}: going on with what is there`);
    const data = Object.fromEntries(sets.map(({ name, rows }) => [name, hashRows(rows)]));
    checkData(out, data);

    let opening: Promise<LanguageModel> | undefined;
    let opened: LanguageModel | undefined;
    let described: Record<string, unknown> | undefined;
    const model = (): Promise<LanguageModel> =>
      (opening ??= openExperimentModel(config, out, options.signal).then((made) => {
        opened = made;
        described = environmentOf(out, describeEnvironment(made.decoder.ops), data);
        writeJson(join(out, ENVIRONMENT), described);
        return made;
      }));
    const close = (): void => {
      opened?.free();
      unlock();
    };
    return { config, out, model, environment: async () => (await model(), described!), signal: options.signal, close };
  } catch (error) {
    unlock();
    throw error;
  }
}

function storedEnvironment(out: string): z.infer<typeof schema> | null {
  const file = join(out, ENVIRONMENT);
  if (!existsSync(file)) return null;
  const stored = readJson(file);
  const parsed = schema.safeParse(stored);
  if (!parsed.success)
    throw new RunFolderError(file, `field ${parsed.error.issues[0].path.join(".")} is damaged; --fresh begins anew`);
  // Not zod's copy: its fields have another order.
  return stored as z.infer<typeof schema>;
}

/** @throws RunFolderError if a set does not say what it said when the experiment began */
function checkData(out: string, data: Readonly<Record<string, string>>): void {
  for (const [name, hash] of Object.entries(storedEnvironment(out)?.data ?? {}))
    if (Object.hasOwn(data, name) && data[name] !== hash)
      throw new RunFolderError(out, `the rows of ${name} have changed since; use another --out, or --fresh to begin anew`);
}

/**
 * What the experiment began with, and the data that came to it since; or, at its beginning, what it begins with.
 * @throws RunFolderError if the arithmetic is another one: the same bytes could not come out
 */
function environmentOf(
  out: string,
  now: Record<string, unknown>,
  data: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const before = storedEnvironment(out);
  if (before === null) return { ...now, data };
  for (const field of ["precision", "ops", "placement"] as const)
    if (before[field] !== now[field])
      throw new RunFolderError(
        out,
        `${field} was ${before[field]} and is ${String(now[field])} here; use another --out, or --fresh to begin anew`,
      );
  for (const field of ["commit", "node", "cpu"] as const)
    if (before[field] !== now[field])
      say(`this began with ${field} ${String(before[field])} and goes on with ${String(now[field])}`);
  return { ...before, data: { ...before.data, ...data } };
}
