/**
 * What a GRPO run writes while it trains: `log.jsonl`, a line a step and a validation, and every rollout, a line each:
 *
 *     rollouts/step-000012.jsonl   those that step 12 learnt from
 *     watched/step-000010.jsonl    of a few prompts of a selection set, always the same ones, after step 10
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readJsonl } from "../data/jsonl.js";

const share = z.number().min(0).max(1);
const mean = z.number().nullable();

/** Mean of each part of the reward over the rollouts that got as far as it; null if none did. */
const parts = z.object({
  /** Over all rollouts. */
  format: mean,
  /** Over the rollouts whose format was read. */
  label: mean,
  /** Over the rollouts with the right label. Null with the label-only reward, as is `judge`. */
  length: mean,
  judge: mean,
});

const step = z.object({
  kind: z.literal("step"),
  /** Rollout batches done, this one included. */
  step: z.number(),
  totalSteps: z.number(),
  /** Pass over the training rows, from 0. */
  epoch: z.number(),
  /** Optimiser steps taken in this one; 0 if every group was skipped: loss and gradient norm are 0 then. */
  updates: z.number(),
  learningRate: z.number(),
  /** Means over the updates. */
  loss: z.number(),
  gradientNorm: z.number(),
  /** Low-variance estimate of the KL divergence from the start adapter, nats a token; null without an update. */
  kl: mean,
  /** Share of the tokens, over updates, whose ratio was clipped. */
  clipFraction: z.number(),
  /** Of the policy's next token at the rollouts' temperature, nats: mean of -log p of the sampled tokens. Null if not known. */
  entropy: mean,
  /** Mean distance of the sampled tokens' log-probabilities from what training computes; null if not known. */
  samplingDifference: mean,
  /** Mean over all rollouts: each is the product of its parts, 0 where one was not reached. */
  reward: z.number(),
  /** Deviation within a group (n - 1), mean over the groups. */
  rewardDeviation: z.number(),
  parts,
  /** What cost most, by rollouts: "full", "label", "no_form", "judge_bad", … as the reward names it. */
  reasons: z.record(z.string(), z.number()),
  /** Prompts, of which those are skipped whose rollouts all had one reward: nothing to learn from. */
  groups: z.number(),
  skippedGroups: z.number(),
  rollouts: z.number(),
  /** Rollouts that the judge was asked about, and how many of them it gave no verdict on (they count as bad). */
  judged: z.number(),
  unjudged: z.number(),
  /** Share of the rollouts whose format reward is 0, and of those that were cut at the longest length. */
  unparsed: share,
  truncated: share,
  /** Rollouts of a server that did not say which tokens it drew. */
  retokenised: z.number(),
  /** Tokens of a rollout, and of all. */
  meanLength: z.number(),
  longest: z.number(),
  completionTokens: z.number(),
  /** With each prompt counted once. */
  tokens: z.number(),
  timing: z.object({
    /** Of the whole step; of sampling, and of waiting for the judge after it. */
    milliseconds: z.number(),
    sampling: z.number(),
    judging: z.number(),
    /** Sampled and rewarded: training on them is not counted. */
    rolloutsPerSecond: z.number(),
    residentMiB: z.number(),
  }),
});

const validated = z.object({ f1: mean, unparsed: share, intentCosine: mean });

const validation = z.object({
  kind: z.literal("validation"),
  /** Steps done; 0: the start. */
  step: z.number(),
  epoch: z.number(),
  /** Mean F1 over the selection sets; a set on which it is not defined counts 0. */
  f1: z.number(),
  /** The highest so far, and the first of equals: the adapter that is kept. */
  best: z.boolean(),
  /** By set. Unparsed answers count as wrong; cosines of the stated intents to the gold ones, null for a set without. */
  sets: z.record(z.string(), validated),
  timing: z.object({ milliseconds: z.number() }),
});

const schema = z.discriminatedUnion("kind", [step, validation]);

export type GrpoLogStep = z.infer<typeof step>;
export type GrpoLogValidation = z.infer<typeof validation>;
export type GrpoLogParts = z.infer<typeof parts>;

export interface GrpoLog {
  readonly steps: readonly GrpoLogStep[];
  /** Begins with the start adapter's, at step 0. */
  readonly validations: readonly GrpoLogValidation[];
}

