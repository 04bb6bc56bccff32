/** Rollouts: what the policy writes now, several times a prompt, for GRPO to learn from. */
import { generateEach, type Completion } from "../model/generate.js";
import { commonStart, type SharedPrefix } from "../model/batch.js";
import type { LanguageModel } from "../model/language-model.js";
import { activateLora, type LoraAdapter } from "../model/lora.js";
import { createRandom } from "../random.js";

export interface Rollout {
  /** What was written, with the end-of-text id if it was written. */
  readonly ids: Int32Array;
  /** Without end-of-text ids. */
  readonly text: string;
  /** "length": cut at `maxNewTokens`. */
  readonly finishReason: Completion["finishReason"];
  /** Of each id when it was drawn, at the rollouts' temperature; null where whoever sampled it does not say. */
  readonly logProbs: Float32Array | null;
}

/** The rollouts of one prompt. */
export interface RolloutGroup {
  /** Place of the prompt in the list given. */
  readonly promptIndex: number;
  /** By sample number. */
  readonly rollouts: readonly Rollout[];
}

export interface RolloutOptions {
  /** Rollouts a prompt: n. */
  readonly samples: number;
  /** Default 1.2 (paper section 6). */
  readonly temperature?: number;
  readonly maxNewTokens: number;
  readonly seed: number;
  /** Number of the optimiser batch that the rollouts are for: with the seed, the prompt's tokens and the sample's number it decides what is drawn. */
  readonly step: number;
  /** Rows decoded together. Default: that of `generate`. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

/**
 * Samples from the model with the adapter as it stands; groups come as soon as all their samples are there, in no fixed order. The same
 * seed, step, prompts and adapter give the same rollouts, in any order of the prompts. A prompt beside others may get another one than
 * alone: what all prompts begin with is computed once, as a sequence of its own, and logits may then be rounded otherwise.
 * @param adapter null: the model alone
 * @throws GenerationError before any work if a prompt is empty, or too long with `maxNewTokens`
 */
export async function* rollOut(
  model: LanguageModel,
  adapter: LoraAdapter | null,
  prompts: readonly Int32Array[],
  options: RolloutOptions,
): AsyncGenerator<RolloutGroup> {
  const { samples, temperature = 1.2, maxNewTokens, seed, step, batchSize, signal } = options;
  const { decoder, tokenizer } = model;
  const eos = new Set(decoder.config.eosIds);
  const groups = prompts.map((): Rollout[] => []);
  const missing = prompts.map(() => samples);
  const lora = adapter && activateLora(decoder, adapter, false);
  try {
    const completions = generateEach(decoder, prompts, {
      lora,
      ...{ samples, temperature, maxNewTokens },
      shared: sharedStart(prompts),
      seed: createRandom(seed, "rollouts", step).integer(2 ** 32),
      ...(batchSize !== undefined && { batchSize }),
      ...(signal && { signal }),
    });
    for await (const { promptIndex, sampleIndex, ids, logProbs, finishReason } of completions) {
      const text = tokenizer.decode(ids.filter((id) => !eos.has(id)));
      groups[promptIndex][sampleIndex] = { ids, text, finishReason, logProbs };
      if (--missing[promptIndex] === 0) yield { promptIndex, rollouts: groups[promptIndex] };
    }
  } finally {
    lora?.free();
  }
}

/** A shorter start costs more to share than to compute again. */
const WORTH_SHARING = 64;

/** What all prompts begin with; nothing if that is little. */
function sharedStart(prompts: readonly Int32Array[]): SharedPrefix {
  const start = commonStart(prompts);
  return start.length < WORTH_SHARING ? new Int32Array(0) : start;
}
