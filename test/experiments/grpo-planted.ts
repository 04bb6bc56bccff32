/** The planted SFT model as GRPO starts from it. */
import type { GrpoConfig } from "../../src/experiments/grpo-config.js";
import { GRPO_PRESETS } from "../../src/experiments/presets/grpo.js";
import { HARM, plantSft, type Intent } from "./planted.js";

/** What the annotators say of each prompt: the same, so that a tiny model can find it out in few steps. */
export const GOLD: Readonly<Record<string, Intent>> = {
  apple: "to steal",
  brick: "to steal",
  cloud: "to steal",
  drum: "to steal",
};
export const harmOf = (prompt: string): string => HARM[GOLD[prompt]];

export interface Planted {
  readonly folder: string;
  /** Starts from the SFT experiment in it; its judge is the embedding. */
  readonly config: GrpoConfig;
}

export async function plant(): Promise<Planted> {
  const { folder, gold } = await plantSft(GOLD);
  const config: GrpoConfig = {
    ...GRPO_PRESETS.smoke,
    ...{ sft: "../sft", seeds: [22], rewards: ["label_intent"], limit: 0, trainSet: gold, selectionSets: [gold], testSets: [] },
    ...{ steps: 10, prompts: 4, samples: 8, temperature: 0.6, maxNewTokens: 32, updates: 2, learningRate: 3e-3 },
    ...{ validateEvery: 4, checkpointSeconds: 1e4 },
  };
  return { folder, config };
}
