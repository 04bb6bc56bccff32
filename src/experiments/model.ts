/** Opens an experiment's model. */
import { resolveModel } from "../model/catalogue/resolve.js";
import { openModel, type LanguageModel } from "../model/language-model.js";
import { openOps } from "../tensor/backend.js";
import type { Precision } from "../tensor/ops.js";
import { say } from "../terminal.js";
import { TINY_RANDOM, writeTinyModel } from "./tiny-model.js";

/** @param folder the experiment's; a model that is made on the spot is written there */
export async function openExperimentModel(
  { model, precision }: { readonly model: string; readonly precision: Precision | "auto" },
  folder: string,
  signal?: AbortSignal,
): Promise<LanguageModel> {
  const resolved =
    model === TINY_RANDOM
      ? { name: model, path: writeTinyModel(folder) }
      : await resolveModel(model, { ...(signal && { signal }) });
  const ops = await openOps({ precision });
  const started = performance.now();
  const opened = openModel(ops, resolved.path, { name: resolved.name });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`${resolved.name}: loaded in ${seconds} s (${ops.name} ops on ${ops.device.placement}, ${ops.precision})`);
  return opened;
}
