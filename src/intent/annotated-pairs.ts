/** Intents of one prompt by two annotators, and of unlike purposes in like words: what judges are fitted and tested on. */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { annotationPairs } from "../data/annotations.js";
import { DataFormatError } from "../data/errors.js";
import { readJsonl } from "../data/jsonl.js";
import { LEVELS, type LabelledPrompt } from "../data/prompt.js";
import { loadSample, type SamplePrompt } from "../data/sample.js";
import { promptKey } from "../data/split.js";
import { groupBy } from "../group-by.js";
import { createRandom, shuffled } from "../random.js";
import { pairsBetween, type AnnotationPair } from "./agreement.js";
import type { IntentToJudge } from "./judge.js";

/** What two annotators say of one prompt. A prompt with more annotations comes in more pairs. */
export interface AnnotatedIntentPair {
  readonly prompt: string;
  readonly first: string;
  readonly second: string;
}

const SECOND = fileURLToPath(new URL("../../data/sample/second-annotation.jsonl", import.meta.url));
const schema = z.looseObject({ id: z.string().min(1), intent: z.string().min(1), level: z.enum(LEVELS) });

/**
 * The first and the second annotation of each row of our set that was annotated twice, with the row's id as prompt and the level as label.
 * @throws DataFormatError for a row that is not in the set or not of the fields id, intent, level.
 */
export function secondPairs(file = SECOND, sample: readonly SamplePrompt[] = loadSample()): AnnotationPair[] {
  const byId = new Map(sample.map((row) => [row.id, row]));
  const second = readJsonl(file, schema).map(({ line, row }) => {
    if (!byId.has(row.id)) throw new DataFormatError(file, line, "id", `"${row.id}" is not in the sample set`);
    return { prompt: row.id, label: row.level, intent: row.intent };
  });
  return pairsBetween(
    sample.map(({ id, level, intent }) => ({ prompt: id, label: level, intent })),
    second,
  );
}

/** The 150 pairs of our set. */
export function sampleAnnotatedPairs(sample: readonly SamplePrompt[] = loadSample()): AnnotatedIntentPair[] {
  const prompts = new Map(sample.map(({ id, prompt }) => [id, prompt]));
  return secondPairs(SECOND, sample).map(({ first, second }) => ({
    prompt: prompts.get(first.prompt)!,
    first: first.intent!,
    second: second.intent!,
  }));
}

/** Every two annotations of one prompt in a set with several annotators (AIMS); rows without an intent are left out. */
export function annotatedPairsOf(rows: readonly LabelledPrompt[]): AnnotatedIntentPair[] {
  return annotationPairs(rows.filter(({ intent }) => intent !== null)).map(({ a, b }) => ({
    prompt: a.prompt,
    first: a.intent!,
    second: b.intent!,
  }));
}

/**
 * Each pair's first intent beside the second intent of another prompt, drawn by `seed`: nobody could call these a match. Fewer than
 * the pairs only where prompts are too few.
 */
export function shuffledItems(pairs: readonly AnnotatedIntentPair[], seed: number): IntentToJudge[] {
  const keys = pairs.map(({ prompt }) => promptKey(prompt));
  const random = createRandom(seed, "shuffled pairs");
  return pairs.flatMap(({ prompt, first }, i) => {
    const others = pairs.flatMap(({ second }, j) => (keys[j] === keys[i] ? [] : [second]));
    return others.length === 0 ? [] : [{ prompt, goldIntent: first, sampledIntent: others[random.integer(others.length)] }];
  });
}

/**
 * Rows of our set beside the intent of another row of their group with the other label: like words, unlike purpose, a far harder test
 * than {@link shuffledItems}.
 * @param count at most so many, drawn by `seed`
 */
export function contrastItems(count: number, seed: number, sample: readonly SamplePrompt[] = loadSample()): IntentToJudge[] {
  const groups = groupBy(sample, ({ group }) => group);
  const items = sample.flatMap((row) =>
    groups
      .get(row.group)!
      .filter(({ harm }) => harm !== row.harm)
      .map((other) => ({ prompt: row.prompt, goldIntent: row.intent, sampledIntent: other.intent })),
  );
  return shuffled(items, createRandom(seed, "contrasts")).slice(0, count);
}
