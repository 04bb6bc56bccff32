/**
 * A judge that needs no language model: the cosine of the two intents' sentence vectors (all-MiniLM-L6-v2, as in paper section 1.1) with
 * two thresholds that are fitted on pairs of annotations.
 *
 * It sees topics better than purposes: of pairs of unlike purposes in like words (all 1,842 of `contrastItems`) it calls 22% good and 29%
 * decent, of pairs of any two prompts 1% decent, of AIMS' pairs of two annotators (40, in no fit) 78% good and 12% decent.
 */
import { quantile } from "../evaluate/quantile.js";
import { promptKey } from "../data/split.js";
import type { SentenceEncoder } from "../model/sentence-encoder.js";
import type { AnnotatedIntentPair } from "./annotated-pairs.js";
import type { IntentToJudge, Judge, JudgeVerdict } from "./judge.js";
import { cosineOfUnits, intentCosine } from "./similarity.js";

export interface CosineThresholds {
  /** Below: bad. */
  readonly decent: number;
  /** From here on: good; between the two: decent. */
  readonly good: number;
  /** What they were fitted on. */
  readonly source: string;
  /** Same-prompt pairs in it. */
  readonly pairs: number;
  /** Youden's J at `decent`: the share of same-prompt pairs at or above it, less that of other-prompt pairs. */
  readonly youden: number;
}

/**
 * `fitThresholds(encoder, sampleAnnotatedPairs(), …)` on all-MiniLM-L6-v2, to four digits; a test computes them anew. The AIMS pairs at hand
 * (40, written by people) give 0.368 and 0.573 by the same rule.
 */
export const SAMPLE_THRESHOLDS: CosineThresholds = {
  decent: 0.3848,
  good: 0.5576,
  source: "data/sample/second-annotation.jsonl",
  pairs: 150,
  youden: 0.9524,
};

/** Thresholds cannot be fitted on these pairs. */
export class ThresholdError extends Error {
  override readonly name = "ThresholdError";
}

/**
 * Fits both thresholds on pairs of annotators:
 *
 * - **decent**: where pairs of one prompt and pairs of different prompts (every first intent beside every second one) are told apart best:
 *   Youden's J is largest, halfway between the two cosines there, the lowest such place. An intent below it is further from the annotator's than
 *   intents of one prompt are: it could be another prompt's.
 * - **good**: the first quartile of pairs of one prompt, since the rubric calls good what has the same aim in whatever words, and that is
 *   what two annotators give: three quarters of them are good by construction, and the rest, down to `decent`, is decent.
 *
 * @param source for people
 * @throws ThresholdError without pairs of two different prompts
 */
export async function fitThresholds(
  encoder: Pick<SentenceEncoder, "encode">,
  pairs: readonly AnnotatedIntentPair[],
  source: string,
): Promise<CosineThresholds> {
  const keys = pairs.map(({ prompt }) => promptKey(prompt));
  const first = await encoder.encode(pairs.map((pair) => pair.first));
  const second = await encoder.encode(pairs.map((pair) => pair.second));
  const same = first.map((vector, i) => cosineOfUnits(vector, second[i])).sort((a, b) => a - b);
  const other = first.flatMap((vector, i) =>
    second.flatMap((against, j) => (keys[i] === keys[j] ? [] : [cosineOfUnits(vector, against)])),
  );
  if (other.length === 0)
    throw new ThresholdError(
      `${source}: ${pairs.length} pairs of annotators; pairs of at least two different prompts are needed`,
    );
  const { threshold: decent, youden } = youdenThreshold(same, other);
  return { decent, good: Math.max(decent, quantile(same, 0.25)), source, pairs: pairs.length, youden };
}

/** The threshold with the largest share of `above` from it on less the same share of `below`; halfway between neighbouring values. */
export function youdenThreshold(above: readonly number[], below: readonly number[]): { threshold: number; youden: number } {
  const values = [
    ...above.map((value) => ({ value, gain: -1 / above.length })),
    ...below.map((value) => ({ value, gain: 1 / below.length })),
  ].sort((a, b) => a.value - b.value);
  let best = { threshold: values[0].value, youden: 0 };
  let youden = 0;
  for (const [i, { value, gain }] of values.entries()) {
    youden += gain;
    const next = values.at(i + 1)?.value;
    if (next !== undefined && next > value && youden > best.youden + 1e-12) best = { threshold: (value + next) / 2, youden };
  }
  return best;
}

/** Calls the cosine of the two intents good, decent or bad; the prompt is not read. The encoder stays the caller's. */
export function embeddingJudge(
  encoder: Pick<SentenceEncoder, "encode">,
  thresholds: Pick<CosineThresholds, "decent" | "good"> = SAMPLE_THRESHOLDS,
): Judge {
  const { decent, good } = thresholds;
  const verdict = (cosine: number | null): JudgeVerdict | null =>
    cosine === null || Number.isNaN(cosine) ? null : cosine >= good ? "good" : cosine >= decent ? "decent" : "bad";
  return {
    name: `embedding cosine (good from ${good.toFixed(2)}, decent from ${decent.toFixed(2)})`,
    async judge(items: readonly IntentToJudge[], { signal } = {}) {
      const { cosines } = await intentCosine(
        encoder,
        items.map(({ sampledIntent }) => sampledIntent),
        items.map(({ goldIntent }) => goldIntent),
        signal,
      );
      return cosines.map(verdict);
    },
  };
}
