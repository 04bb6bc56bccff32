/**
 * Supervised fine-tuning on prompt-completion rows of any kind: mean negative log-likelihood of the completion's tokens over the
 * whole optimiser batch (as transformers and TRL since 2024: one mean a batch, not a mean of micro-batch means).
 */
import { exampleTokens, microbatches, type TrainingExample } from "./examples.js";
import { trainLoop, type LoopOptions, type StepReport } from "./loop.js";
import { meanLoss, type Loss, type LoraTrainer } from "./trainer.js";

/** In a long completion the loss is mostly about the intent's wording, and may rise while verdicts still get better: see `keep`. */
export interface SftOptions extends LoopOptions<SftFigures> {
  /** Tokens a forward and backward pass. Default 2,048. */
  readonly microbatchTokens?: number;
  /** Rows to measure the loss on after each epoch. */
  readonly validation?: readonly TrainingExample[];
}

export interface SftFigures {
  /** Tokens of the step's rows: what is computed, since rows are packed. */
  readonly tokens: number;
  /** What padding the same rows to the longest would have computed, as TRL does by default. */
  readonly tokensIfPadded: number;
  /** Those of `tokens` that are learnt. */
  readonly completionTokens: number;
}

export type SftStep = StepReport & SftFigures;

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
  const { microbatchTokens = 2048, validation = [] } = options;
  const validationBatches = microbatches(validation, microbatchTokens);
  return trainLoop(
    trainer,
    {
      rows: examples,
      prepare: (rows) => {
        const figures = countTokens(rows);
        return {
          batches: microbatches(rows, microbatchTokens),
          loss: sftLoss(figures.completionTokens),
          figures: () => figures,
        };
      },
      validate: validation.length > 0 ? () => meanLoss(trainer.decoder, trainer.adapter, validationBatches) : null,
    },
    options,
  );
}

function countTokens(rows: readonly TrainingExample[]): SftFigures {
  const lengths = rows.map(exampleTokens);
  return {
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    tokensIfPadded: rows.length * Math.max(...lengths),
    completionTokens: rows.reduce((sum, row) => sum + row.completion.length, 0),
  };
}
