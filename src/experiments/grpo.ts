/**
 * Reinforcement learning with an intent-faithfulness reward (paper section 6): sample answers to each training prompt, reward those that keep
 * the format, give the right label and state an intent that a judge finds to be the annotator's, and make better answers of a prompt more
 * likely than its worse ones, without going far from the model that training started from.
 *
 * Differs from the paper here: LoRA, not all weights; by default from the SFT adapter in its own short format, which a small model speaks
 * (`start`, `format` and `samples` have the paper's other forms); the reward of the label alone is a run of its own beside it.
 */
import { join, resolve } from "node:path";
import type { LabelledPrompt } from "../data/prompt.js";
import { usualKeyVariable } from "../engines/open.js";
import type { Patience } from "../engines/patience.js";
import type { LanguageModel } from "../model/language-model.js";
import { GRPO_FORMATS } from "../prompts/grpo.js";
import { TrainingDataError } from "../train/examples.js";
import { judgeFolder, measureJudge, openInstruments, type Instruments } from "./dpo-instruments.js";
import { claimStart, startingRuns } from "./dpo-start.js";
import { predictionsInOrder, takeOverPredictions } from "./evaluate-run.js";
import { adapterHash } from "./evaluation.js";
import { openExperiment, type Experiment } from "./experiment.js";
import { checkGrpoConfig, type GrpoConfig } from "./grpo-config.js";
import { grpoTrainingFacts, readGrpoLog } from "./grpo-log.js";
import { trainGrpoRun, type GrpoRun } from "./grpo-run.js";
import { localSampler, servedSampler, type Sampler } from "./grpo-sampler.js";
import { summariseGrpo, type GrpoSummary, type GrpoTrained } from "./grpo-summary.js";
import { summariseDpoRun } from "./dpo-summary.js";
import { say } from "./progress.js";
import { claimFolder, writeJson } from "./run-folder.js";
import { loadChosenAndTested, loadNamed, type NamedSet } from "./sets.js";
import { isTrained } from "./training.js";

const RUNS = "runs";
/** Adapters on their way to a server of rollouts. */
const SERVED = "served";

/**
 * Runs the experiment in the folder `out`, or goes on with it there: what is trained, judged or predicted is not done again.
 * @throws RunFolderError if there is no SFT experiment with an adapter a seed (and `start` is "sft"), or the folder is of another config, data
 * or precision, or damaged; FolderLockedError; DataUnavailableError if training or selection rows are not at hand; TrainingDataError if no
 * training row has an intent; OutOfPatienceError if judge or server stay away; what the judge's engine throws; the signal's reason.
 */
export async function runGrpo(
  config: GrpoConfig,
  out: string,
  options: { readonly fresh?: boolean; readonly signal?: AbortSignal } = {},
): Promise<GrpoSummary> {
  const { signal } = options;
  const train = await loadNamed(config.trainSet, config.limit);
  const rows = rewardable(train);
  const { selection, tests, sets, leftOut } = await loadChosenAndTested(config);

  const starts = config.start === "sft" ? startingRuns(config, out) : null;
  const folders = [RUNS, SERVED, "judge", "judge.json"];
  const experiment = openExperiment(config, out, checkGrpoConfig, [train, ...sets], folders, options);
  const patience: Patience = { limitMs: 60_000 * config.waitMinutes, say };
  let instruments: Promise<Instruments> | undefined;
  const open = (): Promise<Instruments> => (instruments ??= openInstruments(config.judge, judgeFolder(out), signal, patience));
  let sampler: Sampler | undefined;
  try {
    const agreement = await measureJudge(async () => (await open()).judge, join(out, "judge.json"), signal);

    const trained: GrpoTrained[] = [];
    for (const seed of config.seeds) {
      const start = starts?.get(seed) ?? null;
      if (start !== null) claimStart(join(out, RUNS, `seed-${seed}`), start);
      trained.push(await startingPoint(experiment, seed, start, sets));

      // Train and evaluate with each reward.
      for (const reward of config.rewards) {
        const run = { reward, seed };
        const folder = join(RUNS, `seed-${seed}`, reward);
        const sample = (model: LanguageModel): Sampler => (sampler ??= openSampler(config, model, out, patience));
        await trainInFolder(experiment, run, rows, start, selection, folder, sample, open);
        trained.push(await evaluated(experiment, run, sets, folder));
      }
    }

    const opened = await open();
    const runs = [];
    for (const run of trained) runs.push(await summariseDpoRun(run, sets, opened, signal));
    const compared = tests.length > 0 ? tests : sets;
    const summary = summariseGrpo(config, trained, runs, sets, compared, { judge: agreement, leftOut });
    writeJson(join(out, "summary.json"), summary);
    return summary;
  } finally {
    await sampler?.close().catch(() => undefined);
    await instruments?.then((opened) => opened.close()).catch(() => undefined);
    experiment.close();
  }
}

