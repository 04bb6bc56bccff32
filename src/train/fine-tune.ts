/**
 * Fine-tuning on anybody's rows, in one call: the small API for data that is not ours.
 *
 *     const ops = await openOps();
 *     const { path } = await resolveModel("smollm2-135m-instruct");
 *     const model = openModel(ops, path);
 *     const tuned = await fineTuneRows(model, [{ prompt: "2 + 2 =", completion: " 4" }], { epochs: 3 });
 *     writePeft("my-adapter", loraToPeft(model.decoder, tuned.adapter, model.name));
 */
import { createLora, type LoraAdapter, type LoraOptions } from "../model/lora.js";
import { encodeInput, type LanguageModel } from "../model/language-model.js";
import { createRandom } from "../random.js";
import { encodeCompletion, makeExample, TrainingDataError, type TrainingExample } from "./examples.js";
import { fineTune, type SftOptions } from "./sft.js";
import { createTrainer, type OptimiserOptions } from "./trainer.js";

export interface TextRow {
  /** Read by the model; no loss on it. Special-token text in it stays plain text. */
  readonly prompt: string;
  /** What the model learns to write; the end-of-text id is added. */
  readonly completion: string;
}

export interface FineTuneOptions extends Partial<Omit<SftOptions, "validation">>, OptimiserOptions {
  /** Default: rank 16, alpha 32, all seven projections (paper section 3). */
  readonly lora?: LoraOptions;
  /** Tokens a row; longer prompts lose their end. Default 512. */
  readonly maxLength?: number;
  readonly validation?: readonly TextRow[];
}

export interface FineTuned {
  readonly adapter: LoraAdapter;
  readonly validationLosses: number[];
  /** Rows whose prompt was cut, and rows left out because the completion alone fills maxLength. */
  readonly truncated: number;
  readonly dropped: number;
}

/** Trains a fresh LoRA adapter. Defaults: 3 epochs, 16 rows a step, rate 2e-4, seed 22. The adapter is the caller's to free. */
export async function fineTuneRows(
  model: LanguageModel,
  rows: readonly TextRow[],
  options: FineTuneOptions = {},
): Promise<FineTuned> {
  const { lora = { r: 16, loraAlpha: 32 }, maxLength = 512, seed = 22 } = options;
  const train = tokeniseRows(model, rows, maxLength);
  const validation = tokeniseRows(model, options.validation ?? [], maxLength);
  if (train.examples.length === 0) throw new TrainingDataError(`none of the ${rows.length} rows fits ${maxLength} tokens`);
  const adapter = createLora(model.decoder, lora, createRandom(seed, "lora"));
  try {
    const trainer = createTrainer(model.decoder, adapter, options);
    try {
      const validationLosses = await fineTune(trainer, train.examples, {
        epochs: 3,
        batchSize: 16,
        learningRate: 2e-4,
        ...options,
        seed,
        validation: validation.examples,
      });
      return { adapter, validationLosses, truncated: train.truncated, dropped: train.dropped };
    } finally {
      trainer.free();
    }
  } catch (error) {
    adapter.free();
    throw error;
  }
}

/** Encodes rows; the completion gets the model's end-of-text id. */
export function tokeniseRows(
  model: LanguageModel,
  rows: readonly TextRow[],
  maxLength: number,
): { examples: TrainingExample[]; truncated: number; dropped: number } {
  const examples: TrainingExample[] = [];
  let truncated = 0;
  for (const { prompt, completion } of rows) {
    const made = makeExample(encodeInput(model.tokenizer, prompt), encodeCompletion(model, completion), maxLength);
    if (made === null) continue;
    examples.push(made.example);
    if (made.truncated) truncated++;
  }
  return { examples, truncated, dropped: rows.length - examples.length };
}
