/**
 * The loop that every kind of training shares: epochs of shuffled optimiser batches, a rate schedule, validation after each epoch,
 * early stopping, and a state from which training stopped anywhere goes on to the same bytes. What a batch is and what its loss is
 * are the task's.
 */
import type { PackedBatch } from "../model/batch.js";
import { createRandom, randomFromState, type Random } from "../random.js";
import { epochBatches } from "./examples.js";
import { scheduleFactor, type Schedule } from "./schedule.js";
import {
  adapterParameters,
  restoreTrainer,
  setParameters,
  trainerState,
  TrainingError,
  trainStep,
  type Loss,
  type LoraTrainer,
  type StepResult,
  type TrainerState,
} from "./trainer.js";

/** What is trained: how rows become a step, and what is measured after an epoch. */
export interface TrainingTask<Row, Figures extends object> {
  readonly rows: readonly Row[];
  /** @param at the batch's number in training, from 0 */
  prepare(
    rows: readonly Row[],
    at: { readonly step: number; readonly signal?: AbortSignal },
  ): PreparedBatch<Figures> | Promise<PreparedBatch<Figures>>;
  /** The number to minimise, with the adapter as it stands after so many batches; null: there is none. */
  readonly validate: ((step: number) => number | Promise<number>) | null;
}

/** An optimiser batch. */
export interface PreparedBatch<Figures extends object> {
  /** Micro-batches; none: there is nothing to learn from this batch, and no optimiser step is taken. */
  readonly batches: readonly PackedBatch[];
  readonly loss: Loss;
  /** Logits are divided by it. Default 1. */
  readonly temperature?: number;
  /** Optimiser steps on it. Default 1. */
  readonly times?: number;
  /** Asked for after the step, for its report. */
  readonly figures: () => Figures;
}

export interface LoopOptions<Figures extends object> {
  readonly epochs: number;
  /** Rows an optimiser step. */
  readonly batchSize: number;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Default: cosine after 10% of warm-up (paper sections 3 and 4.2). */
  readonly schedule?: Schedule;
  /** Order of the rows. */
  readonly seed: number;
  /** Stop after so many batches, within the epochs. Default: never. */
  readonly maxSteps?: number;
  /** Validate after so many batches, and at the end. Default: after each epoch. */
  readonly validateEvery?: number;
  /** Validate before the first batch too: training may end with the adapter that it began with. Default false. */
  readonly validateFirst?: boolean;
  /** Stop after this many validations without a lower loss (transformers' EarlyStoppingCallback). Default 0: never. */
  readonly patience?: number;
  /** Which adapter training ends with: that with the lowest validation loss (default, as the paper does), or the last one. */
  readonly keep?: "best" | "last";
  /** Go on from here: the same rows and options as before. */
  readonly from?: TrainingState | null;
  readonly onStep?: (report: StepReport & Figures) => void;
  readonly onEpoch?: (report: EpochReport) => void;
  /** Called where training can go on from: after each batch, after each validation ("epoch"), and before it obeys the signal. */
  readonly onState?: (at: "step" | "epoch" | "stop", state: () => TrainingState) => void;
  readonly signal?: AbortSignal;
}

/** Where training stands, between two steps. */
export interface TrainingState {
  /** Epoch of the next step (from 0), and how many of its batches are done. */
  readonly epoch: number;
  readonly position: number;
  /** State of the generator that the epoch's order was drawn from. */
  readonly order: ReturnType<Random["state"]>;
  readonly trainer: TrainerState;
  /** In order. */
  readonly validationLosses: readonly number[];
  /** The lowest validation loss so far, and the epoch that it was measured in or after. */
  readonly best: { readonly epoch: number; readonly loss: number; readonly parameters: Float32Array } | null;
}

/** Of several optimiser steps on one batch, loss and gradient norm are means. */
export interface StepReport extends StepResult {
  /** Batches done. */
  readonly step: number;
  readonly totalSteps: number;
  readonly epoch: number;
  readonly learningRate: number;
  readonly milliseconds: number;
}

export interface EpochReport {
  readonly epoch: number;
  /** Batches done. */
  readonly step: number;
  readonly validationLoss: number;
  /** The lowest so far. */
  readonly best: boolean;
}

/** Options with which nothing would be trained, or without an end. */
export class TrainingOptionsError extends Error {
  override readonly name = "TrainingOptionsError";
}

/**
 * Trains; resolves with the losses of all validations (empty without validation).
 * @throws TrainingOptionsError naming the option, before any work; TrainingError if a loss, a gradient or a validation is not finite
 */
