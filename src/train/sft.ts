/**
 * Supervised fine-tuning on prompt-completion rows of any kind: mean negative log-likelihood of the completion's tokens over the
 * whole optimiser batch (as transformers and TRL since 2024: one mean a batch, not a mean of micro-batch means).
 */
import { createRandom } from "../random.js";
import { epochBatches, exampleTokens, microbatches, type TrainingExample } from "./examples.js";
import { scheduleFactor, type Schedule } from "./schedule.js";
import { meanLoss, trainStep, type Loss, type LoraTrainer } from "./trainer.js";

export interface SftOptions {
  readonly epochs: number;
  /** Rows an optimiser step. */
  readonly batchSize: number;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Default: cosine after 10% of warm-up (paper section 3). */
  readonly schedule?: Schedule;
  /** Order of the rows. */
  readonly seed: number;
  /** Tokens a forward and backward pass. Default 2,048. */
  readonly microbatchTokens?: number;
  /** Rows to measure the loss on after each epoch; the adapter of the best epoch is kept at the end. */
  readonly validation?: readonly TrainingExample[];
  readonly onStep?: (report: SftStep) => void;
  readonly onEpoch?: (report: { epoch: number; validationLoss: number; best: boolean }) => void;
  readonly signal?: AbortSignal;
}

export interface SftStep {
  readonly step: number;
  readonly totalSteps: number;
  readonly epoch: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Tokens of the step's rows, and those of them that are completions. */
  readonly tokens: number;
  readonly completionTokens: number;
  readonly milliseconds: number;
}

/** Completion-only cross-entropy over `totalTokens` completion tokens. */
export function sftLoss(totalTokens: number): Loss {
  return (_, nll) => ({
    value: nll.reduce((sum, value) => sum + value, 0) / totalTokens,
    weights: new Float32Array(nll.length).fill(1 / totalTokens),
  });
}

/** Trains; resolves with the validation loss of each epoch (empty without validation rows). */
export async function fineTune(
  trainer: LoraTrainer,
  examples: readonly TrainingExample[],
  options: SftOptions,
): Promise<number[]> {
  const { epochs, batchSize, learningRate, seed, microbatchTokens = 2048, validation = [] } = options;
  const schedule = options.schedule ?? { kind: "cosine", warmupRatio: 0.1 };
  const { decoder, adapter } = trainer;
  const totalSteps = epochs * Math.ceil(examples.length / batchSize);
  const validationBatches = microbatches(validation, microbatchTokens);
  const validationLosses: number[] = [];
  let best: { loss: number; parameters: Float32Array } | null = null;
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const rows of epochBatches(examples, batchSize, createRandom(seed, "epoch", epoch))) {
      options.signal?.throwIfAborted();
      const started = performance.now();
      const completionTokens = rows.reduce((sum, row) => sum + row.completion.length, 0);
      const rate = learningRate * scheduleFactor(schedule, step, totalSteps);
      const result = trainStep(trainer, microbatches(rows, microbatchTokens), sftLoss(completionTokens), rate);
      step++;
      options.onStep?.({
        ...result,
        step,
        totalSteps,
        epoch,
        learningRate: rate,
        tokens: rows.reduce((sum, row) => sum + exampleTokens(row), 0),
        completionTokens,
        milliseconds: performance.now() - started,
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (validation.length === 0) continue;
    const loss = meanLoss(decoder, adapter, validationBatches);
    validationLosses.push(loss);
    const improved = best === null || loss < best.loss;
    if (improved) best = { loss, parameters: decoder.ops.device.download(adapter.parameters) as Float32Array };
    options.onEpoch?.({ epoch, validationLoss: loss, best: improved });
  }
  if (best !== null) {
    const parameters = decoder.ops.device.upload(best.parameters, [adapter.size]);
    adapter.parameters.free();
    adapter.parameters = parameters;
  }
  return validationLosses;
}
