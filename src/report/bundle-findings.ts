/** What came out of each experiment, in the sentences that its notebook prints: for somebody who reads the report alone. */
import { measuredEffects, intentText } from "./distillation-effects.js";
import type { DistillationRecord } from "./distillation-runs.js";
import { againstSft, beatsText } from "./dpo-report.js";
import type { DpoRecord } from "./dpo-runs.js";
import { comparedText } from "./differences.js";
import type { GrpoRecord } from "./grpo-runs.js";
import { verdictText } from "./grpo-verdict.js";
import type { ExperimentRecord } from "./runs.js";
import { compareModes } from "./sft-report.js";

/** The experiments that there is a run of. */
export interface Experiments {
  readonly sft: ExperimentRecord | null;
  readonly dpo: DpoRecord | null;
  readonly distillation: DistillationRecord | null;
  readonly grpo: GrpoRecord | null;
}

export interface Finding {
  readonly question: string;
  /** Plain text, a sentence or more each. */
  readonly lines: readonly string[];
}

/** In the paper's order; an experiment without a run, or with nothing to compare, has none. */
export function findings({ sft, dpo, distillation, grpo }: Experiments): Finding[] {
  const compared = sft === null ? null : compareModes(sft);
  const answers: readonly (readonly [question: string, text: string | null])[] = [
    ["Does it help to state the intent?", compared && comparedText(compared)],
    ["Does preference training on the model’s own intent errors help?", dpo && beatsText(dpo, againstSft(dpo))],
    [
      "Does a teacher’s or an annotator’s intent help a distilled student?",
      distillation && intentText(distillation, measuredEffects(distillation)),
    ],
    ["Does reinforcement learning with a reward for faithful intents help?", grpo && verdictText(grpo)],
  ];
  return answers.flatMap(([question, text]) => {
    const lines = text?.split("\n").filter((line) => line !== "") ?? [];
    return lines.length === 0 ? [] : [{ question, lines }];
  });
}
