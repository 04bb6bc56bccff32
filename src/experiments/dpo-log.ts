/** What a DPO training log says, step by step and as a whole. */
import { z } from "zod";
import { readJsonl } from "../data/jsonl.js";

const step = z.object({
  kind: z.literal("step"),
  step: z.number(),
  epoch: z.number(),
  loss: z.number(),
  learningRate: z.number(),
  rewardChosen: z.number(),
  rewardRejected: z.number(),
  rewardMargin: z.number(),
  rewardAccuracy: z.number(),
  chosenLogProb: z.number(),
  chosenChange: z.number(),
  chosenFell: z.boolean(),
  pairs: z.number(),
  tokens: z.number(),
  timing: z.object({ milliseconds: z.number() }),
});
const epoch = z.object({ kind: z.literal("epoch"), epoch: z.number(), validationLoss: z.number() });
const schema = z.discriminatedUnion("kind", [step, epoch]);

export type DpoLogStep = z.infer<typeof step>;

export interface DpoLog {
  readonly steps: readonly DpoLogStep[];
  /** Mean F1 over the selection sets after each epoch. */
  readonly validationF1: readonly number[];
}

export interface DpoTrainingFacts {
  readonly steps: number;
  /** Mean F1 over the selection sets after each epoch; the highest one, the first of equals, is kept. */
  readonly validationF1: readonly number[];
  readonly keptEpoch: number | null;
  /** Means over the last epoch's steps. */
  readonly rewardMargin: number;
  readonly rewardAccuracy: number;
  /** Log-probability of the chosen answers against the reference's; below 0 they grew less likely. */
  readonly chosenChange: number;
  readonly pairsPerSecond: number;
  readonly tokensPerSecond: number;
  /** Sum of the steps' wall times. */
  readonly seconds: number;
}

/** @throws DataFormatError naming line and field */
export function readDpoLog(file: string): DpoLog {
  const entries = readJsonl(file, schema).map(({ row }) => row);
  return {
    steps: entries.filter((entry) => entry.kind === "step"),
    validationF1: entries.flatMap((entry) => (entry.kind === "epoch" ? [1 - entry.validationLoss] : [])),
  };
}

export function dpoTrainingFacts({ steps, validationF1 }: DpoLog): DpoTrainingFacts {
  const sum = (rows: readonly DpoLogStep[], of: (row: DpoLogStep) => number): number =>
    rows.reduce((total, row) => total + of(row), 0);
  const last = steps.filter(({ epoch }) => epoch === steps.at(-1)?.epoch);
  const meanOfLast = (of: (row: DpoLogStep) => number): number => sum(last, of) / last.length;
  const seconds = sum(steps, ({ timing }) => timing.milliseconds) / 1000;
  return {
    steps: steps.length,
    validationF1,
    keptEpoch: validationF1.length === 0 ? null : validationF1.indexOf(Math.max(...validationF1)),
    rewardMargin: meanOfLast(({ rewardMargin }) => rewardMargin),
    rewardAccuracy: meanOfLast(({ rewardAccuracy }) => rewardAccuracy),
    chosenChange: meanOfLast(({ chosenChange }) => chosenChange),
    pairsPerSecond: seconds > 0 ? sum(steps, ({ pairs }) => pairs) / seconds : 0,
    tokensPerSecond: seconds > 0 ? sum(steps, ({ tokens }) => tokens) / seconds : 0,
    seconds,
  };
}
