/**
 * One model, with or without an adapter, on any sets: predictions, scores, intervals, intents, latency, in a folder that a second run goes
 * on with. More sets may be added to a folder later; model, adapter, format or arithmetic may not change.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DownloadError } from "../download/errors.js";
import { evaluateSet } from "../evaluate/evaluate-set.js";
import { measureRequests, type RequestLatency } from "../evaluate/latency.js";
import type { Prediction } from "../evaluate/predictions.js";
import { reportMean, reportSet, type IntentReport, type MeanReport, type SetReport } from "../evaluate/set-report.js";
import { lockFolder } from "../folder-lock.js";
import { intentCosine } from "../intent/similarity.js";
import { ModelError } from "../model/catalogue/errors.js";
import { loadAdapter, type LanguageModel } from "../model/language-model.js";
import { loadSentenceEncoder, type SentenceEncoder } from "../model/sentence-encoder.js";
import type { Precision } from "../tensor/ops.js";
import { describeEnvironment } from "./environment.js";
import { openExperimentModel } from "./model.js";
import { ENVIRONMENT, pinData } from "./pinned-data.js";
import { say, showWork } from "./progress.js";
import { claimFolder, clearFolder, writeJson, predictionFile } from "./run-folder.js";
import type { NamedSet } from "./sets.js";
import type { Mode } from "./sft-config.js";
import { FORMATS } from "./sft-run.js";

export interface EvaluationRequest {
  /** Catalogue name, hub id or path. */
  readonly model: string;
  readonly precision: Precision | "auto";
  /** PEFT folder; null: the model as it is. */
  readonly adapter: string | null;
  readonly format: Mode;
  readonly sets: readonly NamedSet[];
  /** Prompts generated together; undefined: the default of `classify`. */
  readonly batchSize?: number;
  /** Also time single requests. */
  readonly latency?: boolean;
}

export interface EvaluationSummary {
  readonly model: string;
  readonly adapter: string | null;
  readonly format: Mode;
  readonly environment: Readonly<Record<string, unknown>>;
  /** sha256 of each set's rows. */
  readonly data: Readonly<Record<string, string>>;
  readonly sets: Readonly<Record<string, SetReport>>;
  readonly mean: MeanReport;
  /** Null if it was not asked for. */
  readonly latency: RequestLatency | null;
  /** What was left out, and why. */
  readonly notes: readonly string[];
}

/**
 * Evaluates into the folder `out`, or goes on with what is there: no prompt is scored twice.
 * @throws FolderLockedError; RunFolderError naming the field in which the folder is of another evaluation, or a set whose rows changed;
 * PredictionMismatchError or DataFormatError for a damaged file of predictions; what opening model and adapter throw; the signal's reason.
 */
export async function runEvaluation(
  request: EvaluationRequest,
  out: string,
  options: { readonly fresh?: boolean; readonly signal?: AbortSignal } = {},
): Promise<EvaluationSummary> {
  const { signal } = options;
  const unlock = lockFolder(out);
  try {
    if (options.fresh) clearFolder(out, ["model"]);
    const model = await openExperimentModel(request, out, signal);
    try {
      const { precision, name: ops } = model.decoder.ops;
      const adapterSha256 = request.adapter === null ? null : adapterHash(request.adapter);
      const config = { kind: "evaluation", model: request.model, adapterSha256, format: request.format, precision, ops };
      if (claimFolder(out, config)) say(`${out}: going on with what is there`);
      const pinned = pinData(out, request.sets);
      const environment = { ...describeEnvironment(model.decoder.ops), adapter: request.adapter, ...pinned };
      writeJson(join(out, ENVIRONMENT), environment);

      const { predictions, latency } = await predict(model, request, out, signal);
      const said = request.sets.map((set, i) => ({ ...set, predictions: predictions[i] }));
      const { intents, notes } = await compareIntents(said, signal);
      const summary: EvaluationSummary = {
        model: request.model,
        adapter: request.adapter,
        format: request.format,
        environment,
        data: Object.fromEntries(request.sets.map(({ name }) => [name, pinned.data[name]])),
        sets: Object.fromEntries(said.map(({ name, rows, predictions }, i) => [name, reportSet(rows, predictions, intents[i])])),
        mean: reportMean(said),
        latency,
        notes,
      };
      writeJson(join(out, "summary.json"), summary);
      return summary;
    } finally {
      model.free();
    }
  } finally {
    unlock();
  }
}

async function predict(
  model: LanguageModel,
  { sets, format, adapter, batchSize, latency }: EvaluationRequest,
  out: string,
  signal?: AbortSignal,
): Promise<{ predictions: Prediction[][]; latency: RequestLatency | null }> {
  const loaded = adapter === null ? null : loadAdapter(model, adapter);
  try {
    const settings = { lora: loaded?.lora ?? null, ...(signal && { signal }) };
    const predictions: Prediction[][] = [];
    for (const { name, rows } of sets) {
      const progress = showWork(name, rows.length);
      try {
        const said = await evaluateSet(model, FORMATS[format], rows, predictionFile(out, name), {
          ...settings,
          ...(batchSize !== undefined && { batchSize }),
          onProgress: (done, _, milliseconds) => progress.update(done, `${milliseconds.toFixed(0)} ms a prompt`),
        });
        predictions.push(said);
      } finally {
        progress.stop();
      }
    }
    const rows = sets.flatMap((set) => set.rows);
    return { predictions, latency: latency === true ? await measureRequests(model, FORMATS[format], rows, settings) : null };
  } finally {
    loaded?.free();
  }
}

export interface Said extends NamedSet {
  readonly predictions: readonly Prediction[];
}

/** Cosines to the annotators' intents. Without an encoder everything else is still worth having: the note says what is missing. */
export async function compareIntents(
  sets: readonly Said[],
  signal?: AbortSignal,
): Promise<{ intents: (IntentReport | null)[]; notes: string[] }> {
  const statesAny = sets.some(
    ({ rows, predictions }) => rows.some((row) => row.intent !== null) && predictions.some(({ intent }) => intent !== null),
  );
  if (!statesAny) return { intents: sets.map(() => null), notes: [] };
  let encoder: SentenceEncoder;
  try {
    encoder = await loadSentenceEncoder("all-minilm-l6-v2", signal === undefined ? {} : { signal });
  } catch (error) {
    if (!(error instanceof ModelError || error instanceof DownloadError)) throw error;
    return { intents: sets.map(() => null), notes: [`intents were not compared: ${error.message}`] };
  }
  try {
    const intents: (IntentReport | null)[] = [];
    for (const { rows, predictions } of sets) {
      if (rows.every((row) => row.intent === null)) {
        intents.push(null);
        continue;
      }
      const stated = predictions.map(({ intent }) => intent);
      const gold = rows.map(({ intent }) => intent);
      const { mean, compared, missing } = await intentCosine(encoder, stated, gold, signal);
      intents.push({ cosine: mean, compared, missing });
    }
    return { intents, notes: [] };
  } finally {
    encoder.free();
  }
}

/** sha256 of an adapter's two files: the same adapter in another place is the same. */
export function adapterHash(folder: string): string {
  const hash = createHash("sha256");
  for (const name of ["adapter_config.json", "adapter_model.safetensors"]) hash.update(readFileSync(join(folder, name)));
  return hash.digest("hex");
}
