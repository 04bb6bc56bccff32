/** One training run of the GRPO experiment: one reward, one seed, one folder. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { LabelledPrompt } from "../data/prompt.js";
import { inputIds } from "../evaluate/classify.js";
import { queuedJudge } from "../intent/judge-queue.js";
import { createLora, loraFromPeft, type LoraAdapter } from "../model/lora.js";
import type { LanguageModel } from "../model/language-model.js";
import { readPeft } from "../model/peft.js";
import type { OutputFormat } from "../prompts/sft.js";
import { createRandom } from "../random.js";
import { fineTuneGrpo, type GrpoFigures, type GrpoOptions } from "../train/grpo.js";
import type { Instruments } from "./dpo-instruments.js";
import type { GrpoConfig, RewardKind } from "./grpo-config.js";
import { ROLLOUTS, rolloutFile, WATCHED } from "./grpo-log.js";
import { describeRewards, loggedRollouts, rewardRollouts, writeRollouts, type RewardFigures } from "./grpo-rewards.js";
import type { Sampler } from "./grpo-sampler.js";
import { validateAdapter, watchedRows } from "./grpo-validation.js";
import { stepLine, tellRollouts } from "./grpo-view.js";
import type { NamedSet } from "./sets.js";
import { trainAdapter } from "./training.js";

export interface GrpoRun {
  readonly reward: RewardKind;
  readonly seed: number;
}

/** What a run works with. */
export interface GrpoMeans {
  readonly model: LanguageModel;
  readonly format: OutputFormat;
  readonly sampler: Sampler;
  readonly instruments: Instruments;
}

/** A training row as the model reads it. */
interface PromptRow {
  readonly row: LabelledPrompt;
  readonly prompt: Int32Array;
}

/**
 * Trains an adapter into `folder`, from its newest whole checkpoint if there is one.
 * @param start run folder of the adapter that training starts from and is held to; null: a fresh one, held to the model alone
 * @throws OutOfPatienceError if the judge or the server of rollouts stays away; the signal's reason
 */
