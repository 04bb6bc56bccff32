/**
 * Preference training on the model's own intent errors (paper section 4): sample the SFT model's intents, find where they are wrong, prefer
 * the annotator's intent over them, and see whether the verdicts get better. LE-DPO takes intents that lead to the wrong label when they
 * are read alone (`wrong_only`), IF-DPO those with the right label that a judge calls unfaithful (`judge_bad_only`); there are unions of
 * both, shares of one beside the other, and one after the other.
 *
 * Differs from the paper here: raw prompts in training as in evaluation; every seed mines, trains and starts from an SFT adapter of its own,
 * so that the spread over seeds is that of the whole procedure.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { PairSetError, STARTS_FROM } from "../intent/pair-sets.js";
import type { PreferencePair } from "../intent/pairs.js";
import { writePairs } from "../intent/pairs-file.js";
import { SFT_GENERATION } from "../prompts/sft.js";
import { checkDpoConfig, type DpoConfig } from "./dpo-config.js";
import { judgeFolder, measureJudge, openInstruments, type Instruments } from "./dpo-instruments.js";
import { dpoTrainingFacts, readDpoLog } from "./dpo-log.js";
import { minePairs, trainingPairs, type MiningFacts } from "./dpo-pairs.js";
import { trainDpoRun, type DpoRun, type DpoStart } from "./dpo-run.js";
import { claimStart, startingRuns } from "./dpo-start.js";
import { summariseDpo, summariseDpoRun, type DpoSummary, type DpoTrained } from "./dpo-summary.js";
import { predictionsInOrder, takeOverPredictions } from "./evaluate-run.js";
import { openExperiment, type Experiment } from "./experiment.js";
import { adapterHash } from "./evaluation.js";
import { say } from "./progress.js";
import { claimFolder, writeJson } from "./run-folder.js";
import { loadChosenAndTested, loadNamed, type NamedSet } from "./sets.js";
import { isTrained } from "./training.js";

const RUNS = "runs";

/**
 * Runs the experiment in the folder `out`, or goes on with it there: what is sampled, judged, trained or predicted is not done again.
 * @throws RunFolderError if there is no SFT experiment with an adapter a seed, or the folder is of another config, data or precision, or
 * damaged; FolderLockedError; DataUnavailableError if training or selection rows are not at hand; what the judge's engine throws; the
 * signal's reason.
 */
export async function runDpo(
  config: DpoConfig,
  out: string,
  options: { readonly fresh?: boolean; readonly signal?: AbortSignal } = {},
): Promise<DpoSummary> {
  const { signal } = options;
  const train = await loadNamed(config.trainSet, config.limit);
  const { selection, tests, sets, leftOut } = await loadChosenAndTested(config);

  const starts = startingRuns(config, out);
  const experiment = openExperiment(config, out, checkDpoConfig, [train, ...sets], [RUNS, "judge", "judge.json"], options);
  let instruments: Promise<Instruments> | undefined;
  const open = (): Promise<Instruments> => (instruments ??= openInstruments(config.judge, judgeFolder(out), signal));
  const judge = async () => (await open()).judge;
  try {
    const agreement = await measureJudge(judge, join(out, "judge.json"), signal);

    const trained: DpoTrained[] = [];
    const mining: Record<string, MiningFacts> = {};
    const skipped: DpoSummary["skipped"][number][] = [];
    for (const seed of config.seeds) {
      const start = starts.get(seed)!;
      const folder = join(RUNS, `seed-${seed}`);
      claimStart(join(out, folder), start);
      trained.push(await startingPoint(experiment, seed, start, sets, join(folder, "sft")));

      // Mine: k samples a prompt, each intent labelled alone, the judge on those with the right label.
      const { pairs, facts } = await minePairs(
        experiment.model,
        judge,
        config,
        train.rows,
        seed,
        start,
        join(out, folder),
        signal,
      );
      mining[seed] = facts;

      // Train and evaluate each condition.
      for (const pairSet of config.pairSets) {
        const run = { pairSet, seed };
        try {
          const first = STARTS_FROM[pairSet];
          if (first !== undefined && !trained.some((done) => done.condition === first && done.seed === seed))
            throw new PairSetError(`it goes on from ${first}, which was left out`);
          const chosen = trainingPairs(pairs, pairSet, config, seed);
          if (chosen.length === 0) throw new PairSetError("no such errors were found");
          const policy = first === undefined ? start : join(out, folder, first);
          await trainInFolder(experiment, run, chosen, { policy, reference: start }, selection, join(folder, pairSet));
          trained.push(await evaluated(experiment, run, chosen.length, sets, join(folder, pairSet)));
        } catch (error) {
          if (!(error instanceof PairSetError)) throw error;
          skipped.push({ condition: pairSet, seed, reason: error.message });
          say(`${pairSet}, seed ${seed}, is left out: ${error.message}`);
        }
      }
    }

    const opened = await open();
    const runs = [];
    for (const run of trained) runs.push(await summariseDpoRun(run, sets, opened, signal));
    const summary = summariseDpo(config, trained, runs, sets, tests, { judge: agreement, mining, leftOut, skipped });
    writeJson(join(out, "summary.json"), summary);
    return summary;
  } finally {
    await instruments?.then((opened) => opened.close()).catch(() => undefined);
    experiment.close();
  }
}

