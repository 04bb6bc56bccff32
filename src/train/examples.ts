/** Tokenised training rows, and how they are cut into batches. */
import {
  continuesPrefix,
  groupByTokens,
  packSequences,
  type PackedBatch,
  type Sequence,
  type SharedPrefix,
} from "../model/batch.js";
import { endOfText, type LanguageModel } from "../model/language-model.js";
import { shuffled, type Random } from "../random.js";

/** One row: the loss is on `completion` only, which ends with the end-of-text id. */
export interface TrainingExample {
  readonly prompt: Int32Array;
  readonly completion: Int32Array;
}

/** Rows that nothing can be trained on. */
export class TrainingDataError extends Error {
  override readonly name = "TrainingDataError";
}

/** Ids of what the model learns to write, with its end-of-text id. @throws ModelConfigError if it has none */
export function encodeCompletion(model: LanguageModel, text: string): Int32Array {
  return Int32Array.from([...model.tokenizer.encode(text), endOfText(model)]);
}

/**
 * Joins ids to an example of at most `maxLength` tokens. What is cut is the prompt's end, never the completion, which carries the
 * label (TRL cuts the row's end instead). Returns null when the completion alone leaves no room for a prompt token.
 */
export function makeExample(
  prompt: Int32Array,
  completion: Int32Array,
  maxLength: number,
): { example: TrainingExample; truncated: boolean } | null {
  const room = maxLength - completion.length;
  if (room < 1 || prompt.length === 0) return null;
  return { example: { prompt: prompt.subarray(0, room), completion }, truncated: prompt.length > room };
}

export function exampleTokens(example: TrainingExample): number {
  return example.prompt.length + example.completion.length;
}

/** One epoch's optimiser batches, shuffled; the last one may be smaller. */
export function epochBatches<T>(examples: readonly T[], batchSize: number, random: Random): T[][] {
  const order = shuffled(examples, random);
  return Array.from({ length: Math.ceil(order.length / batchSize) }, (_, i) => order.slice(i * batchSize, (i + 1) * batchSize));
}

const NOTHING = new Int32Array(0);

/**
 * Packs an optimiser batch into micro-batches of at most `microbatchTokens` computed tokens.
 * @param shared what prompts begin with; computed once a micro-batch, with the same loss and gradients as when every row computes it
 */
export function microbatches(
  examples: readonly TrainingExample[],
  microbatchTokens: number,
  shared: SharedPrefix = NOTHING,
): PackedBatch[] {
  const sharing = examples.some(({ prompt }) => continuesPrefix(prompt, shared));
  // The prefix takes its room once; a long one must still leave some for rows.
  const room = Math.max(microbatchTokens - (sharing ? shared.length : 0), microbatchTokens / 2);
  return groupByTokens(examples, (example) => ownTokens(example, shared), room).map((group) =>
    packSequences(sequencesOf(group, shared)),
  );
}

/** Tokens of an example without the prefix that it shares. */
function ownTokens(example: TrainingExample, shared: SharedPrefix): number {
  return exampleTokens(example) - (continuesPrefix(example.prompt, shared) ? shared.length : 0);
}

function sequencesOf(group: readonly TrainingExample[], shared: SharedPrefix): Sequence[] {
  const sharing = group.map(({ prompt }) => continuesPrefix(prompt, shared));
  // For one row alone there is nothing to save.
  if (sharing.filter(Boolean).length < 2) return group.map(exampleSequence);
  const rows = group.map((example, i): Sequence => {
    if (!sharing[i]) return exampleSequence(example);
    const { prompt, completion } = example;
    return { ...exampleSequence({ prompt: prompt.subarray(shared.length), completion }), prefix: 0 };
  });
  return [{ ids: shared }, ...rows];
}

/** Prompt and completion as one sequence, scored on the completion. */
export function exampleSequence({ prompt, completion }: TrainingExample): Sequence {
  const ids = new Int32Array(prompt.length + completion.length);
  ids.set(prompt);
  ids.set(completion, prompt.length);
  return { ids, scoreFrom: prompt.length };
}
