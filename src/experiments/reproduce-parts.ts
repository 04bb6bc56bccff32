/** The parts of each experiment: which of them its run folder holds whole, what they took, and what they take on two quiet cores. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readJsonl } from "../data/jsonl.js";
import { readPredictions } from "../evaluate/predictions.js";
import { throughputOf } from "../evaluate/latency.js";
import { MANIFEST } from "../train/manifest.js";
import type { DistillationConfig } from "./distillation-config.js";
import { cellState } from "./distillation-plan.js";
import type { CellKey } from "./distillation-summary.js";
import type { DpoConfig } from "./dpo-config.js";
import type { GrpoConfig } from "./grpo-config.js";
import type { Part } from "./reproduce-plan.js";
import { predictionFile } from "./run-folder.js";
import { ratesOf, type SftConfig } from "./sft-config.js";
import { runFolder } from "./sft-run.js";

/** Rows of a set, by its name; 0 for one that is not at hand. */
export type RowCounts = (set: string) => number;

/** Seconds on two cores of an AMD EPYC (AVX-512 with bf16, no AMX) with nothing else to do. */
interface Speed {
  /** A row of supervised fine-tuning, once. */
  readonly generationRow?: number;
  readonly classificationRow?: number;
  /** A row of distillation, once: a longer answer under a system prompt. */
  readonly distillationRow?: number;
  /** An answer in evaluation, with the score of its verdict. */
  readonly generationPrompt?: number;
  readonly classificationPrompt?: number;
  readonly distillationPrompt?: number;
  /** An intent, sampled, labelled and judged. */
  readonly sample?: number;
  /** A preference pair, once. */
  readonly pair?: number;
  /** A rollout, sampled, rewarded and trained on. */
  readonly rollout?: number;
}

const SPEEDS: Readonly<Record<string, Speed>> = {
  "gemma-3-270m": {
    // results/recorded/sft-small took these times over 0.75: the machine was its own for three quarters of the time.
    generationRow: 0.125,
    classificationRow: 0.053,
    generationPrompt: 0.08,
    classificationPrompt: 0.03,
    // A trial of the DPO experiment on the same machine: 1,200 samples in 71 s, 102 pairs twice in 33 s.
    sample: 0.059,
    pair: 0.164,
    // A trial beside other work: 0.5 s, while its validation was 2.7 times as slow as above.
    rollout: 0.18,
  },
  // results/recorded/bench: distillation, and generation of 32 prompts, at this student's 100 tokens an answer.
  "smollm2-135m-instruct": { distillationRow: 0.25, distillationPrompt: 0.16 },
  // Three and a half times that, as its parameters.
  "qwen2.5-coder-0.5b-instruct": { distillationRow: 0.85, distillationPrompt: 0.53 },
};

/** A training of each mode, rate and seed with its evaluation. */
export function sftParts(config: SftConfig, out: string, rows: RowCounts): Part[] {
  const speed = SPEEDS[config.model] ?? {};
  const [first, ...others] = config.seeds;
  return config.modes.flatMap((mode) => {
    const rates = ratesOf(config, mode);
    const swept = rates.map((learningRate) => ({ mode, learningRate, seed: first }));
    // Which rate the other seeds have is known when the sweep is done.
    const chosen = rates.find((learningRate) =>
      existsSync(join(out, runFolder({ mode, learningRate, seed: others[0] ?? first }))),
    );
    const later = others.map((seed) => ({ mode, learningRate: chosen ?? rates[0], seed }));
    return [...swept, ...later].map((run): Part => {
      const tested = rates.length === 1 || run.seed !== first ? config.testSets : [];
      const sets = [...new Set([...config.selectionSets, ...tested])];
      const expected =
        times(config.epochs * rows(config.trainSet), speed[`${mode}Row`]) + times(total(sets, rows), speed[`${mode}Prompt`]);
      return {
        kind: `sft ${mode}, ${config.model}`,
        ...measuredRun(join(out, runFolder(run)), sets, rows),
        expected: known(expected),
      };
    });
  });
}

const skippedSchema = z.looseObject({ skipped: z.array(z.looseObject({ condition: z.string(), seed: z.number() })) });
const miningSchema = z.looseObject({ seconds: z.number() });