/** The SFT model of a seed on all sets; what the SFT experiment has predicted is taken over. */
async function startingPoint(
  { out, model, signal }: Experiment<DpoConfig>,
  seed: number,
  start: string,
  sets: readonly NamedSet[],
  folder: string,
): Promise<DpoTrained> {
  takeOverPredictions(start, join(out, folder), sets);
  const [label, adapter] = [`sft, seed ${seed}`, join(start, "adapter")];
  const predictions = await predictionsInOrder(model, SFT_GENERATION, sets, join(out, folder), label, signal, adapter);
  return { condition: "sft", seed, folder, pairs: null, training: null, predictions };
}

async function trainInFolder(
  { config, out, model, environment, signal }: Experiment<DpoConfig>,
  run: DpoRun,
  pairs: readonly PreferencePair[],
  start: DpoStart,
  selection: readonly NamedSet[],
  below: string,
): Promise<void> {
  const folder = join(out, below);
  const pairsSha256 = createHash("sha256").update(JSON.stringify(pairs)).digest("hex");
  const [startSha256, referenceSha256] = [start.policy, start.reference].map((from) => adapterHash(join(from, "adapter")));
  const depends = { startSha256, ...(start.policy !== start.reference && { referenceSha256 }), pairsSha256 };
  claimFolder(folder, { ...trainingConfig(config), ...run, ...depends });
  if (isTrained(folder)) return;
  writePairs(join(folder, "pairs.jsonl"), pairs);
  writeJson(join(folder, "environment.json"), { ...(await environment()), seed: run.seed });
  const label = `${run.pairSet}, seed ${run.seed}`;
  await trainDpoRun(await model(), config, run, pairs, start, selection, folder, { label, ...(signal && { signal }) });
}

/** What a run's adapter depends on beside pairs, start and seed: its `config.json`, which `evaluate` reads too. */
function trainingConfig(config: DpoConfig): object {
  const { model, loss, beta, labelSmoothing, learningRate, epochs, batchSize, maxLength, selectionSets, limit } = config;
  const { beta2, weightDecay, warmupRatio } = config;
  const training = { loss, beta, labelSmoothing, learningRate, epochs, batchSize, maxLength, beta2, weightDecay, warmupRatio };
  return { model, mode: "generation", ...training, selectionSets, limit };
}

async function evaluated(
  { out, model, signal }: Experiment<DpoConfig>,
  { pairSet, seed }: DpoRun,
  pairs: number,
  sets: readonly NamedSet[],
  folder: string,
): Promise<DpoTrained> {
  const label = `${pairSet}, seed ${seed}`;
  const predictions = await predictionsInOrder(model, SFT_GENERATION, sets, join(out, folder), label, signal);
  const training = dpoTrainingFacts(readDpoLog(join(out, folder, "log.jsonl")));
  return { condition: pairSet, seed, folder, pairs, training, predictions };
}
