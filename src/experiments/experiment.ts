/** What every experiment has in common: its folder, locked and of one config, its data pinned, and its models opened when first needed. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { lockFolder } from "../folder-lock.js";
import type { LanguageModel } from "../model/language-model.js";
import type { Precision } from "../tensor/ops.js";
import { describeEnvironment } from "./environment.js";
import { openExperimentModel } from "./model.js";
import { ENVIRONMENT, pinData } from "./pinned-data.js";
import { say } from "./progress.js";
import { claimFolder, clearFolder, readJson, RunFolderError, writeJson } from "./run-folder.js";
import type { NamedSet } from "./sets.js";

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

/** The folder of an experiment on one model or several. */
export interface ExperimentFolder<Config> {
  readonly config: Config;
  readonly out: string;
  /** Opens a model, which is the caller's to free, with what it runs on: `environment.json`. */
  readonly open: (
    model: string,
  ) => Promise<{ readonly model: LanguageModel; readonly environment: Readonly<Record<string, unknown>> }>;
  readonly signal: AbortSignal | undefined;
  /** Gives the folder back. */
  close(): void;
}

/** Settings that say how much is run and change nothing of what is done: a folder of one seed may be gone on with for three. */
export const MAY_GROW = ["seeds", "pairSets", "rewards"] as const;

// An experiment whose parts open their models has no arithmetic of its own.
const schema = z.looseObject({
  precision: z.string().optional(),
  ops: z.string().optional(),
  placement: z.string().optional(),
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
  const folder = openFolder(config, out, check, sets, folders, options);
  let opening: ReturnType<typeof folder.open> | undefined;
  let opened: LanguageModel | undefined;
  const open = (): ReturnType<typeof folder.open> =>
    (opening ??= folder.open(config.model).then((made) => {
      opened = made.model;
      return made;
    }));
  return {
    ...folder,
    model: async () => (await open()).model,
    environment: async () => (await open()).environment,
    close: () => {
      opened?.free();
      folder.close();
    },
  };
}

/**
 * As {@link openExperiment}, for an experiment that opens its models itself.
 * @throws FolderLockedError; RunFolderError
 */
export function openFolder<Config extends { readonly precision: Precision | "auto" }>(
  config: Config,
  out: string,
  check: (value: unknown, file: string) => Config,
  sets: readonly NamedSet[],
  folders: readonly string[],
  { fresh = false, signal }: { readonly fresh?: boolean; readonly signal?: AbortSignal },
): ExperimentFolder<Config> {
  const unlock = lockFolder(out);
  try {
    if (fresh) clearFolder(out, [...folders, "model"]);
    if (claimFolder(out, config, check, MAY_GROW)) say(`${out}: going on with what is there`);
    const { data } = pinData(out, sets);
    const open = async (model: string): ReturnType<ExperimentFolder<Config>["open"]> => {
      const made = await openExperimentModel({ model, precision: config.precision }, out, signal);
      try {
        const environment = environmentOf(out, describeEnvironment(made.decoder.ops), data);
        writeJson(join(out, ENVIRONMENT), environment);
        return { model: made, environment };
      } catch (error) {
        made.free();
        throw error;
      }
    };
    return { config, out, open, signal, close: unlock };
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
        `${field} was ${before[field] ?? "not noted"} and is ${String(now[field])} here; use another --out, or --fresh to begin anew`,
      );
  for (const field of ["commit", "node", "cpu"] as const)
    if (before[field] !== now[field])
      say(`this began with ${field} ${String(before[field])} and goes on with ${String(now[field])}`);
  return { ...before, data };
}