export interface GrpoTrainingFacts {
  readonly steps: number;
  readonly updates: number;
  /** Of all groups, those that were left out because all their rollouts had one reward. */
  readonly skippedGroups: number;
  readonly groups: number;
  readonly rollouts: number;
  /** Rollouts that the judge gave no verdict on, and those that it was asked about. */
  readonly unjudged: number;
  readonly judged: number;
  /** Means over the first and the last fifth of the steps (at least one): did the reward rise? */
  readonly first: GrpoStretch;
  readonly last: GrpoStretch;
  /** By validation: steps done and mean F1. */
  readonly validationF1: readonly { readonly step: number; readonly f1: number }[];
  /** Steps done at the validation whose adapter was kept; 0: the start was not improved on. */
  readonly keptStep: number;
  /** Of the whole steps: sampled, rewarded and trained on. */
  readonly trainedRolloutsPerSecond: number;
  /** Sum of the wall times of steps and validations. */
  readonly seconds: number;
}

/** Means over some steps. */
export interface GrpoStretch {
  readonly reward: number;
  readonly unparsed: number;
  readonly truncated: number;
  readonly meanLength: number;
  /** Null without an optimiser step. */
  readonly kl: number | null;
}

/** @throws DataFormatError naming line and field */
export function readGrpoLog(file: string): GrpoLog {
  const entries = readJsonl(file, schema).map(({ row }) => row);
  return {
    steps: entries.filter((entry) => entry.kind === "step"),
    validations: entries.filter((entry) => entry.kind === "validation"),
  };
}

/** @param log of a finished run: at least one step */
export function grpoTrainingFacts({ steps, validations }: GrpoLog): GrpoTrainingFacts {
  const sum = (of: (row: GrpoLogStep) => number): number => steps.reduce((total, row) => total + of(row), 0);
  const seconds = [...steps, ...validations].reduce((total, { timing }) => total + timing.milliseconds, 0) / 1000;
  const stepSeconds = sum(({ timing }) => timing.milliseconds) / 1000;
  const fifth = Math.max(1, Math.round(steps.length / 5));
  return {
    steps: steps.length,
    updates: sum(({ updates }) => updates),
    skippedGroups: sum(({ skippedGroups }) => skippedGroups),
    groups: sum(({ groups }) => groups),
    rollouts: sum(({ rollouts }) => rollouts),
    unjudged: sum(({ unjudged }) => unjudged),
    judged: sum(({ judged }) => judged),
    first: stretch(steps.slice(0, fifth)),
    last: stretch(steps.slice(-fifth)),
    validationF1: validations.map(({ step: at, f1 }) => ({ step: at, f1 })),
    keptStep: validations.findLast(({ best }) => best)?.step ?? 0,
    trainedRolloutsPerSecond: stepSeconds > 0 ? sum(({ rollouts }) => rollouts) / stepSeconds : 0,
    seconds,
  };
}

function stretch(steps: readonly GrpoLogStep[]): GrpoStretch {
  const average = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0) / values.length;
  const moved = steps.flatMap(({ kl }) => (kl === null ? [] : [kl]));
  return {
    reward: average(steps.map(({ reward }) => reward)),
    unparsed: average(steps.map(({ unparsed }) => unparsed)),
    truncated: average(steps.map(({ truncated }) => truncated)),
    meanLength: average(steps.map(({ meanLength }) => meanLength)),
    kl: moved.length === 0 ? null : average(moved),
  };
}

/** One rollout with all that its reward came from. A part that was not reached is null. */
const rollout = z.object({
  /** Of training: the step it was sampled for, from 1. Of a watched prompt: steps done. */
  step: z.number(),
  /** Id of the row. */
  id: z.string(),
  sample: z.number(),
  prompt: z.string(),
  gold: z.object({ harm: z.enum(["harmful", "safe"]), intent: z.string().nullable() }),
  /** What the model wrote, special tokens left out: hostile text. */
  text: z.string(),
  truncated: z.boolean(),
  tokens: z.number(),
  /** As it was read. */
  harm: z.enum(["harmful", "safe", "unparsed"]),
  intent: z.string().nullable(),
  verdict: z.enum(["good", "decent", "bad"]).nullable(),
  reward: z.number(),
  parts: z.object({ format: z.number(), label: mean, length: mean, judge: mean }),
  /** What cost most; "full" if nothing did. */
  reason: z.string(),
  /** Null: its group was skipped, or it is of a watched prompt. */
  advantage: z.number().nullable(),
});

export type LoggedRollout = z.infer<typeof rollout>;

/** Folders below a run's. */
export const ROLLOUTS = "rollouts";
export const WATCHED = "watched";

/** The file of a step in one of these folders. */
export function rolloutFile(folder: string, step: number): string {
  return join(folder, `step-${String(step).padStart(6, "0")}.jsonl`);
}

/** Reads such a folder in the order of its steps, a file at a time. @throws DataFormatError naming file, line and field */
export function* readRollouts(folder: string): Generator<LoggedRollout> {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /^step-\d{6,}\.jsonl$/.test(name)) : [];
  for (const name of names.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1)))
    for (const { row } of readJsonl(join(folder, name), rollout)) yield row;
}
