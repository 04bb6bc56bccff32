/** A finished DPO experiment on disk, as `true-intents run dpo` leaves it, written by the project's own functions from made-up answers. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LabelledPrompt } from "../../src/data/prompt.js";
import { openPredictions, type Prediction } from "../../src/evaluate/predictions.js";
import type { DpoConfig } from "../../src/experiments/dpo-config.js";
import { dpoTrainingFacts, type DpoLog, type DpoLogStep } from "../../src/experiments/dpo-log.js";
import type { MiningFacts } from "../../src/experiments/dpo-pairs.js";
import { summariseDpo, summariseDpoRun, type DpoSummary, type DpoTrained } from "../../src/experiments/dpo-summary.js";
import { DPO_PRESETS } from "../../src/experiments/presets/dpo.js";
import { predictionFile, writeJson } from "../../src/experiments/run-folder.js";
import type { NamedSet } from "../../src/experiments/sets.js";
import { countMined, type MinedSample, type SampleOutcome } from "../../src/intent/mined.js";
import type { Judge } from "../../src/intent/judge.js";
import { judgeAgreement } from "../../src/intent/judge-agreement.js";
import { pairSet, pairsOf, type PairSetName } from "../../src/intent/pair-sets.js";
import { writePairs } from "../../src/intent/pairs-file.js";
import { writeFileAtomic } from "../../src/model/weights/atomic-file.js";

/** Calls an intent good that begins as the gold one does, bad if it says so, decent otherwise. */
export const fakeJudge: Judge = {
  name: "made-up judge",
  judge: (items) =>
    Promise.resolve(
      items.map(({ goldIntent, sampledIntent }) =>
        sampledIntent.includes("(unfaithful)") ? "bad" : sampledIntent.startsWith(goldIntent.slice(0, 12)) ? "good" : "decent",
      ),
    ),
};

/** One axis a text: equal texts have cosine 1, others 0. */
export function fakeEncode(): (texts: readonly string[]) => Promise<Float32Array[]> {
  const known = new Map<string, number>();
  return (texts) =>
    Promise.resolve(
      texts.map((text) => {
        if (!known.has(text)) known.set(text, known.size);
        const vector = new Float32Array(8192);
        vector[known.get(text)!] = 1;
        return vector;
      }),
    );
}

/** A sample of a row with this outcome; the label of the intent alone follows from it. */
export function minedSample(row: LabelledPrompt, sample: number, outcome: SampleOutcome, sampledIntent: string): MinedSample {
  const { id, prompt, harm: goldHarm, theme, level } = row;
  const verdict = /^judge_(good|decent|bad)$/.exec(outcome)?.[1] as "good" | "decent" | "bad" | undefined;
  const other = goldHarm === "harmful" ? "safe" : "harmful";
  return {
    ...{ id: `${id}#${sample}`, rowId: id, sample, prompt, goldIntent: row.intent!, goldHarm },
    ...(theme !== undefined && { theme }),
    ...(level !== undefined && { level }),
    ...{ completion: `Intent: ${sampledIntent}; Harm: ${goldHarm}`, sampledIntent, sampledHarm: goldHarm },
    relabelledHarm: outcome === "label_error" ? other : verdict === undefined ? null : goldHarm,
    ...{ judgeVerdict: verdict ?? null, outcome, failure: null },
  };
}

/** Steps of which each epoch has as many; `fall` is what the chosen answers lose a step. */
export function fakeLog(stepsAnEpoch: number, validationF1: readonly number[], fall = 0): DpoLog {
  const steps = Array.from({ length: stepsAnEpoch * validationF1.length }, (_, i): DpoLogStep => {
    const share = i / (stepsAnEpoch * validationF1.length);
    const [rewardChosen, rewardRejected] = [-0.3 * fall * i, -0.3 * fall * i - 2 * share];
    return {
      ...{ kind: "step", step: i + 1, epoch: Math.floor(i / stepsAnEpoch), loss: 0.7 - 0.4 * share, learningRate: 5e-5 },
      ...{ rewardChosen, rewardRejected, rewardMargin: rewardChosen - rewardRejected, rewardAccuracy: 0.5 + 0.5 * share },
      ...{ chosenLogProb: -20 - fall * i, chosenChange: -fall * i, chosenFell: fall * i > 0.1, pairs: 4, tokens: 400 },
      timing: { milliseconds: 500 },
    };
  });
  return { steps, validationF1 };
}

