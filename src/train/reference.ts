/**
 * The reference model's log-probabilities of a set of pairs. The reference is the base model with the adapter that training starts
 * from, and stands still: it is asked once, and its answers are numbers that can be kept as JSON.
 */
import { createHash } from "node:crypto";
import type { Decoder } from "../model/decoder.js";
import { forward } from "../model/forward.js";
import { activateLora, type LoraAdapter } from "../model/lora.js";
import type { AnswerLogProbs } from "./dpo-loss.js";
import { bytesOf, pairLogProbs, pairMicrobatches, type PreferenceExample } from "./pairs.js";

export interface ReferenceLogProbs {
  /** {@link referenceKey} of what they were computed from. */
  readonly key: string;
  /** By pair id. */
  readonly logProbs: Readonly<Record<string, AnswerLogProbs>>;
}

export interface ReferenceOptions {
  /** Tokens computed at once. Default 2,048. */
  readonly microbatchTokens?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * sha256 over what the numbers depend on beside the base model's weights: precision, adapter, and every pair's id and tokens. Stored
 * numbers of another key are of no use.
 * @param adapter null: the base model alone
 */
export function referenceKey(decoder: Decoder, adapter: LoraAdapter | null, pairs: readonly PreferenceExample[]): string {
  const hash = createHash("sha256").update(JSON.stringify([decoder.ops.precision, adapter?.factors ?? null]));
  if (adapter !== null) hash.update(bytesOf(decoder.ops.device.download(adapter.parameters)));
  for (const { id, prompt, chosen, rejected } of pairs) {
    hash.update(JSON.stringify([id, prompt.length, chosen.length, rejected.length]));
    for (const ids of [prompt, chosen, rejected]) hash.update(bytesOf(ids));
  }
  return hash.digest("hex");
}

/** Computes them. @param adapter null: the base model alone is the reference */
export async function referenceLogProbs(
  decoder: Decoder,
  adapter: LoraAdapter | null,
  pairs: readonly PreferenceExample[],
  options: ReferenceOptions = {},
): Promise<ReferenceLogProbs> {
  const found: [string, AnswerLogProbs][] = [];
  const lora = adapter && activateLora(decoder, adapter, false);
  try {
    for (const micro of pairMicrobatches(pairs, options.microbatchTokens ?? 2048)) {
      options.signal?.throwIfAborted();
      const pass = forward(decoder, micro.batch, lora);
      pass.free();
      pairLogProbs(micro, pass.nll).forEach((values, i) => found.push([micro.pairs[i].id, values]));
      options.onProgress?.(found.length, pairs.length);
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    lora?.free();
  }
  return { key: referenceKey(decoder, adapter, pairs), logProbs: Object.fromEntries(found) };
}
