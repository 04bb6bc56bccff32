/**
 * Direct preference optimisation on pairs of any kind (paper section 4.2): the policy starts from the adapter that is also the
 * reference, and learns to prefer one answer over the other without going far from it.
 *
 * Weighted pairs: the loss is divided by the batch's mean weight (paper section 4.1), the batch being the whole optimiser batch.
 */
import type { PackedBatch } from "../model/batch.js";
import { checkDpoLoss, dpoLoss, type AnswerLogProbs, type DpoLossOptions } from "./dpo-loss.js";
import { TrainingDataError } from "./examples.js";
import { trainLoop, type LoopOptions, type StepReport } from "./loop.js";
import { nllWeights, pairLogProbs, pairMicrobatches, type PairBatch, type PreferenceExample } from "./pairs.js";
import type { ReferenceLogProbs } from "./reference.js";
import type { Loss, LoraTrainer } from "./trainer.js";

export interface DpoOptions extends LoopOptions<DpoFigures> {
  readonly loss: DpoLossOptions;
  /** Tokens a forward and backward pass. Default 1,024: measured as fast as 2,048 (many short answers to score), in less memory. */
  readonly microbatchTokens?: number;
  /** After each epoch, with the adapter as it stands: the number to minimise (say, 1 - F1). Default: none, all epochs count alike. */
  readonly validate?: () => number | Promise<number>;
}

/** Means over the step's pairs, before the step. A reward is beta (log p - log p of the reference), as in TRL. */
export interface DpoFigures {
  readonly rewardChosen: number;
  readonly rewardRejected: number;
  /** The one minus the other. */
  readonly rewardMargin: number;
  /** Share of the pairs whose chosen answer has the higher reward. */
  readonly rewardAccuracy: number;
  /** Summed over the answer's tokens. */
  readonly chosenLogProb: number;
  readonly rejectedLogProb: number;
  /** chosenLogProb against the reference's. */
  readonly chosenChange: number;
  /**
   * A warning sign: the chosen answers are less likely than under the reference. DPO looks at the margin alone and may widen it by
   * pushing both answers down, the rejected one further.
   */
  readonly chosenFell: boolean;
  readonly pairs: number;
  /** Computed: prompts, and the answers' common starts, once. */
  readonly tokens: number;
  /** What both answers with a prompt each, padded to the longest, would have computed, as TRL does by default. */
  readonly tokensIfPadded: number;
  readonly completionTokens: number;
}

export type DpoStep = StepReport & DpoFigures;

/** A mean fall by less than this (nats an answer) may be bfloat16's rounding. */
const ROUNDING = 0.1;

/**
 * Trains; resolves with what `validate` gave for each epoch.
 * @param reference log-probabilities of these pairs, from before training
 * @throws DpoOptionsError; TrainingDataError if the reference does not know a pair
 */
export async function fineTuneDpo(
  trainer: LoraTrainer,
  pairs: readonly PreferenceExample[],
  reference: ReferenceLogProbs,
  options: DpoOptions,
): Promise<number[]> {
  const { loss, microbatchTokens = 1024, validate = null } = options;
  checkDpoLoss(loss);
  for (const { id } of pairs) referenceOf(reference, id);
  const prepare = (rows: readonly PreferenceExample[]) => dpoBatch(pairMicrobatches(rows, microbatchTokens), reference, loss);
  return trainLoop(trainer, { rows: pairs, prepare, validate }, options);
}

/** An optimiser batch of pairs, ready for `trainStep`; `figures` are known after it. */
export function dpoBatch(
  micros: readonly PairBatch[],
  reference: ReferenceLogProbs,
  options: DpoLossOptions,
): { batches: PackedBatch[]; loss: Loss; figures: () => DpoFigures } {
  const pairs = micros.flatMap((micro) => micro.pairs);
  const totalWeight = pairs.reduce((sum, { weight }) => sum + weight, 0);
  const policy = new Map<string, AnswerLogProbs>();
  const loss: Loss = (_, nll, index) => {
    const micro = micros[index];
    const losses = pairLogProbs(micro, nll).map((logProbs, i) => {
      const { id, chosen, rejected, weight } = micro.pairs[i];
      policy.set(id, logProbs);
      const lengths = { chosen: chosen.length, rejected: rejected.length };
      const { value, slopes } = dpoLoss(options, { policy: logProbs, reference: referenceOf(reference, id), lengths });
      const share = weight / totalWeight;
      return { value: share * value, slopes: { chosen: share * slopes.chosen, rejected: share * slopes.rejected } };
    });
    return {
      value: losses.reduce((sum, { value }) => sum + value, 0),
      weights: nllWeights(
        micro,
        losses.map(({ slopes }) => slopes),
      ),
    };
  };
  return {
    batches: micros.map(({ batch }) => batch),
    loss,
    figures: () => ({ ...preferences(pairs, policy, reference, options.beta), ...countTokens(micros, pairs) }),
  };
}

function referenceOf({ logProbs }: ReferenceLogProbs, id: string): AnswerLogProbs {
  if (!Object.hasOwn(logProbs, id)) throw new TrainingDataError(`the reference has no log-probabilities of pair "${id}"`);
  return logProbs[id];
}

function preferences(
  pairs: readonly PreferenceExample[],
  policy: ReadonlyMap<string, AnswerLogProbs>,
  reference: ReferenceLogProbs,
  beta: number,
) {
  const scored = pairs.map(({ id }) => ({ now: policy.get(id)!, then: referenceOf(reference, id) }));
  const mean = (of: (pair: (typeof scored)[number]) => number): number =>
    scored.reduce((sum, pair) => sum + of(pair), 0) / scored.length;
  const chosenChange = mean(({ now, then }) => now.chosen - then.chosen);
  const rejectedChange = mean(({ now, then }) => now.rejected - then.rejected);
  return {
    rewardChosen: beta * chosenChange,
    rewardRejected: beta * rejectedChange,
    rewardMargin: beta * (chosenChange - rejectedChange),
    rewardAccuracy: mean(({ now, then }) => Number(now.chosen - then.chosen > now.rejected - then.rejected)),
    chosenLogProb: mean(({ now }) => now.chosen),
    rejectedLogProb: mean(({ now }) => now.rejected),
    chosenChange,
    chosenFell: chosenChange < -ROUNDING,
  };
}

function countTokens(micros: readonly PairBatch[], pairs: readonly PreferenceExample[]) {
  const sum = (of: (pair: PreferenceExample) => number): number => pairs.reduce((total, pair) => total + of(pair), 0);
  const longest = Math.max(...pairs.map((p) => p.prompt.length + Math.max(p.chosen.length, p.rejected.length)));
  return {
    pairs: pairs.length,
    tokens: micros.reduce((total, { batch }) => total + batch.tokenCount, 0),
    tokensIfPadded: 2 * pairs.length * longest,
    completionTokens: sum(({ chosen, rejected }) => chosen.length + rejected.length),
  };
}
