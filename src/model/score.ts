/** Log-probabilities of given completions, with each prompt computed once for all that follow it. */
import { continuesPrefix, groupByTokens, packSequences, type Sequence, type SharedPrefix } from "./batch.js";
import type { Decoder } from "./decoder.js";
import { forward } from "./forward.js";
import type { ActiveLora } from "./lora.js";

export interface ScoreItem {
  /** At least one token. */
  readonly prompt: Int32Array;
  /** At least one token each. */
  readonly completions: readonly Int32Array[];
}

export interface ScoreOptions {
  readonly lora?: ActiveLora | null;
  /** Logits are divided by it. Default 1. */
  readonly temperature?: number;
  /** Tokens computed at once. Default 2,048. */
  readonly batchTokens?: number;
  /**
   * What prompts begin with (a system prompt): computed once for the prompts of a batch. A prompt that has completions of several tokens then
   * is computed once for each of them from there on, where that is less than computing it whole. Default: nothing.
   */
  readonly shared?: SharedPrefix;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** result[item][completion]: log-probability of each token of the completion, given the prompt and the tokens before it. */
export async function scoreCompletions(
  decoder: Decoder,
  items: readonly ScoreItem[],
  options: ScoreOptions = {},
): Promise<Float32Array[][]> {
  const { batchTokens = 2048, shared = new Int32Array(0) } = options;
  const results: Float32Array[][] = items.map(() => []);
  const size = (index: number): number => {
    const { prompt, completions } = items[index];
    const own = prompt.length - prefixOf(items[index], shared);
    const times = own < prompt.length && !areSingleTokens(completions) ? completions.length : 1;
    return times * own + completions.reduce((sum, { length }) => sum + length, 0);
  };
  const groups = groupByTokens([...items.keys()], size, batchTokens);
  let done = 0;
  for (const group of groups) {
    options.signal?.throwIfAborted();
    scoreGroup(decoder, group, items, options, shared, results);
    done += group.length;
    options.onProgress?.(done, items.length);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return results;
}

const areSingleTokens = (completions: readonly Int32Array[]): boolean => completions.every(({ length }) => length === 1);

/**
 * How many of a prompt's first tokens are taken from the shared prefix. A prefix of a prefix is only possible for single tokens: longer
 * completions each need the rest of the prompt again.
 */
function prefixOf({ prompt, completions }: ScoreItem, shared: SharedPrefix): number {
  if (!continuesPrefix(prompt, shared)) return 0;
  const again = areSingleTokens(completions) ? 0 : (completions.length - 1) * (prompt.length - shared.length);
  return again < shared.length ? shared.length : 0;
}

function scoreGroup(
  decoder: Decoder,
  group: readonly number[],
  items: readonly ScoreItem[],
  { lora = null, temperature = 1 }: ScoreOptions,
  shared: SharedPrefix,
  results: Float32Array[][],
): void {
  const prefixes = group.map((item) => prefixOf(items[item], shared));
  const sequences: Sequence[] = prefixes.some((length) => length > 0) ? [{ ids: shared }] : [];
  const places: { item: number; sequence: number }[] = [];
  group.forEach((item, i) => {
    const { prompt, completions } = items[item];
    const own = prompt.subarray(prefixes[i]);
    const add = (sequence: Sequence): void => void places.push({ item, sequence: sequences.push(sequence) - 1 });
    if (prefixes[i] > 0 && !areSingleTokens(completions)) {
      for (const ids of completions) add({ ids: Int32Array.of(...own, ...ids), prefix: 0, scoreFrom: own.length });
      return;
    }
    const prefix = sequences.push({ ids: own, ...(prefixes[i] > 0 && { prefix: 0 }) }) - 1;
    for (const ids of completions) add({ ids, prefix, scoreFrom: 0 });
  });
  const batch = packSequences(sequences);
  const pass = forward(decoder, batch, lora, { temperature });
  try {
    for (const { item, sequence } of places)
      results[item].push(pass.nll.subarray(batch.scored[sequence], batch.scored[sequence + 1]).map((nll) => -nll));
  } finally {
    pass.free();
  }
}

/**
 * Probability of the first of two labels at one position: exp(log p(first)) / (exp(log p(first)) + exp(log p(second))), each label
 * scored whole. prompt: everything before the label.
 */
export async function labelProbabilities(
  decoder: Decoder,
  prompts: readonly Int32Array[],
  labels: readonly [Int32Array, Int32Array],
  options: ScoreOptions = {},
): Promise<Float64Array> {
  const scores = await scoreCompletions(
    decoder,
    prompts.map((prompt) => ({ prompt, completions: labels })),
    options,
  );
  const total = (logProbs: Float32Array): number => logProbs.reduce((sum, value) => sum + value, 0);
  return Float64Array.from(scores, ([first, second]) => 1 / (1 + Math.exp(total(second) - total(first))));
}
