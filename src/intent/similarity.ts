/** How close stated intents come to the annotators': the cosine of sentence embeddings (the paper's all-MiniLM-L6-v2, section 1.1). */
import type { SentenceEncoder } from "../model/sentence-encoder.js";

export interface IntentCosine {
  /** One a row; null where either side has no intent. */
  readonly cosines: readonly (number | null)[];
  /** Over the rows that have both; null if none has. */
  readonly mean: number | null;
  readonly compared: number;
  /** Rows with a gold intent for which none was stated: they are in no mean. */
  readonly missing: number;
}

/** Two lists of intents do not belong together. */
export class IntentLengthError extends Error {
  override readonly name = "IntentLengthError";
}

/**
 * Cosine of each predicted intent to the gold one in the same place.
 * @throws IntentLengthError if the lists are not equally long.
 */
export async function intentCosine(
  encoder: Pick<SentenceEncoder, "encode">,
  predicted: readonly (string | null)[],
  gold: readonly (string | null)[],
  signal?: AbortSignal,
): Promise<IntentCosine> {
  if (predicted.length !== gold.length)
    throw new IntentLengthError(`${predicted.length} predicted and ${gold.length} gold intents: one of each is needed a row`);
  const both = gold.flatMap((intent, i) => {
    const stated = predicted[i];
    return intent === null || stated === null ? [] : [{ i, intent, stated }];
  });
  const texts = [...new Set(both.flatMap(({ intent, stated }) => [intent, stated]))];
  const embeddings = await encoder.encode(texts, signal === undefined ? {} : { signal });
  const byText = new Map(texts.map((text, i) => [text, embeddings[i]]));
  const cosines: (number | null)[] = gold.map(() => null);
  for (const { i, intent, stated } of both) cosines[i] = cosineOfUnits(byText.get(intent)!, byText.get(stated)!);
  return {
    cosines,
    mean: both.length === 0 ? null : both.reduce((sum, { i }) => sum + cosines[i]!, 0) / both.length,
    compared: both.length,
    missing: gold.filter((intent, i) => intent !== null && predicted[i] === null).length,
  };
}

/** Cosine of unit vectors, within [-1, 1] where rounding goes a little past. */
export function cosineOfUnits(a: Float32Array, b: Float32Array): number {
  return Math.max(
    -1,
    Math.min(
      1,
      a.reduce((sum, x, i) => sum + x * b[i], 0),
    ),
  );
}