export async function trainLoop<Row, Figures extends object>(
  trainer: LoraTrainer,
  task: TrainingTask<Row, Figures>,
  options: LoopOptions<Figures>,
): Promise<number[]> {
  checkOptions(options);
  const { epochs, batchSize, learningRate, seed, patience = 0, keep = "best", from, signal } = options;
  const schedule = options.schedule ?? { kind: "cosine", warmupRatio: 0.1 };
  const perEpoch = Math.ceil(task.rows.length / batchSize);
  const totalSteps = Math.min(options.maxSteps ?? Infinity, epochs * perEpoch);
  const { validateEvery = perEpoch, validateFirst = false } = options;
  const orderOf = (epoch: number): TrainingState["order"] => createRandom(seed, "epoch", epoch).state();

  if (from) restoreTrainer(trainer, from.trainer);
  let { epoch, position, order } = from ?? { epoch: 0, position: 0, order: orderOf(0) };
  let best = from?.best ?? null;
  const validationLosses = [...(from?.validationLosses ?? [])];
  const state = (): TrainingState => ({
    epoch,
    position,
    order,
    trainer: trainerState(trainer),
    validationLosses: [...validationLosses],
    best,
  });

  const done = (): number => epoch * perEpoch + position;

  const step = async (rows: readonly Row[]): Promise<void> => {
    const started = performance.now();
    const at = { step: done(), ...(signal && { signal }) };
    const { batches, loss, temperature = 1, times = 1, figures } = await task.prepare(rows, at);
    const rate = learningRate * scheduleFactor(schedule, at.step, totalSteps);
    const results = Array.from({ length: batches.length > 0 ? times : 0 }, () =>
      trainStep(trainer, batches, loss, rate, { temperature }),
    );
    position++;
    const milliseconds = performance.now() - started;
    options.onStep?.({ ...meanResult(results), step: done(), totalSteps, epoch, learningRate: rate, ...figures(), milliseconds });
    options.onState?.("step", state);
  };

  /** After a batch, if one is due and has not been done: training may have been stopped during it. */
  const validate = async (): Promise<void> => {
    const atEnd = done() === totalSteps && totalSteps % validateEvery > 0;
    const due = Number(validateFirst) + Math.floor(done() / validateEvery) + Number(atEnd);
    if (task.validate !== null && validationLosses.length < due) {
      const loss = await task.validate(done());
      // Not stored: no other loss could be told to be lower, and training could not go on from such a state.
      if (!Number.isFinite(loss))
        throw new TrainingError(`the validation loss is ${loss} after step ${done()}; try a lower learning rate`);
      validationLosses.push(loss);
      const improved = best === null || loss < best.loss;
      if (improved) best = { epoch, loss, parameters: adapterParameters(trainer) };
      options.onEpoch?.({ epoch, step: done(), validationLoss: loss, best: improved });
    } else if (position < perEpoch) return;
    if (position === perEpoch) {
      epoch++;
      position = 0;
      order = orderOf(epoch);
    }
    options.onState?.("epoch", state);
  };

  try {
    await validate();
    const goesOn = (): boolean => done() < totalSteps && !outOfPatience(validationLosses, patience);
    while (goesOn()) {
      const batches = epochBatches(task.rows, batchSize, randomFromState(order));
      for (const current = epoch; epoch === current && goesOn();) {
        signal?.throwIfAborted();
        await step(batches[position]);
        await new Promise((resolve) => setImmediate(resolve));
        await validate();
      }
    }
  } catch (error) {
    // Also out of a validation, or of a batch's preparation, which may take long and obey the signal themselves.
    if (signal?.aborted && error === signal.reason) options.onState?.("stop", state);
    throw error;
  }
  if (best !== null && keep === "best") setParameters(trainer, best.parameters);
  return validationLosses;
}

function checkOptions(options: LoopOptions<never>): void {
  for (const name of ["epochs", "batchSize", "maxSteps", "validateEvery"] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1))
      throw new TrainingOptionsError(`${name} is ${value}; expected a positive whole number`);
  }
  const { learningRate } = options;
  if (!(learningRate > 0 && learningRate < Infinity))
    throw new TrainingOptionsError(`learningRate is ${learningRate}; it must be a number above 0`);
}

function meanResult(results: readonly StepResult[]): StepResult {
  const mean = (of: (result: StepResult) => number): number =>
    results.reduce((sum, result) => sum + of(result), 0) / Math.max(1, results.length);
  return { loss: mean(({ loss }) => loss), gradientNorm: mean(({ gradientNorm }) => gradientNorm) };
}

/** Whether the last `patience` validations all failed to improve on the best before them; never with patience 0. */
function outOfPatience(losses: readonly number[], patience: number): boolean {
  return patience > 0 && losses.length - 1 - losses.indexOf(Math.min(...losses)) >= patience;
}