/** A seed's mining, then a training of each condition with its evaluation. */
export function dpoParts(config: DpoConfig, out: string, rows: RowCounts): Part[] {
  const speed = SPEEDS[config.model] ?? {};
  const sets = [...new Set([...config.selectionSets, ...config.testSets])];
  // Conditions without enough pairs are passed over.
  const skipped = readIf(join(out, "summary.json"), skippedSchema)?.skipped ?? [];
  // After each epoch the selection sets are asked, which the log does not time.
  const validation = config.epochs * total(config.selectionSets, rows);
  return config.seeds.flatMap((seed) => {
    const folder = join(out, "runs", `seed-${seed}`);
    const mined = readIf(join(folder, "mining.json"), miningSchema);
    const mining: Part = {
      ...{ kind: `mining, ${config.model}`, done: mined !== null, seconds: mined?.seconds ?? null },
      expected: known(times(config.samples * rows(config.trainSet), speed.sample)),
    };
    const trained = config.pairSets.map((pairSet): Part => {
      const passed = skipped.some((one) => one.condition === pairSet && one.seed === seed);
      const { done, seconds } = measuredRun(join(folder, pairSet), sets, rows, validation);
      const pairs = config.maxPairs === 0 ? rows(config.trainSet) : config.maxPairs;
      const expected = times(config.epochs * pairs, speed.pair) + times(validation + total(sets, rows), speed.generationPrompt);
      return { kind: `dpo, ${config.model}`, done: done || passed, seconds, expected: known(expected) };
    });
    return [mining, ...trained];
  });
}

/** A training of each seed and reward with its evaluation. */
export function grpoParts(config: GrpoConfig, out: string, rows: RowCounts): Part[] {
  const speed = SPEEDS[config.model] ?? {};
  const sets = [...new Set([...config.selectionSets, ...config.testSets])];
  const { steps, prompts, samples, validateEvery } = config;
  const asked = (1 + Math.ceil(steps / validateEvery)) * total(config.selectionSets, rows) + total(sets, rows);
  const expected = known(times(steps * prompts * samples, speed.rollout) + times(asked, speed.generationPrompt));
  return config.seeds.flatMap((seed) =>
    config.rewards.map((reward): Part => {
      const folder = join(out, "runs", `seed-${seed}`, reward);
      return { kind: `grpo, ${config.model}`, ...measuredRun(folder, sets, rows), expected };
    }),
  );
}

/** Each cell, with all rates and seeds. */
export function distillationParts(config: DistillationConfig, cells: readonly CellKey[], out: string, rows: RowCounts): Part[] {
  const { epochs, learningRates, seeds, trainSet, validationSet, selectionSets, testSets } = config;
  const cut = (set: string, limit: number): number => Math.min(rows(set), limit || Infinity);
  const trainings = learningRates.length + seeds.length - 1;
  const asked =
    trainings * cut(validationSet, config.validationRows) +
    seeds.length *
      (total(
        selectionSets.filter((set) => set !== validationSet),
        (set) => cut(set, config.validationRows),
      ) +
        total(testSets, (set) => cut(set, config.testRows)));
  return cells.map((cell): Part => {
    const { state, seconds } = cellState(config, out, cell);
    const speed = SPEEDS[cell.student] ?? {};
    const expected =
      times(trainings * epochs * cut(trainSet, config.trainRows), speed.distillationRow) + times(asked, speed.distillationPrompt);
    return { kind: `cell, ${cell.student}`, done: state === "done", seconds, expected: known(expected) };
  });
}

const stepSchema = z.looseObject({ timing: z.looseObject({ milliseconds: z.number() }).optional() });

/**
 * Whether a run is trained and has predicted these sets whole, and what that took: its steps and its answers.
 * @param validations answers in training that its log does not time
 */
function measuredRun(folder: string, sets: readonly string[], rows: RowCounts, validations = 0): Pick<Part, "done" | "seconds"> {
  if (!existsSync(join(folder, MANIFEST))) return { done: false, seconds: null };
  // What cannot be read the experiment itself tells of.
  try {
    const steps = readJsonl(join(folder, "log.jsonl"), stepSchema);
    const training = steps.reduce((seconds, { row }) => seconds + (row.timing?.milliseconds ?? 0) / 1000, 0);
    const atHand = sets.filter((set) => rows(set) > 0);
    const said = atHand.map((set) => readPredictions(predictionFile(folder, set)));
    const whole = said.every(({ length }, i) => length === rows(atHand[i]));
    const { seconds, prompts } = throughputOf(said.flat());
    const validation = prompts === 0 ? 0 : (validations * seconds) / prompts;
    return { done: whole, seconds: whole ? training + seconds + validation : null };
  } catch {
    return { done: false, seconds: null };
  }
}

function readIf<T>(file: string, schema: z.ZodType<T>): T | null {
  if (!existsSync(file)) return null;
  try {
    const parsed = schema.safeParse(JSON.parse(readFileSync(file, "utf8")));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

function total(sets: readonly string[], rows: RowCounts): number {
  return sets.reduce((sum, set) => sum + rows(set), 0);
}

/** NaN where the speed is not known. */
function times(count: number, speed: number | undefined): number {
  return speed === undefined ? NaN : count * speed;
}

function known(seconds: number): number | null {
  return Number.isNaN(seconds) ? null : seconds;
}
