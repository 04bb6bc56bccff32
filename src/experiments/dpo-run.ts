/** One training run of the DPO experiment: one pair set, one seed, one folder. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { classify } from "../evaluate/classify.js";
import { score, type ScoredRow } from "../evaluate/metrics.js";
import type { PairSetName } from "../intent/pair-sets.js";
import type { PreferencePair } from "../intent/pairs.js";
import { activateLora, loraFromPeft, type LoraAdapter } from "../model/lora.js";
import type { LanguageModel } from "../model/language-model.js";
import { readPeft } from "../model/peft.js";
import { SFT_GENERATION } from "../prompts/sft.js";
import { fineTuneDpo, type DpoFigures } from "../train/dpo.js";
import { TrainingDataError } from "../train/examples.js";
import { tokenisePairs, type PreferenceExample } from "../train/pairs.js";
import { referenceKey, referenceLogProbs, type ReferenceLogProbs } from "../train/reference.js";
import type { DpoConfig } from "./dpo-config.js";
import { say, showWork } from "./progress.js";
import { readJson, writeJson } from "./run-folder.js";
import type { NamedSet } from "./sets.js";
import { trainAdapter } from "./training.js";

export interface DpoRun {
  readonly pairSet: PairSetName;
  readonly seed: number;
}

/** Run folders, the same one for most: what training starts from, and what it is held to. */
export interface DpoStart {
  readonly policy: string;
  readonly reference: string;
}

/** Trains the policy's adapter on the pairs into `folder`, from its newest whole checkpoint if there is one. */
export async function trainDpoRun(
  model: LanguageModel,
  config: DpoConfig,
  { seed }: DpoRun,
  pairs: readonly PreferencePair[],
  start: DpoStart,
  selection: readonly NamedSet[],
  folder: string,
  options: { readonly label: string; readonly signal?: AbortSignal },
): Promise<void> {
  const { label, signal } = options;
  const rows = pairs.map(({ prompt, ...pair }) => ({ ...pair, prompt: SFT_GENERATION.input(prompt) }));
  const tokenised = tokenisePairs(model, rows, config.maxLength);
  const { truncated, dropped, pairs: examples } = tokenised;
  if (examples.length === 0) throw new TrainingDataError(`none of the ${pairs.length} pairs fits ${config.maxLength} tokens`);
  if (truncated + dropped > 0) say(`${label}: ${truncated} of ${pairs.length} pairs are cut, ${dropped} more are left out`);

  const adapterOf = (run: string): LoraAdapter => loraFromPeft(model.decoder, readPeft(join(run, "adapter")));
  const held = adapterOf(start.reference);
  let reference: ReferenceLogProbs;
  try {
    reference = await referenceOnce(model, held, examples, join(folder, "reference.json"), label, signal);
  } finally {
    held.free();
  }
  const adapter = adapterOf(start.policy);
  const { loss: kind, beta, labelSmoothing, epochs, batchSize, learningRate, beta2, weightDecay, warmupRatio } = config;
  await trainAdapter<DpoFigures>(
    model,
    adapter,
    folder,
    {
      ...{ ...options, rows: examples.length, epochs, batchSize, learningRate, seed, beta2, weightDecay, warmupRatio },
      ...{ patience: 0, keep: "best", checkpointSeconds: config.checkpointSeconds },
      measure: (value) => `validation F1 ${(1 - value).toFixed(3)}`,
    },
    (trainer, loop) =>
      fineTuneDpo(trainer, examples, reference, {
        ...loop,
        loss: { kind, beta, labelSmoothing },
        validate: async () => 1 - (await selectionF1(model, adapter, selection, signal)),
      }),
    ({ rewardMargin, rewardAccuracy, chosenFell }) =>
      `, margin ${rewardMargin.toFixed(2)}, accuracy ${rewardAccuracy.toFixed(2)}${chosenFell ? ", chosen answers fall" : ""}`,
  );
}

const schema = z.object({
  key: z.string(),
  logProbs: z.record(z.string(), z.object({ chosen: z.number(), rejected: z.number() })),
});

/** The reference's log-probabilities: computed once and kept; computed anew if they are of other pairs or another adapter. */
async function referenceOnce(
  model: LanguageModel,
  adapter: LoraAdapter,
  examples: readonly PreferenceExample[],
  file: string,
  label: string,
  signal?: AbortSignal,
): Promise<ReferenceLogProbs> {
  if (existsSync(file)) {
    const stored = schema.safeParse(readJson(file));
    if (stored.success && stored.data.key === referenceKey(model.decoder, adapter, examples)) return stored.data;
  }
  const progress = showWork(`${label}: reference`, examples.length);
  try {
    const computed = await referenceLogProbs(model.decoder, adapter, examples, {
      onProgress: (done) => progress.update(done),
      ...(signal && { signal }),
    });
    writeJson(file, computed);
    return computed;
  } finally {
    progress.stop();
  }
}

/** Mean F1 over the selection sets with the adapter as it stands; a set on which F1 is not defined counts 0. */
async function selectionF1(
  model: LanguageModel,
  adapter: LoraAdapter,
  sets: readonly NamedSet[],
  signal?: AbortSignal,
): Promise<number> {
  const lora = activateLora(model.decoder, adapter, false);
  try {
    let sum = 0;
    for (const { rows } of sets) {
      const scored: ScoredRow[] = [];
      const prompts = rows.map(({ prompt }) => prompt);
      for await (const { index, verdict, harmfulProbability } of classify(model, SFT_GENERATION, prompts, {
        lora,
        ...(signal && { signal }),
      }))
        scored.push({ gold: rows[index].harm, harm: verdict.harm, harmfulProbability });
      sum += score(scored).byRule.wrong.f1 ?? 0;
    }
    return sum / sets.length;
  } finally {
    lora.free();
  }
}
