/** Times single requests of the models that experiments trained: once each, kept in the experiment's folder. */
import { join } from "node:path";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import { loadSample } from "../data/sample.js";
import { measureRequests } from "../evaluate/latency.js";
import { lockFolder } from "../folder-lock.js";
import { groupBy } from "../group-by.js";
import { loadAdapter } from "../model/language-model.js";
import type { MeasuredModel } from "../report/measured-models.js";
import {
  experimentsOf,
  keptIn,
  readRequests,
  REQUESTS,
  untimed,
  type ModelLatency,
  type Timeable,
} from "../report/single-requests.js";
import { adapterHash } from "./evaluation.js";
import { openExperimentModel } from "./model.js";
import { showWork } from "./progress.js";
import { readJson, writeJson } from "./run-folder.js";

const configSchema = z.looseObject({ precision: z.enum(["auto", "float32", "bfloat16"]) });

/**
 * Times thirty single requests of each model that can be timed and was not, on prompts of our own test split, and keeps the times as
 * `requests.json` in its experiment's folder.
 * @returns the times of these models, in their order
 * @throws FolderLockedError; DataFormatError or RunFolderError for a damaged file; what opening the model throws; the signal's reason
 */
export async function requestLatencies(models: readonly MeasuredModel[], signal?: AbortSignal): Promise<ModelLatency[]> {
  for (const [experiment, left] of experimentsOf(untimed(models, readRequests(models)))) {
    const unlock = lockFolder(experiment);
    try {
      await timeExperiment(experiment, left, signal);
    } finally {
      unlock();
    }
  }
  return readRequests(models);
}

async function timeExperiment(experiment: string, models: readonly Timeable[], signal?: AbortSignal): Promise<void> {
  const configFile = join(experiment, "config.json");
  const { precision } = checkRow(configSchema, readJson(configFile), configFile, 0);
  const rows = loadSample().filter(({ split }) => split === "test");
  const progress = showWork("single requests", models.length);
  let done = 0;
  try {
    for (const [base, sharing] of groupBy(models, ({ trained }) => trained.base)) {
      const model = await openExperimentModel({ model: base, precision }, experiment, signal);
      try {
        for (const { name, trained } of sharing) {
          const adapter = loadAdapter(model, trained.adapter);
          try {
            const latency = await measureRequests(model, trained.format, rows, { lora: adapter.lora, ...(signal && { signal }) });
            if (latency === null) continue;
            const timed = { model: name, adapterSha256: adapterHash(trained.adapter), ...latency };
            writeJson(join(experiment, REQUESTS), [...keptIn(experiment).filter((one) => one.model !== name), timed]);
            progress.update(++done, `${name}: ${latency.medianMilliseconds.toFixed(0)} ms`);
          } finally {
            adapter.free();
          }
        }
      } finally {
        model.free();
      }
    }
  } finally {
    progress.stop();
  }
}
