/**
 * How long a verdict takes. Two numbers that should not be mixed: throughput, wall time over prompts when a whole set runs in batches (the
 * paper's latency, its section 7.2: all prompts submitted at once), and the time of a single request on an idle machine.
 */
import type { LabelledPrompt } from "../data/prompt.js";
import type { LanguageModel } from "../model/language-model.js";
import type { ActiveLora } from "../model/lora.js";
import type { OutputFormat } from "../prompts/sft.js";
import { createRandom, shuffled } from "../random.js";
import { binomialProbabilities } from "./binomial.js";
import type { BootstrapOptions } from "./bootstrap.js";
import { classify } from "./classify.js";
import type { Prediction } from "./predictions.js";
import { quantile } from "./quantile.js";

/** Batched: over all prompts of one or several sets. */
export interface Throughput {
  /** Those whose time is known. */
  readonly prompts: number;
  /** Wall time of generating and of scoring the verdict's probability, over these prompts. */
  readonly seconds: number;
  readonly millisecondsPerPrompt: number | null;
  /** Of all prompts, timed or not; end tokens included. */
  readonly generatedTokens: number;
  readonly tokensPerPrompt: number | null;
}

export interface MillisecondInterval {
  readonly low: number;
  readonly high: number;
}

/** One prompt at a time. */
export interface RequestLatency {
  readonly requests: number;
  readonly medianMilliseconds: number;
  /** 95% interval of the median, by order statistics; null for fewer than six requests, which have none. */
  readonly medianInterval: MillisecondInterval | null;
  /** 95% of the requests took no longer; interpolated between requests as numpy does. */
  readonly p95Milliseconds: number;
  readonly tokensPerPrompt: number;
}

export interface LatencyOptions {
  /** Prompts to time, chosen at random; all if there are fewer. Default 30. */
  readonly requests?: number;
  /** Untimed requests before them. Default 3. */
  readonly warmUp?: number;
  /** Of the choice. Default 22. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/** {@link Throughput} from the times that predictions carry; they survive a resumed run. */
export function throughputOf(predictions: readonly Prediction[]): Throughput {
  const milliseconds = predictions.reduce((sum, prediction) => sum + prediction.milliseconds, 0);
  const generatedTokens = predictions.reduce((sum, prediction) => sum + prediction.newTokens, 0);
  const prompts = predictions.filter((prediction) => prediction.milliseconds > 0).length;
  return {
    prompts,
    seconds: milliseconds / 1000,
    millisecondsPerPrompt: prompts === 0 ? null : milliseconds / prompts,
    generatedTokens,
    tokensPerPrompt: predictions.length === 0 ? null : generatedTokens / predictions.length,
  };
}

/**
 * The 95% bootstrap interval of the mean over seeds of {@link throughputOf}'s milliseconds a prompt. The prompts of a batch share their
 * time and are drawn as one; seeds are drawn as for scores (bootstrap.ts). It tells how far batches and seeds differ, not what another
 * load on the machine would do: every batch may have seen the same one.
 * @param seeds what each seed said, over all sets; a batch is the prompts of a list with one and the same time
 * @returns null where a seed has fewer than two batches: nothing tells how far they differ
 */
export function throughputInterval(
  seeds: readonly (readonly (readonly Prediction[])[])[],
  options: BootstrapOptions = {},
): MillisecondInterval | null {
  const { resamples = 2000, level = 0.95, seed = 22 } = options;
  const batches = seeds.map((lists) => lists.flatMap(batchesOf));
  if (batches.length === 0 || batches.some((own) => own.length < 2)) return null;
  const random = createRandom(seed, "throughput");
  const drawOne = (): number => {
    const own = batches[batches.length === 1 ? 0 : random.integer(batches.length)];
    let [milliseconds, prompts] = [0, 0];
    for (let i = 0; i < own.length; i++) {
      const batch = own[random.integer(own.length)];
      milliseconds += batch.milliseconds * batch.prompts;
      prompts += batch.prompts;
    }
    return milliseconds / prompts;
  };
  const drawn = Math.max(1, batches.length - 1);
  const means = Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < drawn; i++) sum += drawOne();
    return sum / drawn;
  }).sort();
  return { low: quantile(means, (1 - level) / 2), high: quantile(means, (1 + level) / 2) };
}

/** Prompts of one list with the same time: no two batches take the same to the nanosecond. Those without a time are left out. */
function batchesOf(predictions: readonly Prediction[]): { readonly milliseconds: number; readonly prompts: number }[] {
  const counts = new Map<number, number>();
  for (const { milliseconds } of predictions.filter(({ milliseconds }) => milliseconds > 0))
    counts.set(milliseconds, (counts.get(milliseconds) ?? 0) + 1);
  return [...counts].map(([milliseconds, prompts]) => ({ milliseconds, prompts }));
}

/**
 * Times single requests: tokenising, generating, scoring the verdict's probability.
 * @returns null without rows.
 */
export async function measureRequests(
  model: LanguageModel,
  format: OutputFormat,
  rows: readonly LabelledPrompt[],
  options: LatencyOptions & { readonly lora?: ActiveLora | null } = {},
): Promise<RequestLatency | null> {
  const { lora = null, signal } = options;
  const request = async (prompt: string): Promise<number> => {
    let tokens = 0;
    for await (const { newTokens } of classify(model, format, [prompt], { lora, ...(signal && { signal }) })) tokens += newTokens;
    return tokens;
  };
  return timeRequests(rows, request, options);
}

/**
 * Times a request on prompts chosen at random, one after the other.
 * @param request returns the number of generated tokens
 * @returns null without rows.
 */
export async function timeRequests(
  rows: readonly LabelledPrompt[],
  request: (prompt: string) => Promise<number>,
  options: LatencyOptions = {},
): Promise<RequestLatency | null> {
  const { requests = 30, warmUp = 3, seed = 22 } = options;
  const chosen = shuffled(rows, createRandom(seed, "latency")).slice(0, requests);
  if (chosen.length === 0) return null;
  for (let i = 0; i < warmUp; i++) await request(chosen[i % chosen.length].prompt);
  const times: number[] = [];
  let tokens = 0;
  for (const { prompt } of chosen) {
    const started = performance.now();
    tokens += await request(prompt);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  return {
    requests: chosen.length,
    medianMilliseconds: quantile(times, 0.5),
    medianInterval: medianInterval(times),
    p95Milliseconds: quantile(times, 0.95),
    tokensPerPrompt: tokens / chosen.length,
  };
}

/** The shortest pair of order statistics, equally far from both ends, between which the median lies with a chance of 95% or more. */
function medianInterval(sorted: readonly number[]): MillisecondInterval | null {
  const n = sorted.length;
  const below = binomialProbabilities(n);
  // The median lies below the k-th smallest with the chance that fewer than k of n values are below it.
  let chance = below[0];
  let k = 0;
  while (chance <= 0.025) chance += below[++k];
  return k === 0 ? null : { low: sorted[k - 1], high: sorted[n - k] };
}
