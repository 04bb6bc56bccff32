/**
 * Training of an adapter in a run's folder, whatever its loss: goes on from the newest whole checkpoint, logs every step, saves as time
 * passes, and leaves adapter, log and manifest.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { loraToPeft, type LoraAdapter } from "../model/lora.js";
import type { LanguageModel } from "../model/language-model.js";
import { writePeft } from "../model/peft.js";
import { loadCheckpoint, saveCheckpoint, type TrainingPlan } from "../train/checkpoint.js";
import type { LoopOptions, TrainingState } from "../train/loop.js";
import { MANIFEST, manifestProblem, writeManifest } from "../train/manifest.js";
import type { Schedule } from "../train/schedule.js";
import { createTrainer, type LoraTrainer } from "../train/trainer.js";
import { say, showWork } from "./progress.js";
import { RunFolderError } from "./run-folder.js";
import { logHolds, openRunLog } from "./run-log.js";

export interface AdapterTraining {
  /** What the run is called in words about it. */
  readonly label: string;
  /** Rows of an epoch. */
  readonly rows: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly beta2: number;
  readonly weightDecay: number;
  readonly warmupRatio: number;
  /** After warm-up. Default "cosine". */
  readonly schedule?: Schedule["kind"];
  /** Stop after so many batches, within the epochs. Default: never. */
  readonly maxSteps?: number;
  /** Validate after so many batches, before the first and at the end. Default: after each epoch. */
  readonly validateEvery?: number;
  readonly patience: number;
  readonly keep: "best" | "last";
  readonly checkpointSeconds: number;
  /** What a validation's number is ("validation loss"), or how it is said. */
  readonly measure: string | ((value: number) => string);
  /** What else the log says of the validation just done. */
  readonly validated?: () => object;
  readonly signal?: AbortSignal;
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

/** What a step reports. Its `timing` is what another run of the same would not repeat, as the wall time is. */
interface StepFigures {
  readonly tokens: number;
  readonly timing?: Readonly<Record<string, number>>;
}

/**
 * Trains `adapter`, which is freed afterwards, into `folder`.
 * @param train runs the loop with the options given
 * @param note said of a step beside loss and speed
 */
export async function trainAdapter<Figures extends StepFigures>(
  model: LanguageModel,
  adapter: LoraAdapter,
  folder: string,
  training: AdapterTraining,
  train: (trainer: LoraTrainer, options: LoopOptions<Figures>) => Promise<unknown>,
  note: (figures: Figures) => string = () => "",
): Promise<void> {
  const { label, epochs, batchSize, learningRate, seed, patience, keep, maxSteps, validateEvery, measure, signal } = training;
  const [checkpoints, logFile] = [join(folder, "checkpoints"), join(folder, "log.jsonl")];
  const schedule: Schedule = { kind: training.schedule ?? "cosine", warmupRatio: training.warmupRatio };
  const stepsPerEpoch = Math.ceil(training.rows / batchSize);
  const totalSteps = Math.min(maxSteps ?? Infinity, epochs * stepsPerEpoch);
  const plan: TrainingPlan = { totalSteps, stepsPerEpoch, learningRate, schedule, seed, adapterSize: adapter.size };

  const opened = [() => adapter.free()];
  try {
    const trainer = createTrainer(model.decoder, adapter, { beta2: training.beta2, weightDecay: training.weightDecay });
    opened.push(() => trainer.free());
    const from = loadCheckpoint(
      checkpoints,
      plan,
      (mark) => logHolds(logFile, mark),
      (name, problem) => say(`${label}: the checkpoint ${name} is not used: ${problem}`),
    );
    if (from !== null) say(`${label}: going on from ${from.name}`);
    const log = openRunLog(logFile, from?.log ?? null);
    opened.push(() => log.close());
    const done = from === null ? 0 : from.state.epoch * stepsPerEpoch + from.state.position;
    const progress = showWork(label, totalSteps, done);
    opened.push(() => progress.stop());
    const saving = { milliseconds: 0, last: performance.now() };
    const save = (state: TrainingState): void => {
      const started = performance.now();
      saveCheckpoint(checkpoints, plan, state, log.mark());
      saving.last = performance.now();
      saving.milliseconds += saving.last - started;
    };
    let epochNote = "";

    await train(trainer, {
      epochs,
      batchSize,
      learningRate,
      schedule,
      seed,
      patience,
      keep,
      ...(maxSteps !== undefined && { maxSteps }),
      ...(validateEvery !== undefined && { validateEvery, validateFirst: true }),
      from: from?.state ?? null,
      ...(signal && { signal }),
      onStep: (step) => {
        const { milliseconds, timing, ...report } = step;
        const tokensPerSecond = (report.tokens / milliseconds) * 1000;
        const residentMiB = Math.round(process.memoryUsage.rss() / 2 ** 20);
        // What another run of the same would not repeat stands apart.
        log.append({ kind: "step", ...report, timing: { ...timing, milliseconds, tokensPerSecond, residentMiB } });
        const speed = `${tokensPerSecond.toFixed(0)} tokens/s, ${residentMiB} MiB`;
        progress.update(report.step, `loss ${report.loss.toFixed(3)}${epochNote}${note(step)}, ${speed}`);
      },
      onEpoch: (report) => {
        log.append({ kind: "epoch", ...report, ...training.validated?.() });
        const value = report.validationLoss;
        epochNote = `, ${typeof measure === "string" ? `${measure} ${value.toFixed(3)}` : measure(value)}`;
      },
      onState: (at, state) => {
        if (at !== "step" || performance.now() - saving.last >= training.checkpointSeconds * 1000) save(state());
      },
    });
    writePeft(join(folder, "adapter"), loraToPeft(model.decoder, adapter, model.name));
    log.mark();
    writeManifest(folder, TRAINED_FILES);
    rmSync(checkpoints, { recursive: true, force: true });
    say(`${label}: trained; checkpoints took ${(saving.milliseconds / 1000).toFixed(2)} s${epochNote}`);
  } finally {
    for (const close of opened.toReversed()) close();
  }
}
