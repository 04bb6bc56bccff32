/** From mined samples to the pair sets that are trained on (paper section 4.1 and the table in it). Everything here is a pure function. */
import type { Harm } from "../data/prompt.js";
import { SFT_GENERATION, trainingText } from "../prompts/sft.js";
import { createRandom, shuffled, type Random } from "../random.js";
import type { MinedSample } from "./mined.js";
import type { PairReason, PreferencePair } from "./pairs.js";

/** Which reasons a set holds, by the names in the paper's scripts. */
export const PAIR_SETS = {
  /** LE-DPO */
  wrong_only: ["label_error"],
  /** IF-DPO */
  judge_bad_only: ["judge_bad"],
  judge_bad_decent_only: ["judge_bad", "judge_decent"],
  wrong_plus_judge_bad: ["label_error", "judge_bad"],
  wrong_plus_judge_bad_decent: ["label_error", "judge_bad", "judge_decent"],
} as const satisfies Readonly<Record<string, readonly PairReason[]>>;
export type PairSetName = keyof typeof PAIR_SETS;

/** A pair set cannot be made of these pairs. */
export class PairSetError extends Error {
  override readonly name = "PairSetError";
}

/**
 * A pair for each sample that can be rejected, one a sample as in the paper's latest version, whatever its reason: chosen is the gold intent
 * with the gold harm, rejected the sampled intent with the label it was given alone. Weight 1.
 */
export function pairsOf(samples: readonly MinedSample[]): PreferencePair[] {
  return samples.flatMap((sample): PreferencePair[] => {
    const { outcome, sampledIntent, relabelledHarm, rowId, prompt, goldIntent, goldHarm } = sample;
    if (outcome !== "label_error" && outcome !== "judge_bad" && outcome !== "judge_decent") return [];
    if (sampledIntent === null || relabelledHarm === null) return [];
    const completion = (intent: string, harm: Harm): string =>
      trainingText(SFT_GENERATION, { id: rowId, prompt, intent, harm }).completion;
    return [
      {
        ...{ id: sample.id, rowId, prompt, goldIntent, goldHarm },
        ...(sample.theme !== undefined && { theme: sample.theme }),
        ...(sample.level !== undefined && { level: sample.level }),
        ...{ sampledIntent, relabelledHarm, judgeVerdict: sample.judgeVerdict, reason: outcome },
        chosen: completion(goldIntent, goldHarm),
        rejected: completion(sampledIntent, relabelledHarm),
        weight: 1,
      },
    ];
  });
}

/** The pairs of a set, in order. */
export function pairSet(pairs: readonly PreferencePair[], name: PairSetName): PreferencePair[] {
  const reasons: readonly PairReason[] = PAIR_SETS[name];
  return pairs.filter(({ reason }) => reasons.includes(reason));
}

/**
 * The ratio condition: all label errors and a share of the pairs that the judge calls bad, drawn by `seed` (default 22) and rounded down.
 * A larger share holds all pairs of a smaller one.
 * @param share 0 to 1; the paper tries 0, 0.25, 0.5, 0.75 and 1
 * @throws PairSetError for another share
 */
export function ratioPairs(pairs: readonly PreferencePair[], share: number, seed = 22): PreferencePair[] {
  if (!(share >= 0 && share <= 1)) throw new PairSetError(`a share of ${share} of the judge's pairs; expected 0 to 1`);
  const random = createRandom(seed, "ratio");
  const judge = shuffled(pairSet(pairs, "judge_bad_only"), random);
  return shuffled([...pairSet(pairs, "wrong_only"), ...judge.slice(0, Math.floor(share * judge.length))], random);
}

/** One stage of training after another, each from where the one before it ended; the reference stays the model before the first. */
export interface CurriculumStage {
  readonly name: PairSetName;
  readonly pairs: readonly PreferencePair[];
}

/** The curriculum condition: label errors first, then what the judge calls bad; both balanced by `seed` (default 22). */
export function curriculum(pairs: readonly PreferencePair[], seed = 22): CurriculumStage[] {
  return (["wrong_only", "judge_bad_only"] as const).map((name) => ({ name, pairs: balanced(pairSet(pairs, name), seed) }));
}

/**
 * As many pairs of harmful as of safe gold harm: the larger class is cut down at random, and the whole is shuffled, both by `seed` (default 22).
 * @throws PairSetError if there are pairs, and all of one class
 */
export function balanced(pairs: readonly PreferencePair[], seed = 22): PreferencePair[] {
  const random = createRandom(seed, "balance");
  const { harmful, safe } = byClass(pairs);
  const size = Math.min(harmful.length, safe.length);
  return shuffled([...drawn(harmful, size, random), ...drawn(safe, size, random)], random);
}

/**
 * The alternative to cutting down: pairs of harmful gold harm weigh safe/harmful (about 1.4 in the paper), the others 1. Training divides by the
 * mean weight of the batch.
 * @throws PairSetError if there are pairs, and all of one class
 */
export function classWeighted(pairs: readonly PreferencePair[]): PreferencePair[] {
  const { harmful, safe } = byClass(pairs);
  return pairs.map((pair) => ({ ...pair, weight: pair.goldHarm === "harmful" ? safe.length / harmful.length : 1 }));
}

/** At most `limit` pairs a row, drawn by `seed` (default 22), in the order given. @throws PairSetError unless the limit is a positive whole number */
export function cappedPerRow(pairs: readonly PreferencePair[], limit: number, seed = 22): PreferencePair[] {
  if (!Number.isInteger(limit) || limit < 1)
    throw new PairSetError(`at most ${limit} pairs a row; expected a positive whole number`);
  const byRow = new Map<string, PreferencePair[]>();
  for (const pair of pairs) {
    const row = byRow.get(pair.rowId);
    if (row === undefined) byRow.set(pair.rowId, [pair]);
    else row.push(pair);
  }
  const kept = new Set([...byRow].flatMap(([rowId, row]) => drawn(row, limit, createRandom(seed, "cap", rowId))));
  return pairs.filter((pair) => kept.has(pair));
}

function byClass(pairs: readonly PreferencePair[]): Readonly<Record<Harm, PreferencePair[]>> {
  const harmful = pairs.filter(({ goldHarm }) => goldHarm === "harmful");
  const safe = pairs.filter(({ goldHarm }) => goldHarm === "safe");
  if (pairs.length > 0 && Math.min(harmful.length, safe.length) === 0)
    throw new PairSetError(
      `all ${pairs.length} pairs are of ${pairs[0].goldHarm} gold harm: the classes cannot be balanced; mine more rows`,
    );
  return { harmful, safe };
}

/** So many, or all if there are no more; in the order given where none is left out. */
function drawn(pairs: readonly PreferencePair[], size: number, random: Random): PreferencePair[] {
  return pairs.length <= size ? [...pairs] : shuffled(pairs, random).slice(0, size);
}
