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
  trainStep,
  type Loss,
  type LoraTrainer,
  type StepResult,
  type TrainerState,
} from "./trainer.js";

/** What is trained: how rows become a step, and what is measured after an epoch. */
export interface TrainingTask<Row, Figures extends object> {
  readonly rows: readonly Row[];
  /** An optimiser batch as micro-batches and their loss. `figures` is asked for after the step, for its report. */
  prepare(rows: readonly Row[]): {
    readonly batches: readonly PackedBatch[];
    readonly loss: Loss;
    readonly figures: () => Figures;
  };
  /** The number to minimise, with the adapter as it stands after an epoch; null: there is none. */
  readonly validate: (() => number | Promise<number>) | null;
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
  /** Stop after this many epochs without a lower validation loss (transformers' EarlyStoppingCallback). Default 0: never. */
  readonly patience?: number;
  /** Which adapter training ends with: that of the epoch with the lowest validation loss (default, as the paper does), or the last one. */
  readonly keep?: "best" | "last";
  /** Go on from here: the same rows and options as before. */
  readonly from?: TrainingState | null;
  readonly onStep?: (report: StepReport & Figures) => void;
  readonly onEpoch?: (report: EpochReport) => void;
  /** Called where training can go on from: after each step, after each epoch's validation, and before it obeys the signal. */
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
  /** Of the epochs done. */
  readonly validationLosses: readonly number[];
  /** The epoch with the lowest validation loss so far. */
  readonly best: { readonly epoch: number; readonly loss: number; readonly parameters: Float32Array } | null;
}

export interface StepReport extends StepResult {
  readonly step: number;
  readonly totalSteps: number;
  readonly epoch: number;
  readonly learningRate: number;
  readonly milliseconds: number;
}

export interface EpochReport {
  readonly epoch: number;
  readonly validationLoss: number;
  /** The lowest so far. */
  readonly best: boolean;
}

/** Trains; resolves with the validation loss of each epoch (empty without validation). */
export async function trainLoop<Row, Figures extends object>(
  trainer: LoraTrainer,
  task: TrainingTask<Row, Figures>,
  options: LoopOptions<Figures>,
): Promise<number[]> {
  const { epochs, batchSize, learningRate, seed, patience = 0, keep = "best", from, signal } = options;
  const schedule = options.schedule ?? { kind: "cosine", warmupRatio: 0.1 };
  const totalSteps = epochs * Math.ceil(task.rows.length / batchSize);
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

  const step = (rows: readonly Row[]): void => {
    const started = performance.now();
    const { batches, loss, figures } = task.prepare(rows);
    const rate = learningRate * scheduleFactor(schedule, trainer.step, totalSteps);
    const result = trainStep(trainer, batches, loss, rate);
    position++;
    const milliseconds = performance.now() - started;
    options.onStep?.({ ...result, step: trainer.step, totalSteps, epoch, learningRate: rate, ...figures(), milliseconds });
    options.onState?.("step", state);
  };

  try {
    while (epoch < epochs && !outOfPatience(validationLosses, patience)) {
      const batches = epochBatches(task.rows, batchSize, randomFromState(order));
      while (position < batches.length) {
        signal?.throwIfAborted();
        step(batches[position]);
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (task.validate !== null) {
        const loss = await task.validate();
        validationLosses.push(loss);
        const improved = best === null || loss < best.loss;
        if (improved) best = { epoch, loss, parameters: adapterParameters(trainer) };
        options.onEpoch?.({ epoch, validationLoss: loss, best: improved });
      }
      epoch++;
      position = 0;
      order = orderOf(epoch);
      options.onState?.("epoch", state);
    }
  } catch (error) {
    // Also out of a validation, which may take long and obeys the signal itself.
    if (signal?.aborted && error === signal.reason) options.onState?.("stop", state);
    throw error;
  }
  if (best !== null && keep === "best") setParameters(trainer, best.parameters);
  return validationLosses;
}

/** Whether the last `patience` epochs all failed to improve on the best before them; never with patience 0. */
function outOfPatience(losses: readonly number[], patience: number): boolean {
  return patience > 0 && losses.length - 1 - losses.indexOf(Math.min(...losses)) >= patience;
}
