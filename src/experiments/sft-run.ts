/** One training run of the SFT experiment: one mode, one learning rate, one seed, one folder. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { LabelledPrompt } from "../data/prompt.js";
import { createLora, loraToPeft } from "../model/lora.js";
import type { LanguageModel } from "../model/language-model.js";
import { writePeft } from "../model/peft.js";
import { SFT_CLASSIFICATION, SFT_GENERATION, trainingText, type OutputFormat } from "../prompts/sft.js";
import { createRandom } from "../random.js";
import { loadCheckpoint, saveCheckpoint, type TrainingPlan } from "../train/checkpoint.js";
import { TrainingDataError, type TrainingExample } from "../train/examples.js";
import { tokeniseRows } from "../train/fine-tune.js";
import type { TrainingState } from "../train/loop.js";
import { MANIFEST, manifestProblem, writeManifest } from "../train/manifest.js";
import { fineTune } from "../train/sft.js";
import { createTrainer } from "../train/trainer.js";
import { say, showWork } from "./progress.js";
import { RunFolderError } from "./run-folder.js";
import { logHolds, openRunLog } from "./run-log.js";
import type { Mode, SftConfig } from "./sft-config.js";

export const FORMATS: Readonly<Record<Mode, OutputFormat>> = { generation: SFT_GENERATION, classification: SFT_CLASSIFICATION };

export interface SftRun {
  readonly mode: Mode;
  readonly learningRate: number;
  readonly seed: number;
}

/** Folder of a run below its experiment's. */
export function runFolder({ mode, learningRate, seed }: SftRun): string {
  return join(mode, `lr-${learningRate}`, `seed-${seed}`);
}

/** What a run's adapter depends on, apart from the data: its `config.json`. */
export function runConfig(config: SftConfig, run: SftRun): object {
  const { model, trainSet, validationSet, limit, epochs, patience, keep, batchSize, maxLength, r, loraAlpha } = config;
  const { beta2, weightDecay, warmupRatio } = config;
  const lora = { r, loraAlpha };
  const data = { trainSet, validationSet, limit };
  return { ...run, model, ...data, epochs, patience, keep, batchSize, maxLength, ...lora, beta2, weightDecay, warmupRatio };
}

export interface TrainingRows {
  readonly train: readonly TrainingExample[];
  readonly validation: readonly TrainingExample[];
}

/** Rows in the form that a mode trains on. @throws TrainingDataError if none fits maxLength; PromptFormatError naming the row */
export function tokenise(
  model: LanguageModel,
  mode: Mode,
  rows: readonly LabelledPrompt[],
  maxLength: number,
): { examples: TrainingExample[]; truncated: number; dropped: number } {
  const texts = rows
    .map((row) => trainingText(FORMATS[mode], row))
    .map(({ input, completion }) => ({ prompt: input, completion }));
  const result = tokeniseRows(model, texts, maxLength);
  if (result.examples.length === 0) throw new TrainingDataError(`none of the ${rows.length} rows fits ${maxLength} tokens`);
  return result;
}

const TRAINED_FILES = ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "log.jsonl"];

/**
 * Whether the run's adapter is there; then checkpoints that a kill left behind are removed.
 * @throws RunFolderError if the adapter, or its log, is no longer what was trained
 */
export function isTrained(folder: string): boolean {
  if (!existsSync(join(folder, MANIFEST))) return false;
  const problem = manifestProblem(folder, TRAINED_FILES);
  if (problem !== null)
    throw new RunFolderError(folder, `${problem}; remove this folder to train it again, or --fresh to begin all anew`);
  rmSync(join(folder, "checkpoints"), { recursive: true, force: true });
  return true;
}

/** Trains the run's adapter, from its newest whole checkpoint if there is one. */
export async function trainRun(
  model: LanguageModel,
  config: SftConfig,
  run: SftRun,
  rows: TrainingRows,
  folder: string,
  options: { readonly label: string; readonly signal?: AbortSignal },
): Promise<void> {
  const { epochs, batchSize, beta2, weightDecay, r, loraAlpha, patience, keep, warmupRatio, checkpointSeconds } = config;
  const { learningRate, seed } = run;
  const [checkpoints, logFile] = [join(folder, "checkpoints"), join(folder, "log.jsonl")];
  const adapter = createLora(model.decoder, { r, loraAlpha }, createRandom(seed, "lora"));
  const trainer = createTrainer(model.decoder, adapter, { beta2, weightDecay });
  const schedule = { kind: "cosine", warmupRatio } as const;
  const totalSteps = epochs * Math.ceil(rows.train.length / batchSize);
  const plan: TrainingPlan = { totalSteps, learningRate, schedule, seed, adapterSize: adapter.size };

  const from = loadCheckpoint(
    checkpoints,
    plan,
    (mark) => logHolds(logFile, mark),
    (name, problem) => say(`${options.label}: the checkpoint ${name} is not used: ${problem}`),
  );
  if (from !== null) say(`${options.label}: going on from ${from.name}`);
  const log = openRunLog(logFile, from?.log ?? null);
  const progress = showWork(options.label, totalSteps, from?.state.trainer.step ?? 0);
  const saving = { milliseconds: 0, last: performance.now() };
  const save = (state: TrainingState): void => {
    const started = performance.now();
    saveCheckpoint(checkpoints, plan, state, log.mark());
    saving.last = performance.now();
    saving.milliseconds += saving.last - started;
  };
  let epochNote = "";
  try {
    await fineTune(trainer, rows.train, {
      epochs,
      batchSize,
      learningRate,
      schedule,
      seed,
      patience,
      keep,
      validation: rows.validation,
      from: from?.state ?? null,
      ...(options.signal && { signal: options.signal }),
      onStep: ({ milliseconds, ...report }) => {
        const tokensPerSecond = (report.tokens / milliseconds) * 1000;
        const residentMiB = Math.round(process.memoryUsage.rss() / 2 ** 20);
        // What another run of the same would not repeat stands apart.
        log.append({ kind: "step", ...report, timing: { milliseconds, tokensPerSecond, residentMiB } });
        const speed = `${tokensPerSecond.toFixed(0)} tokens/s, ${residentMiB} MiB`;
        progress.update(report.step, `loss ${report.loss.toFixed(3)}, ${speed}${epochNote}`);
      },
      onEpoch: (report) => {
        log.append({ kind: "epoch", ...report });
        epochNote = `, validation loss ${report.validationLoss.toFixed(3)}`;
      },
      onState: (at, state) => {
        if (at !== "step" || performance.now() - saving.last >= checkpointSeconds * 1000) save(state());
      },
    });
    writePeft(join(folder, "adapter"), loraToPeft(model.decoder, adapter, model.name));
    log.mark();
    writeManifest(folder, TRAINED_FILES);
    rmSync(checkpoints, { recursive: true, force: true });
    say(`${options.label}: trained; checkpoints took ${(saving.milliseconds / 1000).toFixed(2)} s${epochNote}`);
  } finally {
    progress.stop();
    log.close();
    trainer.free();
    adapter.free();
  }
}
