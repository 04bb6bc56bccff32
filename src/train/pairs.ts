/**
 * Preference pairs as the model computes them. What both answers have in common - the prompt, and the answers' own first tokens where
 * they are the same - is one sequence that the rest of either answer goes on from: computed once, exactly as if it were computed twice.
 */
import { groupByTokens, packSequences, type PackedBatch, type Sequence } from "../model/batch.js";
import { encodeInput, type LanguageModel } from "../model/language-model.js";
import type { AnswerLogProbs } from "./dpo-loss.js";
import { encodeCompletion, exampleSequence, makeExample, TrainingDataError } from "./examples.js";

export interface PreferenceRow {
  /** Unique among the rows. */
  readonly id: string;
  /** Read by the model as it stands (an output format's `input`); special-token text in it stays plain text. */
  readonly prompt: string;
  /** What the model learns to prefer, and to what; the end-of-text id is added to both. */
  readonly chosen: string;
  readonly rejected: string;
  /** Weight in the loss, relative to the other pairs of its batch. Default 1. */
  readonly weight?: number;
}

export interface PreferenceExample {
  readonly id: string;
  readonly prompt: Int32Array;
  readonly chosen: Int32Array;
  readonly rejected: Int32Array;
  readonly weight: number;
}

/**
 * Encodes pairs to at most `maxLength` tokens an answer, prompt included. What is cut is the prompt's end, by what the longer answer
 * needs, so that both answers stand after the same prompt (TRL cuts each row's end).
 * @returns dropped: pairs left out because an answer alone leaves no room for a prompt token, or because both answers are the same
 * @throws TrainingDataError on an id given twice, or a weight that is not a number above 0
 */
export function tokenisePairs(
  model: LanguageModel,
  rows: readonly PreferenceRow[],
  maxLength: number,
): { pairs: PreferenceExample[]; truncated: number; dropped: number } {
  const pairs: PreferenceExample[] = [];
  const seen = new Set<string>();
  let truncated = 0;
  for (const { id, prompt, weight = 1, ...texts } of rows) {
    if (seen.has(id)) throw new TrainingDataError(`two pairs have the id "${id}"; give each its own`);
    seen.add(id);
    if (!(weight > 0 && weight < Infinity))
      throw new TrainingDataError(`pair "${id}": its weight is ${weight}; it must be a number above 0`);
    const [chosen, rejected] = [encodeCompletion(model, texts.chosen), encodeCompletion(model, texts.rejected)];
    const longer = chosen.length > rejected.length ? chosen : rejected;
    const made = makeExample(encodeInput(model.tokenizer, prompt), longer, maxLength);
    if (made === null || Buffer.compare(bytesOf(chosen), bytesOf(rejected)) === 0) continue;
    pairs.push({ id, prompt: made.example.prompt, chosen, rejected, weight });
    if (made.truncated) truncated++;
  }
  return { pairs, truncated, dropped: rows.length - pairs.length };
}

/** The ids' bytes, for hashing and comparing. */
export function bytesOf(ids: Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
}

/** Pairs packed into one batch. */
export interface PairBatch {
  readonly pairs: readonly PreferenceExample[];
  readonly batch: PackedBatch;
  /** For each pair: how many tokens its answers begin with in common; they are scored once. */
  readonly common: readonly number[];
}

/** @param share false: each answer with a prompt of its own, as others compute it; the numbers are the same */
export function packPairs(pairs: readonly PreferenceExample[], share = true): PairBatch {
  const common = pairs.map((pair) => (share ? commonStart(pair) : 0));
  const sequences: Sequence[] = [];
  pairs.forEach(({ prompt, chosen, rejected }, i) => {
    if (share) {
      const prefix = sequences.push(exampleSequence({ prompt, completion: chosen.subarray(0, common[i]) })) - 1;
      for (const answer of [chosen, rejected]) sequences.push({ ids: answer.subarray(common[i]), prefix, scoreFrom: 0 });
    } else for (const completion of [chosen, rejected]) sequences.push(exampleSequence({ prompt, completion }));
  });
  return { pairs, batch: packSequences(sequences), common };
}

/** Packs pairs into micro-batches of at most `microbatchTokens` tokens; a pair is never parted. */
export function pairMicrobatches(pairs: readonly PreferenceExample[], microbatchTokens: number): PairBatch[] {
  const tokens = (pair: PreferenceExample): number =>
    pair.prompt.length + pair.chosen.length + pair.rejected.length - commonStart(pair);
  return groupByTokens(pairs, tokens, microbatchTokens).map((group) => packPairs(group));
}

/** Log-probabilities of the answers of each pair. @param nll of the batch's scored tokens, as `forward` gives them */
export function pairLogProbs({ pairs, common }: PairBatch, nll: Float32Array): AnswerLogProbs[] {
  let next = 0;
  const sum = (count: number): number => {
    let total = 0;
    for (const end = next + count; next < end; next++) total -= nll[next];
    return total;
  };
  return pairs.map((pair, i) => {
    const start = sum(common[i]);
    const chosen = start + sum(pair.chosen.length - common[i]);
    return { chosen, rejected: start + sum(pair.rejected.length - common[i]) };
  });
}

/** The other way: d(loss)/d(nll) of each scored token from d(loss)/d(log-probability) of each answer. */
export function nllWeights({ pairs, batch, common }: PairBatch, slopes: readonly AnswerLogProbs[]): Float32Array {
  const weights = new Float32Array(batch.rows.length);
  let next = 0;
  const fill = (count: number, slope: number): void => {
    weights.fill(-slope, next, (next += count));
  };
  pairs.forEach((pair, i) => {
    const { chosen, rejected } = slopes[i];
    fill(common[i], chosen + rejected);
    fill(pair.chosen.length - common[i], chosen);
    fill(pair.rejected.length - common[i], rejected);
  });
  return weights;
}

/** How many tokens the answers begin with in common; at least the last one of each is its own. */
function commonStart({ chosen, rejected }: PreferenceExample): number {
  const end = Math.min(chosen.length, rejected.length) - 1;
  let count = 0;
  while (count < end && chosen[count] === rejected[count]) count++;
  return count;
}
