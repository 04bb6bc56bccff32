/** A finished GRPO experiment on disk, as `true-intents run grpo` leaves it, written by the project's own functions from made-up answers. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openPredictions, type Prediction } from "../../src/evaluate/predictions.js";
import { summariseDpoRun } from "../../src/experiments/dpo-summary.js";
import type { GrpoConfig } from "../../src/experiments/grpo-config.js";
import {
  grpoTrainingFacts,
  rolloutFile,
  WATCHED,
  type GrpoLog,
  type GrpoLogStep,
  type GrpoLogValidation,
  type LoggedRollout,
} from "../../src/experiments/grpo-log.js";
import { summariseGrpo, type GrpoCondition, type GrpoSummary, type GrpoTrained } from "../../src/experiments/grpo-summary.js";
import { GRPO_PRESETS } from "../../src/experiments/presets/grpo.js";
import { predictionFile, writeJson } from "../../src/experiments/run-folder.js";
import type { NamedSet } from "../../src/experiments/sets.js";
import { judgeAgreement } from "../../src/intent/judge-agreement.js";
import { writeFileAtomic } from "../../src/model/weights/atomic-file.js";
import { fakeEncode, fakeJudge } from "./dpo-folder.js";

/** A step of four groups of four rollouts in half a second; everything that is not given is the same for all. */
export function fakeStep(step: number, more: Partial<GrpoLogStep> = {}): GrpoLogStep {
  return {
    ...{ kind: "step", step, totalSteps: 10, epoch: 0, updates: 1, learningRate: 1e-4, loss: 0.01, gradientNorm: 1 },
    ...{ kl: 0.001 * step, clipFraction: 0.01, entropy: 1.5, samplingDifference: 0.001, reward: 0.5, rewardDeviation: 0.2 },
    ...{ parts: { format: 0.9, label: 0.8, length: 0.7, judge: 0.6 }, reasons: { full: 8, label: 6, no_form: 2 } },
    ...{ groups: 4, skippedGroups: 1, rollouts: 16, judged: 10, unjudged: 0, unparsed: 0.125, truncated: 0.0625 },
    ...{ retokenised: 0, meanLength: 20, longest: 40, completionTokens: 320, tokens: 500 },
    timing: { milliseconds: 500, sampling: 200, judging: 50, rolloutsPerSecond: 32, residentMiB: 100 },
    ...more,
  };
}

/** A validation on one set; `best` is whatever the F1s before it say. */
export function fakeValidations(
  set: string,
  values: readonly { readonly step: number; readonly f1: number; readonly intentCosine?: number | null }[],
): GrpoLogValidation[] {
  return values.map(({ step, f1, intentCosine = 0.5 }, i) => ({
    ...{ kind: "validation", step, epoch: 0, f1, best: values.slice(0, i).every((before) => before.f1 < f1) },
    sets: { [set]: { f1, unparsed: 0, intentCosine } },
    timing: { milliseconds: 1000 },
  }));
}

/** As many steps as there are rewards. */
export function fakeGrpoLog(
  rewards: readonly number[],
  validations: readonly GrpoLogValidation[],
  more: Partial<GrpoLogStep> = {},
): GrpoLog {
  return { steps: rewards.map((reward, i) => fakeStep(i + 1, { reward, totalSteps: rewards.length, ...more })), validations };
}

export function fakeRollout(step: number, id: string, more: Partial<LoggedRollout> = {}): LoggedRollout {
  return {
    ...{ step, id, sample: 0, prompt: `prompt of ${id}`, gold: { harm: "safe", intent: `To learn about ${id}` } },
    ...{ text: `Intent: To learn about ${id}; Harm: safe`, truncated: false, tokens: 9, harm: "safe" },
    ...{ intent: `To learn about ${id}`, verdict: "good", reward: 1 },
    ...{ parts: { format: 1, label: 1, length: 1, judge: 1 }, reason: "full", advantage: null },
    ...more,
  };
}

export interface FakeGrpoRun {
  readonly condition: GrpoCondition;
  readonly seed: number;
  /** By set. */
  readonly predictions: Readonly<Record<string, readonly Prediction[]>>;
  /** Of a trained condition. */
  readonly log?: GrpoLog;
  readonly watched?: readonly LoggedRollout[];
}

export interface FakeGrpo {
  readonly sets: readonly NamedSet[];
  /** Every condition of every seed. */
  readonly runs: readonly FakeGrpoRun[];
  readonly leftOut?: GrpoSummary["leftOut"];
  readonly config?: Partial<GrpoConfig>;
}

export async function writeGrpo(fake: FakeGrpo, folder = mkdtempSync(join(tmpdir(), "grpo-experiment-"))): Promise<string> {
  const { sets, runs, leftOut = [] } = fake;
  const seeds = [...new Set(runs.map(({ seed }) => seed))];
  const rewards = [...new Set(runs.flatMap(({ condition }) => (condition === "start" ? [] : [condition])))];
  const config: GrpoConfig = { ...GRPO_PRESETS.smoke, seeds, rewards, ...fake.config };
  const instruments = {
    judge: fakeJudge,
    encoder: { dimension: 8192, encode: fakeEncode(), free: () => undefined },
    close: () => Promise.resolve(),
  };
  const trained: GrpoTrained[] = [];
  for (const { condition, seed, predictions, log, watched = [] } of runs) {
    const path = config.start === "instruct" && condition === "start" ? "runs/start" : `runs/seed-${seed}/${condition}`;
    for (const [set, rows] of Object.entries(predictions)) {
      const writer = openPredictions(predictionFile(join(folder, path), set));
      for (const row of rows) if (!writer.previous.some(({ id }) => id === row.id)) writer.append(row);
      writer.close();
    }
    if (log !== undefined) writeLines(join(folder, path, "log.jsonl"), [...log.validations, ...log.steps]);
    for (const step of new Set(watched.map((rollout) => rollout.step))) {
      const file = rolloutFile(join(folder, path, WATCHED), step);
      writeLines(
        file,
        watched.filter((rollout) => rollout.step === step),
      );
    }
    const said = new Map(Object.entries(predictions));
    trained.push({ condition, seed, folder: path, training: log ? grpoTrainingFacts(log) : null, predictions: said });
  }
  const summaries = [];
  for (const run of trained) summaries.push(await summariseDpoRun(run, sets, instruments));
  const annotated = [
    { prompt: "p1", first: "To fix a bike", second: "To fix a bike at home" },
    { prompt: "p2", first: "To bake some bread", second: "To buy bread" },
  ];
  const judge = { sample: await judgeAgreement(fakeJudge, annotated, { resamples: 20 }) };
  const tests = sets.filter(({ name }) => config.testSets.includes(name));
  writeJson(join(folder, "summary.json"), summariseGrpo(config, trained, summaries, sets, tests, { judge, leftOut }));
  writeJson(join(folder, "config.json"), config);
  return folder;
}

function writeLines(file: string, rows: readonly object[]): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileAtomic(file, (append) => append(Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(""))));
}
