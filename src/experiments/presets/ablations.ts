/** The three sizes of the ablations; sections are those of the record of arXiv 2606.27210, "section 1.4" has the ablations' data. */
import type { AblationsConfig } from "../ablations-config.js";
import { SFT_PRESETS } from "./sft.js";

/**
 * The paper's training sets. Differs: the paper distils GPT-OSS-120B into Gemma-3-12B with the teacher's intents; here the same student learns
 * the verdict alone, because the prompts of WildGuardMix come without intents and a teacher of 120B is not at everyone's hand. With intents in
 * files of your own for both sets: `--set modes=generation`.
 */
const paper: AblationsConfig = {
  ...SFT_PRESETS.paper,
  model: "gemma-3-12b-it", // section 1.4, "student gemma-3-12b"
  modes: ["classification"],
  trainSet: "aims-train", // section 1.4, "hard_human"
  otherLabels: "wildguardmix-train", // section 1.4, "hard_original: AIMS train prompts with the WildGuardMix label"
  pool: "wildguardmix-train", // section 1.4, "equal-size sample of WildGuardMix train"
  shares: [0.125, 0.25, 0.5], // not in the paper, which has 1,378 rows and all of WildGuardMix
  poolEpochs: 1, // section 1.4, "all of WildGuardMix train less the annotated prompts, one epoch"
  drawSeed: 42, // section 1.4, "seed 42"
  learningRates: [2e-5], // section 1.4, "lr 2e-5"
  batchSize: 8, // section 5, "Batch 8, no accumulation": the ablations are of the distilled student
  r: 32, // section 5, "rank 32, alpha 64, dropout 0"
  loraAlpha: 64,
  weightDecay: 0, // section 5, "weight decay 0"
};

/**
 * The same on a 270M model and our own open set, whose labels a zero-shot model's stand against. Prompts to add come from `safety-train-5k`
 * where it is at hand; name a file of your own otherwise (`--set pool=FILE`), or the arms that need them are left out. All arms together are
 * seven times the training of the annotated rows alone, which took 4 to 5 minutes on two shared cores (results/recorded/sft-small,
 * classification); 1,918 zero-shot verdicts come on top.
 */
const small: AblationsConfig = {
  ...SFT_PRESETS.small,
  modes: ["classification"],
  otherLabels: "local:qwen2.5-coder-0.5b-instruct",
  pool: "safety-train-5k",
  shares: [0.125, 0.25, 0.5],
  poolEpochs: 1,
  drawSeed: 42,
};

/** The same on a tiny model of random weights, with our own set in all roles: seconds, for trying and for tests. Its scores mean nothing. */
const smoke: AblationsConfig = {
  ...SFT_PRESETS.smoke,
  modes: ["classification"],
  validationSet: "sample-test",
  selectionSets: ["sample-test"],
  otherLabels: "sample-train",
  pool: "sample-validation",
  shares: [0.5],
  poolEpochs: 1,
  drawSeed: 42,
  classificationLearningRates: [1e-2],
  seeds: [22],
  epochs: 2,
};

export const ABLATIONS_PRESETS: Readonly<Record<"smoke" | "small" | "paper", AblationsConfig>> = { smoke, small, paper };