/** Rows with an intent: the others cannot be rewarded for theirs, and both rewards learn from the same rows. */
function rewardable({ name, rows }: NamedSet): LabelledPrompt[] {
  const stated = rows.filter(({ intent }) => intent !== null);
  if (stated.length === 0) throw new TrainingDataError(`no row of ${name} has an intent to be rewarded for`);
  if (stated.length < rows.length) say(`${name}: ${rows.length - stated.length} rows without an intent are left out`);
  return stated;
}

function openSampler(config: GrpoConfig, model: LanguageModel, out: string, patience: Patience): Sampler {
  if (config.rollouts === "local") return localSampler(model);
  const folder = resolve(out, SERVED);
  const servedFolder = config.servedFolder === "" ? folder : config.servedFolder;
  const server = { baseUrl: config.rollouts, keyVariable: usualKeyVariable() };
  return servedSampler(model, { server, folder, servedFolder, patience });
}

/** The model that training starts from, on all sets; what the SFT experiment has predicted is taken over. */
async function startingPoint(
  { config, out, model, signal }: Experiment<GrpoConfig>,
  seed: number,
  start: string | null,
  sets: readonly NamedSet[],
): Promise<GrpoTrained> {
  // The model alone is the same for every seed.
  const folder = start === null ? join(RUNS, "start") : join(RUNS, `seed-${seed}`, "start");
  if (start !== null && config.format === "sft") takeOverPredictions(start, join(out, folder), sets);
  const adapter = start === null ? null : join(start, "adapter");
  const label = start === null ? "start" : `start, seed ${seed}`;
  const format = GRPO_FORMATS[config.format];
  const predictions = await predictionsInOrder(model, format, sets, join(out, folder), label, signal, adapter);
  return { condition: "start", seed, folder, training: null, predictions };
}

async function trainInFolder(
  { config, out, model, environment, signal }: Experiment<GrpoConfig>,
  run: GrpoRun,
  rows: readonly LabelledPrompt[],
  start: string | null,
  selection: readonly NamedSet[],
  below: string,
  sampler: (model: LanguageModel) => Sampler,
  instruments: () => Promise<Instruments>,
): Promise<void> {
  const folder = join(out, below);
  const startSha256 = start === null ? null : adapterHash(join(start, "adapter"));
  claimFolder(folder, { ...trainingConfig(config), ...run, startSha256 });
  if (isTrained(folder)) return;
  writeJson(join(folder, "environment.json"), { ...(await environment()), seed: run.seed });
  const opened = await model();
  const means = {
    model: opened,
    format: GRPO_FORMATS[config.format],
    sampler: sampler(opened),
    instruments: await instruments(),
  };
  const label = `${run.reward}, seed ${run.seed}`;
  await trainGrpoRun(means, config, run, rows, start, selection, folder, { label, ...(signal && { signal }) });
}

/** What a run's adapter depends on beside start, reward and seed: its `config.json`, which `evaluate` reads too. */
function trainingConfig(config: GrpoConfig): object {
  const { model, start, format, trainSet, limit, rollouts, judge, selectionSets, watched } = config;
  const { steps, prompts, samples, temperature, maxPromptTokens, maxNewTokens, updates, validateEvery } = config;
  const { learningRate, schedule, warmupRatio, beta2, weightDecay, aggregation, klCoefficient, clip, r, loraAlpha } = config;
  return {
    ...{ model, start, format, ...(format === "sft" && { mode: "generation" }), trainSet, limit, rollouts, judge },
    ...{ steps, prompts, samples, temperature, maxPromptTokens, maxNewTokens, updates },
    ...{ learningRate, schedule, warmupRatio, beta2, weightDecay, aggregation, klCoefficient, clip },
    ...(start === "instruct" && { r, loraAlpha }),
    ...{ validateEvery, selectionSets, watched },
  };
}

async function evaluated(
  { config, out, model, signal }: Experiment<GrpoConfig>,
  { reward, seed }: GrpoRun,
  sets: readonly NamedSet[],
  folder: string,
): Promise<GrpoTrained> {
  const label = `${reward}, seed ${seed}`;
  const predictions = await predictionsInOrder(model, GRPO_FORMATS[config.format], sets, join(out, folder), label, signal);
  const training = grpoTrainingFacts(readGrpoLog(join(out, folder, "log.jsonl")));
  return { condition: reward, seed, folder, training, predictions };
}
