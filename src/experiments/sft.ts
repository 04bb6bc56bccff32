/**
 * Supervised fine-tuning (paper section 3): a small model learns to state what a prompt intends and then whether it is harmful
 * (generation), or the verdict alone (classification); which of the two judges better is the question.
 *
 * Differs from the paper here: LoRA on weights in bf16 or float32, not 4-bit; plain AdamW, not the paged 8-bit one; a prompt that
 * is too long loses its own end, never the completion; early stopping looks at validation rows only, never at test rows.
 */
import { join } from "node:path";
import { evaluateInOrder } from "./evaluate-run.js";
import { openExperiment, type Experiment } from "./experiment.js";
import { onFirstUse } from "./on-first-use.js";
import { say } from "./progress.js";
import { claimFolder, linkFolder, writeJson } from "./run-folder.js";
import { loadAtHand, loadNamed, type NamedSet } from "./sets.js";
import { checkSftConfig, MODES, ratesOf, type Mode, type SftConfig } from "./sft-config.js";
import { readTrainingLog } from "./sft-log.js";
import { FORMATS, runConfig, runFolder, tokenise, trainRun, type SftRun, type TrainingRows } from "./sft-run.js";
import { chooseRate, summarise, type SftSummary, type TrainedMode, type TrainedRun } from "./sft-summary.js";
import { isTrained } from "./training.js";

export interface SftOptions {
  /** Removes what an earlier experiment left in the folder. */
  readonly fresh?: boolean;
  /** Rows to train on instead of those of the config's `trainSet`, which is then only their name. */
  readonly train?: NamedSet;
  readonly signal?: AbortSignal;
}

/**
 * Runs the experiment in the folder `out`, or goes on with it there: what is trained or predicted is not done again, and the result
 * is the same to the byte (wall times aside) as without the interruption. A finished experiment only gives its summary.
 * @throws FolderLockedError naming the process that works there; RunFolderError if the folder is of another config, data or precision, or
 * damaged; DataUnavailableError if training or validation rows are not at hand; the signal's reason.
 */
export async function runSft(config: SftConfig, out: string, options: SftOptions = {}): Promise<SftSummary> {
  // Data. A set for evaluation that is not at hand is left out, and the summary says so.
  const train = options.train ?? (await loadNamed(config.trainSet, config.limit, config.columns));
  const validation = await loadNamed(config.validationSet, config.limit, config.columns);
  const selection = await loadAtHand(config.selectionSets, config.limit, config.columns);
  const tests = await loadAtHand(config.testSets, config.limit, config.columns);
  const leftOut = [...selection.leftOut, ...tests.leftOut];
  for (const { set, reason } of leftOut) say(`${set} is left out: ${reason}`);

  const sets = [train, validation, ...selection.sets, ...tests.sets];
  const experiment = openExperiment(config, out, checkSftConfig, sets, MODES, options);
  try {
    const trained: Partial<Record<Mode, TrainedMode>> = {};
    for (const mode of config.modes) {
      const rows = onFirstUse(() => trainingRows(experiment, mode, train, validation));
      const trainAndSelect = async (learningRate: number, seed: number): Promise<TrainedRun> => {
        const run = await trainInFolder(experiment, { mode, learningRate, seed }, rows);
        await evaluateOn(experiment, run, selection.sets);
        return run;
      };
      // Stage 1: every rate with the first seed. The best by mean F1 over the selection sets is chosen, never by a test set.
      const [first, ...otherSeeds] = config.seeds;
      const sweep: TrainedRun[] = [];
      for (const learningRate of ratesOf(config, mode)) sweep.push(await trainAndSelect(learningRate, first));
      const best = chooseRate(sweep, selection.sets);
      linkFolder(join(out, mode, "best"), join(out, runFolder(best.run)));
      // Stage 2: the other seeds at that rate, and the test sets.
      const chosen = [best];
      for (const seed of otherSeeds) chosen.push(await trainAndSelect(best.run.learningRate, seed));
      for (const run of chosen) await evaluateOn(experiment, run, tests.sets);
      trained[mode] = { sweep, chosen };
    }
    const summary = summarise(config, trained, { selection: selection.sets, tests: tests.sets }, leftOut);
    for (const { folder, ...numbers } of summary.allRuns) writeJson(join(out, folder, "summary.json"), numbers);
    writeJson(join(out, "summary.json"), summary);
    return summary;
  } finally {
    experiment.close();
  }
}

/** Tokenises a mode's rows and shows the first one as the model sees it. */
async function trainingRows(
  { config, model }: Experiment<SftConfig>,
  mode: Mode,
  train: NamedSet,
  validation: NamedSet,
): Promise<TrainingRows> {
  const opened = await model();
  const rows = tokenise(opened, mode, train.rows, config.maxLength);
  const held = tokenise(opened, mode, validation.rows, config.maxLength);
  const cut = rows.truncated + rows.dropped === 0 ? "" : `, ${rows.truncated} of them cut and ${rows.dropped} more left out`;
  say(`${mode}: ${rows.examples.length} rows of ${train.name} to train on${cut}; ${held.examples.length} of ${validation.name}`);
  const [{ prompt, completion }] = rows.examples;
  const [read, learnt] = [prompt, completion].map((ids) => JSON.stringify(opened.tokenizer.decode(ids)));
  say(`the first row as the model sees it, what it learns to write in brackets:\n  ${read} [${learnt}]`);
  return { train: rows.examples, validation: held.examples };
}

async function trainInFolder(
  { config, out, model, environment, signal }: Experiment<SftConfig>,
  run: SftRun,
  rows: () => Promise<TrainingRows>,
): Promise<TrainedRun> {
  const folder = join(out, runFolder(run));
  claimFolder(folder, runConfig(config, run));
  if (!isTrained(folder)) {
    writeJson(join(folder, "environment.json"), { ...(await environment()), seed: run.seed });
    const label = `${run.mode}, rate ${run.learningRate}, seed ${run.seed}`;
    await trainRun(await model(), config, run, await rows(), folder, { label, ...(signal && { signal }) });
  }
  return { run, training: readTrainingLog(join(folder, "log.jsonl")), predictions: new Map() };
}

async function evaluateOn(
  { out, model, signal }: Experiment<SftConfig>,
  { run, predictions }: TrainedRun,
  sets: readonly NamedSet[],
): Promise<void> {
  const left = sets.filter(({ name }) => !predictions.has(name));
  const folder = join(out, runFolder(run));
  const label = `${run.mode}, rate ${run.learningRate}, seed ${run.seed}`;
  for await (const { name, said } of evaluateInOrder(model, FORMATS[run.mode], left, folder, label, signal))
    predictions.set(name, said);
}
