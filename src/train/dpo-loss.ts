/**
 * Losses on preference pairs as TRL defines them (DPOTrainer, checked against 1.16), on plain numbers: DPO's sigmoid loss (Rafailov et
 * al. 2023), the same with label smoothing (Mitchell 2023: "conservative DPO"), and IPO (Azar et al. 2023) on means over tokens.
 */

export interface DpoLossOptions {
  /** Default "sigmoid". */
  readonly kind?: "sigmoid" | "ipo";
  /** How strongly the policy is held to the reference; above 0. IPO's tau. */
  readonly beta: number;
  /** Share of the pairs whose preference is taken to be the wrong way round, from 0 (default) to below 0.5; sigmoid only. */
  readonly labelSmoothing?: number;
}

/** Log-probability of both answers, each summed over its tokens. */
export interface AnswerLogProbs {
  readonly chosen: number;
  readonly rejected: number;
}

export interface PairScores {
  readonly policy: AnswerLogProbs;
  readonly reference: AnswerLogProbs;
  /** Tokens of each answer, the end-of-text id included. */
  readonly lengths: { readonly chosen: number; readonly rejected: number };
}

export interface PairLoss {
  readonly value: number;
  /** d(value)/d(log-probability) of each answer under the policy. */
  readonly slopes: { readonly chosen: number; readonly rejected: number };
}

/** A loss that is not defined with these options. */
export class DpoOptionsError extends Error {
  override readonly name = "DpoOptionsError";
}

/** @throws DpoOptionsError naming the option */
export function checkDpoLoss({ kind = "sigmoid", beta, labelSmoothing = 0 }: DpoLossOptions): void {
  if (!(beta > 0 && beta < Infinity)) throw new DpoOptionsError(`beta is ${beta}; it must be a number above 0`);
  if (!(labelSmoothing >= 0 && labelSmoothing < 0.5))
    throw new DpoOptionsError(`labelSmoothing is ${labelSmoothing}; it must be from 0 to below 0.5`);
  if (kind === "ipo" && labelSmoothing > 0) throw new DpoOptionsError("labelSmoothing is not defined for the IPO loss");
}

/** Loss of one pair. */
export function dpoLoss(options: DpoLossOptions, { policy, reference, lengths }: PairScores): PairLoss {
  const { kind = "sigmoid", beta, labelSmoothing = 0 } = options;
  const [chosen, rejected] = [policy.chosen - reference.chosen, policy.rejected - reference.rejected];
  if (kind === "ipo") {
    const away = chosen / lengths.chosen - rejected / lengths.rejected - 1 / (2 * beta);
    return { value: away ** 2, slopes: { chosen: (2 * away) / lengths.chosen, rejected: (-2 * away) / lengths.rejected } };
  }
  const margin = beta * (chosen - rejected);
  const value = -(1 - labelSmoothing) * logSigmoid(margin) - labelSmoothing * logSigmoid(-margin);
  const slope = beta * (labelSmoothing - Math.exp(logSigmoid(-margin)));
  return { value, slopes: { chosen: slope, rejected: -slope } };
}

/** ln(1 / (1 + e^-x)), without overflow. */
function logSigmoid(x: number): number {
  return Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));
}
