/**
 * One cell of a distillation grid: a student that learns a teacher's traces in one condition, at every learning rate, then with every seed
 * at the best one, each training in a folder of its own. What is trained or predicted already is read.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Prediction } from "../evaluate/predictions.js";
import type { LanguageModel } from "../model/language-model.js";
import { createLora } from "../model/lora.js";
import { STUDENT_FORMATS, studentMessages } from "../prompts/distillation.js";
import { createRandom } from "../random.js";
import { tokeniseChats, type ChatExamples, type ChatRow } from "../train/chat-examples.js";
import { TrainingDataError } from "../train/examples.js";
import { fineTune, type SftFigures } from "../train/sft.js";
import { cellName, cellRunFolder } from "./distillation-cells.js";
import type { DistillationConfig } from "./distillation-config.js";
import { summariseRun, type CellKey, type CellRun, type DistillationCell } from "./distillation-summary.js";
import { evaluateInOrder } from "./evaluate-run.js";
import { onFirstUse } from "./on-first-use.js";
import { say } from "./progress.js";
import { claimFolder, writeJson } from "./run-folder.js";
import type { NamedSet } from "./sets.js";
import { readTrainingLog } from "./sft-log.js";
import { isTrained, trainAdapter } from "./training.js";

/** Sets by what they are for; a set may be for validation and selection. */
export interface GridSets {
  readonly validation: NamedSet;
  readonly selection: readonly NamedSet[];
  readonly tests: readonly NamedSet[];
}

export interface CellWork {
  readonly config: DistillationConfig;
  readonly out: string;
  readonly cell: CellKey;
  readonly train: readonly ChatRow[];
  readonly validation: readonly ChatRow[];
  readonly sets: GridSets;
  /** Opens the student, once for all cells. */
  readonly student: () => Promise<{ readonly model: LanguageModel; readonly environment: Readonly<Record<string, unknown>> }>;
  readonly signal: AbortSignal | undefined;
}

export interface CellDone {
  readonly cell: DistillationCell;
  /** What the runs of the chosen rate said, by set, a list a seed. */
  readonly predictions: ReadonlyMap<string, readonly (readonly Prediction[])[]>;
}

interface TrainedRun {
  readonly learningRate: number;
  readonly seed: number;
  readonly said: Map<string, readonly Prediction[]>;
}

/**
 * Trains and evaluates a cell, or goes on with it.
 * @throws TrainingDataError if no row fits; ChatTemplateError if the student has no chat template; RunFolderError if a folder is of other
 * rows or damaged; TrainingError; the signal's reason
 */
export async function runCell(work: CellWork): Promise<CellDone> {
  const { config, cell, sets } = work;
  const examples = onFirstUse(() => cellExamples(work));
  const trained = async (learningRate: number, seed: number): Promise<TrainedRun> => {
    await train(work, learningRate, seed, examples);
    const run = { learningRate, seed, said: new Map() };
    await evaluate(work, run, [sets.validation]);
    return run;
  };

  // Every rate with the first seed; the one of highest F1 on the validation set is chosen, of equals the one of lower loss.
  const [first, ...otherSeeds] = config.seeds;
  const sweep: TrainedRun[] = [];
  for (const rate of config.learningRates) sweep.push(await trained(rate, first));
  const measured = sweep.map((run) => ({ run, summary: summarised(work, run) }));
  const best = measured.reduce((best, one) => (better(one.summary, best.summary) ? one : best)).run;

  // The other seeds at that rate, and what they are all for.
  const chosen = [best];
  for (const seed of otherSeeds) chosen.push(await trained(best.learningRate, seed));
  for (const run of chosen) await evaluate(work, run, [...sets.selection, ...sets.tests]);

  const runs = chosen.map((run) => summarised(work, run));
  const all = [...measured.filter(({ run }) => run !== best).map(({ summary }) => summary), ...runs];
  const answers = [...new Set([...sweep, ...chosen])].flatMap(({ said }) => [...said.values()].flat());
  const evaluation = answers.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / 1000;
  return {
    cell: {
      ...cell,
      state: "done",
      reason: null,
      rows: { train: work.train.length, validation: work.validation.length },
      learningRate: best.learningRate,
      sweep: measured.map(({ run, summary }) => (run === best ? runs[0] : summary)),
      runs,
      seconds: all.reduce((sum, { training }) => sum + training.seconds, 0) + evaluation,
    },
    predictions: new Map([...best.said.keys()].map((set) => [set, chosen.map(({ said }) => said.get(set)!)])),
  };
}

