/** Engines that can say how likely given words are, without writing anything. */
import type { Engine, EngineInput, Failure } from "./engine.js";

export interface Preference {
  readonly kind: "preference";
  /** P(first) / (P(first) + P(second)) of the two words, each scored whole. */
  readonly probability: number;
  readonly promptTokens: number;
  /** Wall time of the inputs that were computed together with this one, divided by their number. */
  readonly milliseconds: number;
}

export interface ScoringEngine extends Engine {
  /** Which of two words follows an input: one outcome an input, in order. Raw text is taken as it stands, messages as in `complete`. */
  prefer(
    inputs: readonly EngineInput[],
    words: readonly [string, string],
    options?: { readonly signal?: AbortSignal },
  ): AsyncGenerator<{ readonly index: number; readonly result: Preference | Failure }>;
}

export function canScore(engine: Engine): engine is ScoringEngine {
  return "prefer" in engine;
}
