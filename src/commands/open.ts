/** What every command that runs a model has in common: its flags, and opening backend, model and adapter with words about it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../cli/arguments.js";
import { interruptSignal } from "../cli/interrupt.js";
import { SFT_PRESETS } from "../experiments/presets/sft.js";
import { resolveModel } from "../model/catalogue/resolve.js";
import { loadAdapter, openModel, type LanguageModel, type LoadedAdapter } from "../model/language-model.js";
import { openOps } from "../tensor/backend.js";
import type { Precision } from "../tensor/ops.js";
import { say } from "../terminal.js";
import { adapterFolder } from "./adapter.js";

/** What `npm start` fine-tunes. */
export const DEFAULT_MODEL = SFT_PRESETS.small.model;
/** Where `npm start` leaves its experiment: the small preset of `run sft`. */
export const START_RUN = fileURLToPath(new URL("../../results/runs/sft-small", import.meta.url));
const START_ADAPTER = join(START_RUN, "generation", "best", "adapter");

export const modelFlags = {
  model: {
    type: "string",
    default: DEFAULT_MODEL,
    description: "Catalogue name, hub id, GGUF file or safetensors folder",
    valueHint: "name|path",
  },
  precision: { type: "string", default: "auto", description: "auto, float32 or bfloat16" },
} as const;

export function parsePrecision(value: string): Precision | "auto" {
  if (value === "auto" || value === "float32" || value === "bfloat16") return value;
  throw new UsageError(`--precision is "${value}"; it must be auto, float32 or bfloat16`);
}

/** A whole number from a flag. @throws UsageError naming the flag */
export function parseCount(flag: string, value: string, least = 0): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < least)
    throw new UsageError(`--${flag} is "${value}"; it must be a whole number from ${least}`);
  return count;
}

/** Opens a model by name or path; says on stderr what it loads. */
export async function openNamedModel(name: string, precision: Precision | "auto", quiet = false): Promise<LanguageModel> {
  const resolved = await resolveModel(name, { signal: interruptSignal() });
  const ops = await openOps({ precision });
  const started = performance.now();
  const model = openModel(ops, resolved.path, { name: resolved.name });
  if (!quiet) {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(`${resolved.name}: loaded in ${seconds} s (${ops.name} ops on ${ops.device.placement}, ${ops.precision})`);
  }
  return model;
}

/**
 * The adapter folder that a command uses: the one named or of the run named, by default the one that `npm start` trained.
 * @throws UsageError if there is none
 */
export function trainedAdapter(folder: string | undefined): string {
  if (folder !== undefined) return adapterFolder(folder);
  if (existsSync(START_ADAPTER)) return START_ADAPTER;
  throw new UsageError("there is no trained adapter yet: run `npm start`, or name one with --adapter DIR");
}

/** Loads {@link trainedAdapter}; null for "none", which runs the model as it is. */
export function openAdapter(model: LanguageModel, folder: string | undefined): LoadedAdapter | null {
  return folder === "none" ? null : loadAdapter(model, trainedAdapter(folder));
}