function better(a: CellRun, b: CellRun): boolean {
  const [f1, bestF1] = [a.validationF1 ?? -1, b.validationF1 ?? -1];
  return f1 > bestF1 || (f1 === bestF1 && (a.training.bestLoss ?? Infinity) < (b.training.bestLoss ?? Infinity));
}

function summarised({ cell, out, sets }: CellWork, { learningRate, seed, said }: TrainedRun): CellRun {
  const folder = cellRunFolder(cell, learningRate, seed);
  return summariseRun({ learningRate, seed, folder, training: readTrainingLog(join(out, folder, "log.jsonl")) }, said, sets);
}

/** Rows as the student reads and writes them; says what was cut, and shows the first. */
async function cellExamples({ config, cell, train, validation, student }: CellWork): Promise<{
  readonly train: ChatExamples;
  readonly validation: ChatExamples;
}> {
  const { model } = await student();
  const conversation = (content: string) => studentMessages(content, cell.condition);
  const tokenised = (rows: readonly ChatRow[]): ChatExamples => tokeniseChats(model, rows, conversation, config.maxLength);
  const examples = { train: tokenised(train), validation: tokenised(validation) };
  for (const [what, { examples: made, truncated, dropped }] of Object.entries(examples)) {
    if (made.length === 0) throw new TrainingDataError(`no ${what} row fits ${config.maxLength} tokens; set maxLength higher`);
    if (truncated + dropped > 0) say(`${cellName(cell)}: ${truncated} ${what} rows are cut, ${dropped} more are left out`);
  }
  return examples;
}

async function train(
  { config, out, cell, signal, student, ...rows }: CellWork,
  learningRate: number,
  seed: number,
  examples: () => ReturnType<typeof cellExamples>,
): Promise<void> {
  const folder = join(out, cellRunFolder(cell, learningRate, seed));
  const rowsSha256 = createHash("sha256")
    .update(JSON.stringify([rows.train, rows.validation]))
    .digest("hex");
  claimFolder(folder, { ...trainingConfig(config), ...cell, model: cell.student, learningRate, seed, rowsSha256 });
  if (isTrained(folder)) return;
  const { model, environment } = await student();
  writeJson(join(folder, "environment.json"), { ...environment, seed });
  const { train, validation } = await examples();
  const { epochs, batchSize, beta2, weightDecay, warmupRatio, patience, checkpointSeconds, r, loraAlpha } = config;
  const adapter = createLora(model.decoder, { r, loraAlpha }, createRandom(seed, "lora"));
  await trainAdapter<SftFigures>(
    model,
    adapter,
    folder,
    {
      ...{ label: runLabel(cell, config, learningRate, seed), rows: train.examples.length, learningRate, seed },
      ...{ epochs, batchSize, beta2, weightDecay, warmupRatio, patience, keep: "best", checkpointSeconds },
      ...{ measure: "validation loss", ...(signal && { signal }) },
    },
    (trainer, loop) => fineTune(trainer, train.examples, { ...loop, validation: validation.examples, shared: train.shared }),
  );
}

/** What an adapter depends on beside cell, rate, seed and rows: its `config.json`. */
function trainingConfig(config: DistillationConfig): object {
  const { epochs, patience, batchSize, maxLength, r, loraAlpha, beta2, weightDecay, warmupRatio } = config;
  return { epochs, patience, batchSize, maxLength, r, loraAlpha, beta2, weightDecay, warmupRatio };
}

async function evaluate(
  { config, out, cell, student, signal }: CellWork,
  run: TrainedRun,
  sets: readonly NamedSet[],
): Promise<void> {
  const left = sets.filter(({ name }) => !run.said.has(name));
  const folder = join(out, cellRunFolder(cell, run.learningRate, run.seed));
  const format = { ...STUDENT_FORMATS[cell.condition], maxNewTokens: config.maxNewTokens };
  const model = async (): Promise<LanguageModel> => (await student()).model;
  const label = runLabel(cell, config, run.learningRate, run.seed);
  for await (const { name, said } of evaluateInOrder(model, format, left, folder, label, signal)) run.said.set(name, said);
}

/** A rate or a seed is named where there are several. */
function runLabel(cell: CellKey, { learningRates, seeds }: DistillationConfig, learningRate: number, seed: number): string {
  const rate = learningRates.length > 1 ? `, rate ${learningRate}` : "";
  return `${cellName(cell)}${rate}${seeds.length > 1 ? `, seed ${seed}` : ""}`;
}
