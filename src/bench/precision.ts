/** What bfloat16 costs: the same verdicts and the same loss curve as float32? */
import { readPeft } from "../model/peft.js";
import { classify } from "../evaluate/classify.js";
import { groupByTokens } from "../model/batch.js";
import { loadAdapter, openModel, type LanguageModel } from "../model/language-model.js";
import { createLora } from "../model/lora.js";
import { SFT_GENERATION, trainingText } from "../prompts/sft.js";
import { createRandom } from "../random.js";
import { openOps } from "../tensor/backend.js";
import type { Precision } from "../tensor/ops.js";
import { exampleTokens, microbatches } from "../train/examples.js";
import { tokeniseRows } from "../train/fine-tune.js";
import { sftLoss } from "../train/sft.js";
import { createTrainer, trainStep } from "../train/trainer.js";
import { shortRows, trainingRows } from "./work.js";

export interface PrecisionBenchOptions {
  /** PEFT folder of a trained classifier: an untrained model gives no verdicts to compare. */
  readonly adapter: string;
  readonly prompts: number;
  readonly steps: number;
}

/** Runs both precisions in turn on one path; share of equal verdicts and the largest relative difference of a step's loss. */
export async function benchPrecision(path: string, options: PrecisionBenchOptions): Promise<Record<string, unknown>> {
  readPeft(options.adapter);
  const exact = await run(path, "float32", options);
  const short = await run(path, "bfloat16", options);
  const same = exact.verdicts.filter((verdict, i) => verdict === short.verdicts[i]).length;
  const apart = exact.losses.map((loss, i) => Math.abs(short.losses[i] - loss) / loss);
  return {
    prompts: exact.verdicts.length,
    equalVerdicts: same / exact.verdicts.length,
    steps: exact.losses.length,
    largestLossDifference: Math.max(...apart),
    lastLoss: { float32: exact.losses.at(-1), bfloat16: short.losses.at(-1) },
  };
}

async function run(
  path: string,
  precision: Precision,
  options: PrecisionBenchOptions,
): Promise<{ verdicts: string[]; losses: number[] }> {
  const model = openModel(await openOps({ precision }), path);
  try {
    return { verdicts: await verdicts(model, options), losses: losses(model, options.steps) };
  } finally {
    model.free();
  }
}

async function verdicts(model: LanguageModel, { adapter: folder, prompts }: PrecisionBenchOptions): Promise<string[]> {
  const adapter = loadAdapter(model, folder);
  try {
    const texts = shortRows()
      .rows.slice(0, prompts)
      .map((row) => row.prompt);
    const found: string[] = [];
    for await (const { index, verdict } of classify(model, SFT_GENERATION, texts, { lora: adapter.lora }))
      found[index] = verdict.harm;
    return found;
  } finally {
    adapter.free();
  }
}

function losses(model: LanguageModel, steps: number): number[] {
  const rows = trainingRows().rows.filter((row) => row.intent !== null);
  const texts = rows
    .map((row) => trainingText(SFT_GENERATION, row))
    .map(({ input, completion }) => ({ prompt: input, completion }));
  const batches = groupByTokens(tokeniseRows(model, texts, 512).examples, exampleTokens, 1024);
  const adapter = createLora(model.decoder, { r: 16, loraAlpha: 32 }, createRandom(22, "lora"));
  const trainer = createTrainer(model.decoder, adapter);
  try {
    return Array.from({ length: steps }, (_, i) => {
      const batch = batches[i % batches.length];
      const completion = batch.reduce((sum, e) => sum + e.completion.length, 0);
      return trainStep(trainer, microbatches(batch, 2048), sftLoss(completion), 2e-4).loss;
    });
  } finally {
    trainer.free();
    adapter.free();
  }
}