export async function trainGrpoRun(
  { model, format, sampler, instruments }: GrpoMeans,
  config: GrpoConfig,
  { reward, seed }: GrpoRun,
  rows: readonly LabelledPrompt[],
  start: string | null,
  selection: readonly NamedSet[],
  folder: string,
  options: { readonly label: string; readonly signal?: AbortSignal },
): Promise<void> {
  const { label, signal } = options;
  const { samples, temperature, maxNewTokens, prompts: batchSize, steps, updates } = config;
  for (const name of [ROLLOUTS, WATCHED]) mkdirSync(join(folder, name), { recursive: true });
  const promptRows = rows.map((row) => ({ row, prompt: inputIds(model, format, row.prompt, promptLimit(model, config)) }));
  const watched = watchedRows(selection, config.watched).map((row) => ({
    row,
    prompt: inputIds(model, format, row.prompt, promptLimit(model, config)),
  }));
  const { adapter, reference } = startingAdapters(model, config, start, seed);
  const judge = queuedJudge(instruments.judge);
  const rewarding = { variant: reward, form: config.format };

  /**
   * n answers a prompt and what they earn. The judge is asked about a prompt's answers while others are still being written; when this ends,
   * however it ends, no question to it is left open.
   */
  const rollOutAndReward = async (batch: readonly PromptRow[], step: number, stop?: AbortSignal) => {
    const failed = new AbortController();
    const signal = AbortSignal.any([failed.signal, ...(stop ? [stop] : [])]);
    const sampling = { samples, temperature, maxNewTokens, seed, step, signal };
    const prompts = batch.map(({ prompt }) => prompt);
    const rewarded: ReturnType<typeof rewardRollouts>[] = [];
    try {
      for await (const { promptIndex, rollouts } of sampler.sample(adapter, prompts, sampling)) {
        rewarded[promptIndex] = rewardRollouts(rewarding, judge, batch[promptIndex].row, rollouts, signal);
        // It is awaited below, when all rollouts are there.
        rewarded[promptIndex].catch(() => undefined);
      }
      const sampled = performance.now();
      return { groups: await Promise.all(rewarded), sampled };
    } catch (error) {
      failed.abort(error);
      throw error;
    } finally {
      await Promise.allSettled(rewarded);
    }
  };

  const collect: GrpoOptions<PromptRow, RewardFigures>["collect"] = async (batch, at) => {
    const started = performance.now();
    const before = sampler.retokenised();
    const { groups, sampled } = await rollOutAndReward(batch, at.step, at.signal);
    const ended = performance.now();
    writeRollouts(rolloutFile(join(folder, ROLLOUTS), at.step + 1), loggedRollouts(at.step + 1, groups, true));
    const timing = {
      sampling: sampled - started,
      judging: ended - sampled,
      rolloutsPerSecond: (1000 * batch.length * samples) / (ended - started),
    };
    const figures = { ...describeRewards(groups, updates), retokenised: sampler.retokenised() - before, timing };
    return { groups: groups.map((group, i) => ({ ...group, prompt: batch[i].prompt })), figures };
  };

  let validated: object = {};
  const validate = async (step: number): Promise<number> => {
    const started = performance.now();
    const { f1, sets } = await validateAdapter(model, format, sampler, adapter, selection, instruments.encoder, signal);
    const { groups } = await rollOutAndReward(watched, 0, signal);
    const rollouts = loggedRollouts(step, groups, false);
    writeRollouts(rolloutFile(join(folder, WATCHED), step), rollouts);
    tellRollouts(label, step, rollouts);
    validated = { kind: "validation", f1, sets, timing: { milliseconds: performance.now() - started } };
    return 1 - f1;
  };

  const { learningRate, schedule, warmupRatio, beta2, weightDecay, validateEvery, checkpointSeconds } = config;
  const epochs = Math.ceil(steps / Math.ceil(rows.length / batchSize));
  const loss = { epsilon: config.clip, beta: config.klCoefficient, aggregation: config.aggregation, maxCompletion: maxNewTokens };
  try {
    await trainAdapter<GrpoFigures & RewardFigures>(
      model,
      adapter,
      folder,
      {
        ...{
          ...options,
          rows: rows.length,
          epochs,
          maxSteps: steps,
          batchSize,
          learningRate,
          seed,
          beta2,
          weightDecay,
          warmupRatio,
        },
        ...{ schedule, validateEvery, patience: 0, keep: "best", checkpointSeconds, validated: () => validated },
        measure: (value) => `validation F1 ${(1 - value).toFixed(3)}`,
      },
      (trainer, loop) =>
        fineTuneGrpo(trainer, promptRows, reference, { ...loop, loss, temperature, iterations: updates, collect, validate }),
      stepLine,
    );
  } finally {
    reference?.free();
  }
}

/** Room for a prompt: what the settings allow, and what the model holds beside a rollout. */
function promptLimit({ decoder }: LanguageModel, { maxPromptTokens, maxNewTokens }: GrpoConfig): number {
  return Math.min(maxPromptTokens, decoder.config.maxPositions - maxNewTokens);
}

/** The adapter to train, and a copy of its own of what it is held to (null: the model alone). */
function startingAdapters(
  model: LanguageModel,
  { r, loraAlpha }: GrpoConfig,
  start: string | null,
  seed: number,
): { readonly adapter: LoraAdapter; readonly reference: LoraAdapter | null } {
  if (start === null)
    return { adapter: createLora(model.decoder, { r, loraAlpha }, createRandom(seed, "lora")), reference: null };
  const peft = readPeft(join(start, "adapter"));
  const adapter = loraFromPeft(model.decoder, peft);
  try {
    return { adapter, reference: loraFromPeft(model.decoder, peft) };
  } catch (error) {
    adapter.free();
    throw error;
  }
}
