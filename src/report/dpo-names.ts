/** How the preference experiment's conditions, pairs and outcomes are called and coloured in tables and figures. */
import type { Condition, ErrorTypes } from "../experiments/dpo-summary.js";
import type { SampleOutcome } from "../intent/mined.js";
import type { PairReason } from "../intent/pairs.js";
import { PALETTE } from "./figure.js";

export const CONDITION_NAMES: Readonly<Record<Condition, string>> = {
  sft: "SFT",
  wrong_only: "LE-DPO",
  judge_bad_only: "IF-DPO",
  judge_bad_decent_only: "IF-DPO with decent",
  wrong_plus_judge_bad: "LE + IF",
  wrong_plus_judge_bad_decent: "LE + IF with decent",
  ratio_quarter: "LE + a quarter of IF",
  ratio_half: "LE + half of IF",
  ratio_three_quarters: "LE + three quarters of IF",
  curriculum: "LE, then IF",
};

/** Coloured as the conditions that are trained on them: LE-DPO takes the palette's first colour, IF-DPO its second. */
export const REASONS: readonly { readonly reason: PairReason; readonly name: string; readonly color: string }[] = [
  { reason: "label_error", name: "label error", color: PALETTE[0] },
  { reason: "judge_bad", name: "judge: bad", color: PALETTE[1] },
  { reason: "judge_decent", name: "judge: decent", color: PALETTE[5] },
];

export const OUTCOME_NAMES: Readonly<Record<SampleOutcome, string>> = {
  label_error: "label error",
  judge_bad: "right label, judge: bad",
  judge_decent: "right label, judge: decent",
  judge_good: "right label, judge: good",
  judge_none: "right label, no verdict",
  label_right: "right label, not judged",
  equals_gold: "the gold intent's words",
  unparsed: "no intent in the answer",
  unwritable: "intent not writable",
  relabel_unparsed: "label not readable",
  failed: "no answer",
};

export const ERROR_TYPES: readonly { readonly kind: keyof ErrorTypes; readonly name: string; readonly color: string }[] = [
  { kind: "rightFaithful", name: "right, faithful", color: PALETTE[0] },
  { kind: "rightUnfaithful", name: "right, unfaithful", color: PALETTE[4] },
  { kind: "wrongFaithful", name: "wrong, faithful", color: PALETTE[5] },
  { kind: "wrongUnfaithful", name: "wrong, unfaithful", color: PALETTE[1] },
  { kind: "unparsed", name: "unparsed", color: "#888888" },
  { kind: "unjudged", name: "not judged", color: PALETTE[6] },
];
