/**
 * Supervised fine-tuning (paper section 3): a small model learns to state what a prompt intends and then whether it is harmful.
 *
 * Differs from the paper here: LoRA on weights in bf16 or float32, not 4-bit; plain AdamW, not the paged 8-bit one; a prompt that
 * is too long loses its own end, never the completion; early stopping looks at validation rows only, never at test rows.
 */
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { DataUnavailableError } from "../data/errors.js";
import type { LabelledPrompt } from "../data/prompt.js";
import { loadSample } from "../data/sample.js";
import { loadXstest } from "../data/xstest.js";
import { classify } from "../evaluate/classify.js";
import { appendPredictions, type Prediction } from "../evaluate/predictions.js";
import { activateLora, createLora, loraToPeft, type LoraAdapter } from "../model/lora.js";
import type { LanguageModel } from "../model/language-model.js";
import { writePeft } from "../model/peft.js";
import { SFT_CLASSIFICATION, SFT_GENERATION, trainingText, type OutputFormat } from "../prompts/sft.js";
import { createRandom } from "../random.js";
import type { TrainingExample } from "../train/examples.js";
import { tokeniseRows } from "../train/fine-tune.js";
import { fineTune } from "../train/sft.js";
import { createTrainer } from "../train/trainer.js";
import { showWork } from "./progress.js";
import { describeEnvironment, type RunFolder } from "./run-folder.js";

export interface SftConfig {
  /** Catalogue name, hub id or path. */
  readonly model: string;
  readonly format: "generation" | "classification";
  readonly r: number;
  readonly loraAlpha: number;
  readonly learningRate: number;
  readonly epochs: number;
  readonly batchSize: number;
  /** Tokens a row. */
  readonly maxLength: number;
  readonly beta2: number;
  readonly weightDecay: number;
  readonly seed: number;
}

/** What `npm start` runs: the paper's settings, with the rate, the epochs and the batch that suit a 135M model and a few hundred rows. */
export const START_CONFIG: SftConfig = {
  model: "smollm2-135m-instruct",
  format: "generation",
  r: 16,
  loraAlpha: 32,
  learningRate: 1e-3,
  epochs: 5,
  batchSize: 16,
  maxLength: 512,
  beta2: 0.98,
  weightDecay: 0.01,
  seed: 22,
};

/** One evaluated set: its rows and what the model said. */
export interface EvaluatedSet {
  readonly name: string;
  readonly predictions: readonly Prediction[];
}

export async function runSft(
  config: SftConfig,
  model: LanguageModel,
  run: RunFolder,
  signal?: AbortSignal,
): Promise<EvaluatedSet[]> {
  const format = config.format === "generation" ? SFT_GENERATION : SFT_CLASSIFICATION;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  run.writeJson("config.json", config);
  run.writeJson("environment.json", { ...describeEnvironment(model.decoder.ops), data: { sample: sampleHash() } });

  // Data: our own open set, split by contrast group, so that no pair is torn apart.
  const sample = loadSample();
  const rowsOf = (split: string): LabelledPrompt[] => sample.filter((row) => row.split === split);
  const train = tokenise(model, format, rowsOf("train"), config.maxLength);
  const validation = tokenise(model, format, rowsOf("validation"), config.maxLength);
  say(
    `data: ${train.length} training, ${validation.length} validation and ${rowsOf("test").length} test prompts of the sample set`,
  );
  say(`first example, what is learnt marked:\n${showExample(model, train[0])}`);

  const adapter = createLora(model.decoder, { r: config.r, loraAlpha: config.loraAlpha }, createRandom(config.seed, "lora"));
  try {
    await train_(config, model, adapter, train, validation, run, signal);
    await writePeft(run.file("adapter"), loraToPeft(model.decoder, adapter, model.name));
    say(`adapter: ${run.file("adapter")}`);

    const sets: { name: string; rows: readonly LabelledPrompt[] }[] = [{ name: "sample-test", rows: rowsOf("test") }];
    try {
      sets.push({ name: "xstest", rows: loadXstest() });
    } catch (error) {
      if (!(error instanceof DataUnavailableError)) throw error;
      say(`xstest is left out: ${error.message}`);
    }
    const evaluated: EvaluatedSet[] = [];
    for (const { name, rows } of sets)
      evaluated.push({ name, predictions: await evaluate(model, adapter, format, name, rows, run, signal) });
    return evaluated;
  } finally {
    adapter.free();
  }
}