export interface FakeDpoRun {
  readonly condition: "sft" | PairSetName;
  readonly seed: number;
  /** By set. */
  readonly predictions: Readonly<Record<string, readonly Prediction[]>>;
  /** Of a trained condition. */
  readonly log?: DpoLog;
}

export interface FakeDpo {
  readonly sets: readonly NamedSet[];
  readonly runs: readonly FakeDpoRun[];
  /** By seed. */
  readonly samples: Readonly<Record<number, readonly MinedSample[]>>;
  readonly skipped?: DpoSummary["skipped"];
  readonly leftOut?: DpoSummary["leftOut"];
  readonly config?: Partial<DpoConfig>;
}

export async function writeDpo(fake: FakeDpo, folder = mkdtempSync(join(tmpdir(), "dpo-experiment-"))): Promise<string> {
  const { sets, runs, samples, skipped = [], leftOut = [] } = fake;
  const seeds = [...new Set(runs.map(({ seed }) => seed))];
  const config: DpoConfig = { ...DPO_PRESETS.smoke, seeds, ...fake.config };
  const mining: Record<string, MiningFacts> = {};
  for (const [seed, mined] of Object.entries(samples)) {
    const pairs = pairsOf(mined);
    mkdirSync(join(folder, "runs", `seed-${seed}`), { recursive: true });
    writePairs(join(folder, "runs", `seed-${seed}`, "pairs.jsonl"), pairs);
    const skippedRows = { noGoldIntent: 0, unwritableGold: [] };
    const common = { counts: countMined(mined), skipped: skippedRows, distinctIntents: mined.length, samplesAPrompt: 2 };
    mining[seed] = { ...common, engine: "made-up", judge: fakeJudge.name, pairs: pairs.length, seconds: 1 };
  }
  const instruments = {
    judge: fakeJudge,
    encoder: { dimension: 8192, encode: fakeEncode(), free: () => undefined },
    close: () => Promise.resolve(),
  };
  const trained: DpoTrained[] = [];
  for (const { condition, seed, predictions, log } of runs) {
    const path = `runs/seed-${seed}/${condition}`;
    for (const [set, rows] of Object.entries(predictions)) {
      const writer = openPredictions(predictionFile(join(folder, path), set));
      for (const row of rows) writer.append(row);
      writer.close();
    }
    if (log !== undefined) writeLog(join(folder, path, "log.jsonl"), log);
    const own = condition === "sft" ? null : pairSet(pairsOf(samples[seed] ?? []), condition).length;
    const said = new Map(Object.entries(predictions));
    trained.push({ condition, seed, folder: path, pairs: own, training: log ? dpoTrainingFacts(log) : null, predictions: said });
  }
  const summaries = [];
  for (const run of trained) summaries.push(await summariseDpoRun(run, sets, instruments));
  const annotated = [
    { prompt: "p1", first: "To fix a bike", second: "To fix a bike at home" },
    { prompt: "p2", first: "To bake some bread", second: "To buy bread" },
  ];
  const judge = { sample: await judgeAgreement(fakeJudge, annotated, { resamples: 20 }) };
  const tests = sets.filter(({ name }) => config.testSets.includes(name));
  const summary = summariseDpo(config, trained, summaries, sets, tests, { judge, mining, leftOut, skipped });
  writeJson(join(folder, "summary.json"), summary);
  writeJson(join(folder, "config.json"), config);
  return folder;
}

function writeLog(file: string, { steps, validationF1 }: DpoLog): void {
  const lines = validationF1.flatMap((f1, epoch) => [
    ...steps.filter((step) => step.epoch === epoch),
    { kind: "epoch", epoch, validationLoss: 1 - f1 },
  ]);
  writeFileAtomic(file, (append) => append(Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))));
}
