/** Speed of direct preference optimisation: rank 16 on all seven projections, AdamW included, reference log-probabilities at hand. */
import type { LabelledPrompt } from "../data/prompt.js";
import type { LanguageModel } from "../model/language-model.js";
import { createLora } from "../model/lora.js";
import { SFT_GENERATION, trainingText } from "../prompts/sft.js";
import { createRandom, shuffled } from "../random.js";
import { dpoBatch } from "../train/dpo.js";
import { pairMicrobatches, tokenisePairs, type PreferenceRow } from "../train/pairs.js";
import { referenceLogProbs } from "../train/reference.js";
import { createTrainer, trainStep } from "../train/trainer.js";
import { peakRssMiB, timing, withLeakCount } from "./measure.js";
import { trainingRows } from "./work.js";

export interface DpoBenchOptions {
  /** Pairs an optimiser step. */
  readonly batch: number;
  /** Timed optimiser steps, after `warm` untimed ones. */
  readonly steps: number;
  readonly warm: number;
  /** Tokens a forward and backward pass, at most. */
  readonly microbatchTokens: number;
}

export async function benchDpo(model: LanguageModel, options: DpoBenchOptions): Promise<Record<string, unknown>> {
  const { decoder } = model;
  const { source, rows } = trainingRows();
  const texts = shuffled(contrasts(rows), createRandom(22, "order")).slice(0, options.batch * (options.warm + options.steps));
  const { pairs } = tokenisePairs(model, texts, 512);
  const { microbatchTokens } = options;
  // A new adapter adds nothing yet: the reference is the base model.
  const reference = await timed(() => referenceLogProbs(decoder, null, pairs, { microbatchTokens }));
  const adapter = createLora(decoder, { r: 16, loraAlpha: 32 }, createRandom(22, "lora"));
  const trainer = createTrainer(decoder, adapter);
  try {
    const step = (index: number) => {
      const start = (index * options.batch) % pairs.length;
      const started = performance.now();
      const micros = pairMicrobatches(pairs.slice(start, start + options.batch), microbatchTokens);
      const { batches, loss, figures } = dpoBatch(micros, reference.result, { beta: 0.3 });
      const result = trainStep(trainer, batches, loss, 5e-5);
      return { milliseconds: performance.now() - started, loss: result.loss, ...figures() };
    };
    for (let i = 0; i < options.warm; i++) step(i);
    const { result, leakedTensors } = await withLeakCount(() =>
      Promise.resolve(Array.from({ length: options.steps }, (_, i) => step(options.warm + i))),
    );
    const seconds = result.reduce((sum, s) => sum + s.milliseconds, 0) / 1000;
    const total = (key: "pairs" | "tokens" | "completionTokens" | "tokensIfPadded"): number =>
      result.reduce((sum, s) => sum + s[key], 0);
    return {
      rows: source,
      pairsPerStep: options.batch,
      pairsPerSecond: total("pairs") / seconds,
      tokensPerPair: total("tokens") / total("pairs"),
      completionTokensPerPair: total("completionTokens") / total("pairs"),
      tokensPerPairIfPadded: total("tokensIfPadded") / total("pairs"),
      computedTokensPerSecond: total("tokens") / seconds,
      ...timing(result.map((s) => s.milliseconds)),
      referencePairsPerSecond: (pairs.length * 1000) / reference.milliseconds,
      firstLoss: result[0].loss,
      lastLoss: result.at(-1)!.loss,
      leakedTensors,
      peakRssMiB: peakRssMiB(),
    };
  } finally {
    trainer.free();
    adapter.free();
  }
}

/** Pairs as label errors are: a human intent and label against the flipped label, after the same intent or another row's in turn. */
function contrasts(rows: readonly LabelledPrompt[]): PreferenceRow[] {
  const random = createRandom(22, "contrasts");
  const stated = rows.filter((row) => row.intent !== null);
  return stated.map((row, i) => {
    const other = stated[(i + 1 + random.integer(stated.length - 1)) % stated.length];
    const harm = row.harm === "harmful" ? "safe" : "harmful";
    const { input, completion } = trainingText(SFT_GENERATION, row);
    const wrong = trainingText(SFT_GENERATION, { ...row, intent: i % 2 === 0 ? row.intent : other.intent, harm });
    return { id: `${i}`, prompt: input, chosen: completion, rejected: wrong.completion };
  });
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; milliseconds: number }> {
  const started = performance.now();
  const result = await work();
  return { result, milliseconds: performance.now() - started };
}