async function train_(
  config: SftConfig,
  model: LanguageModel,
  adapter: LoraAdapter,
  train: readonly TrainingExample[],
  validation: readonly TrainingExample[],
  run: RunFolder,
  signal?: AbortSignal,
): Promise<void> {
  const { learningRate, epochs, batchSize, seed, beta2, weightDecay } = config;
  const trainer = createTrainer(model.decoder, adapter, { beta2, weightDecay });
  const progress = showWork("training", epochs * Math.ceil(train.length / batchSize));
  let epochNote = "";
  try {
    await fineTune(trainer, train, {
      epochs,
      batchSize,
      learningRate,
      seed,
      validation,
      ...(signal && { signal }),
      onStep: (report) => {
        run.log({ kind: "step", ...report });
        const speed = (report.tokens / report.milliseconds) * 1000;
        progress.update(report.step, `loss ${report.loss.toFixed(3)}, ${speed.toFixed(0)} tokens/s${epochNote}`);
      },
      onEpoch: (report) => {
        run.log({ kind: "epoch", ...report });
        epochNote = `, validation loss ${report.validationLoss.toFixed(3)}`;
      },
    });
  } finally {
    progress.stop();
    trainer.free();
  }
}

async function evaluate(
  model: LanguageModel,
  adapter: LoraAdapter,
  format: OutputFormat,
  name: string,
  rows: readonly LabelledPrompt[],
  run: RunFolder,
  signal?: AbortSignal,
): Promise<Prediction[]> {
  const lora = activateLora(model.decoder, adapter, false);
  const progress = showWork(`evaluating ${name}`, rows.length);
  const predictions: Prediction[] = [];
  const started = performance.now();
  try {
    const prompts = rows.map((row) => row.prompt);
    for await (const result of classify(model, format, prompts, { lora, ...(signal && { signal }) })) {
      const { id, prompt, harm: gold } = rows[result.index];
      const milliseconds = (performance.now() - started) / (predictions.length + 1);
      const { verdict, harmfulProbability, newTokens } = result;
      const prediction = {
        id,
        prompt,
        gold,
        harm: verdict.harm,
        intent: verdict.intent,
        harmfulProbability,
        newTokens,
        milliseconds,
      };
      predictions.push(prediction);
      appendPredictions(run.file("predictions", `${name}.jsonl`), [prediction]);
      progress.update(predictions.length, `${milliseconds.toFixed(0)} ms a prompt`);
    }
  } finally {
    progress.stop();
    lora.free();
  }
  return predictions;
}

function tokenise(
  model: LanguageModel,
  format: OutputFormat,
  rows: readonly LabelledPrompt[],
  maxLength: number,
): TrainingExample[] {
  const texts = rows.map((row) => trainingText(format, row)).map(({ input, completion }) => ({ prompt: input, completion }));
  return tokeniseRows(model, texts, maxLength).examples;
}

/** The first row as the model sees it: plain what is read, in brackets what is learnt. */
function showExample(model: LanguageModel, { prompt, completion }: TrainingExample): string {
  return `  ${JSON.stringify(model.tokenizer.decode(prompt))} [${JSON.stringify(model.tokenizer.decode(completion))}]`;
}

function sampleHash(): string {
  const file = fileURLToPath(new URL("../../data/sample/prompts.jsonl", import.meta.url));
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
