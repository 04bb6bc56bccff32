/** The runs that a report is about: the user's own where there are such, else the recorded ones, each with where its numbers come from. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import { readJson } from "../experiments/run-folder.js";
import { findAblations } from "./ablation-runs.js";
import { findBaselines, type BaselineRecord } from "./baseline-runs.js";
import { findEvaluations } from "./benchmark-evaluations.js";
import type { Experiments } from "./bundle-findings.js";
import { commandOf, type RunKind } from "./bundle-command.js";
import { findDistillation } from "./distillation-runs.js";
import { findDpo } from "./dpo-runs.js";
import type { Found } from "./experiment-folder.js";
import { findRun } from "./experiment-folder.js";
import { findGrpo } from "./grpo-runs.js";
import { baselineModel, distilledModels, trainedModels, tunedModels, type MeasuredModel } from "./measured-models.js";
import { parameter } from "./parameters.js";
import { readExperiment } from "./runs.js";
import { readRequests, REQUESTS } from "./single-requests.js";

/** Where the numbers of one run come from. */
export interface RunFacts {
  readonly title: string;
  /** Below results/, or its last part for a folder elsewhere. */
  readonly folder: string;
  /** Made here, not recorded and shipped. */
  readonly own: boolean;
  readonly command: string | null;
  readonly notes: readonly string[];
  readonly seeds: readonly number[];
  /** Versions, code and machine, by a name for people. */
  readonly environment: readonly (readonly [name: string, value: string])[];
  /** sha256 of the rows of each set. */
  readonly data: readonly (readonly [set: string, hash: string])[];
}

export interface BundleRuns {
  readonly experiments: Experiments;
  /** All models but baselines, which have sets of their own. */
  readonly models: readonly MeasuredModel[];
  readonly baselines: readonly BaselineRecord[];
  /** Models and teachers that were opened by absolute paths. */
  readonly modelPaths: readonly string[];
  /** Test sets of the first experiment. */
  readonly testSets: readonly string[];
  /** Median milliseconds of a single request and its generated tokens, by model. */
  readonly requests: ReadonlyMap<string, SingleRequest>;
  readonly facts: readonly RunFacts[];
  /** Experiments that there is no run of, and how to make one. */
  readonly missing: readonly string[];
  /** When the newest of the runs was finished, or its single requests were timed, in milliseconds since 1970; 0 without runs. */
  readonly newest: number;
}

export interface SingleRequest {
  readonly milliseconds: number;
  readonly interval: { readonly low: number; readonly high: number } | null;
  readonly tokensPerPrompt: number;
}

const RESULTS = fileURLToPath(new URL("../../results", import.meta.url));

/** What titles of baselines begin with. */
export const ONLY_ASKED = "Zero-shot and guard models";

const TITLES: Readonly<Record<RunKind, string>> = {
  sft: "Supervised fine-tuning",
  dpo: "Preference training (DPO)",
  distillation: "Distillation",
  grpo: "Reinforcement learning (GRPO)",
  ablations: "Ablations of the training data",
};

/**
 * Reads every run below `results`. The environment variables that choose the notebooks' runs (TRUE_INTENTS_SFT and so on) choose these.
 * @throws DataFormatError or RunFolderError if what is there is damaged
 */
export function readBundleRuns(results = RESULTS): BundleRuns {
  const found = <Run extends { readonly folder: string }>(
    kind: RunKind,
    find: (name: string, command: string) => Found<Run>,
  ): Found<Run> =>
    find(parameter(`TRUE_INTENTS_${kind.toUpperCase()}`, `${kind}-small`), `npx true-intents run ${kind} --preset small`);
  const sft = found("sft", (name, command) => findRun(name, command, readExperiment, results));
  const dpo = found("dpo", (name, command) => findDpo(name, command, results));
  const distillation = found("distillation", (name, command) => findDistillation(name, command, results));
  const grpo = found("grpo", (name, command) => findGrpo(name, command, results));
  const ablations = found("ablations", (name, command) => findAblations(name, command, results));
  const runs = { sft, dpo, distillation, grpo, ablations };
  const folders = (Object.keys(runs) as RunKind[]).flatMap((kind) => {
    const { run } = runs[kind];
    return run === null ? [] : [{ kind, folder: run.folder }];
  });
  const baselines = findBaselines(results);
  const evaluations = findEvaluations(results);
  const models = [
    ...(sft.run === null ? [] : tunedModels(sft.run)),
    ...trainedModels(dpo.run, grpo.run),
    ...(distillation.run === null ? [] : distilledModels(distillation.run)),
    ...evaluations,
  ];
  return {
    experiments: { sft: sft.run, dpo: dpo.run, distillation: distillation.run, grpo: grpo.run },
    ...{ models, baselines },
    modelPaths: pathsAmong([
      ...models.flatMap(({ trained }) => trained?.base ?? []),
      ...(distillation.run?.models.values() ?? []),
      ...[...baselines, ...evaluations].map(({ model }) => model),
    ]),
    testSets: sft.run?.testSets ?? models.at(0)?.sets ?? [],
    requests: new Map([
      ...readRequests(models).map(({ model, medianMilliseconds: milliseconds, medianInterval: interval, tokensPerPrompt }) => {
        return [model, { milliseconds, interval, tokensPerPrompt }] as const;
      }),
      ...baselines.flatMap((baseline) =>
        baseline.single === null ? [] : [[baselineModel(baseline).name, baseline.single] as const],
      ),
    ]),
    facts: [
      ...folders.map(({ kind, folder }) => trainingFacts(kind, folder, results)),
      ...baselines.map((baseline) => baselineFacts(baseline, results)),
    ],
    missing: (Object.keys(runs) as RunKind[]).flatMap((kind) => {
      const { run, origin } = runs[kind];
      return run === null ? [`${TITLES[kind]}: ${origin.split("\n")[0]}`] : [];
    }),
    newest: Math.max(
      0,
      ...[...folders, ...baselines, ...evaluations].map(({ folder }) => changed(join(folder, "summary.json"))),
      ...folders.map(({ folder }) => changed(join(folder, REQUESTS))),
    ),
  };
}

/** Of names of models the absolute paths, without the engine that opened them. */
function pathsAmong(models: readonly string[]): string[] {
  return [...new Set(models.map((model) => model.replace(/^\w+:(?=\/(?!\/))/, "")).filter((model) => isAbsolute(model)))];
}

/** Milliseconds since 1970; 0 for a file that is not there. */
function changed(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

const number = z.number().nonnegative();
const environmentSchema = z.looseObject({
  trueIntents: z.string().optional(),
  commit: z.string().nullable().optional(),
  node: z.string().optional(),
  tfjs: z.string().optional(),
  ops: z.string().optional(),
  placement: z.string().optional(),
  precision: z.string().optional(),
  cpu: z.string().optional(),
  threads: number.optional(),
  memoryGiB: number.optional(),
  date: z.string().optional(),
  data: z.record(z.string(), z.string()).optional(),
});
export type Environment = z.infer<typeof environmentSchema>;

/** What describeEnvironment wrote, in words; what it did not know is left out. */
export function environmentLines(environment: Environment): [string, string][] {
  const { trueIntents, commit, node, tfjs, ops, placement, precision, cpu, threads, memoryGiB, date } = environment;
  const lines: readonly (readonly [string, string | null | undefined])[] = [
    ["True Intents", trueIntents],
    ["Commit", commit],
    ["Node.js", node],
    ["TensorFlow.js", tfjs],
    ["Arithmetic", ops && [ops, placement, precision].filter(Boolean).join(", ")],
    ["Machine", cpu && `${cpu}, ${threads ?? "?"} threads, ${memoryGiB ?? "?"} GiB of memory`],
    ["Begun", date],
  ];
  return lines.flatMap(([name, value]) => (value ? [[name, value]] : []));
}

const configSchema = z.looseObject({ seeds: z.array(z.number()).optional() });

function trainingFacts(kind: RunKind, folder: string, results: string): RunFacts {
  const configFile = join(folder, "config.json");
  const config = checkRow(configSchema, readJson(configFile), configFile, 0);
  // An ablation's arms are experiments of their own, whose arithmetic is one and the same; what it says itself goes before.
  const files = [folder, ...armsIn(folder)].map((below) => join(below, "environment.json")).filter(existsSync);
  const said = files.map((file) => checkRow(environmentSchema, readJson(file), file, 0));
  const environment: Environment = { ...said.at(-1), ...said.at(0) };
  return {
    ...{ title: TITLES[kind], ...placeOf(folder, results), ...commandOf(kind, config, folder), seeds: config.seeds ?? [] },
    ...{ environment: environmentLines(environment), data: Object.entries(environment.data ?? {}) },
  };
}

function armsIn(folder: string): string[] {
  const arms = join(folder, "arms");
  return existsSync(arms) ? readdirSync(arms).map((name) => join(arms, name)) : [];
}

function baselineFacts({ folder, model, form }: BaselineRecord, results: string): RunFacts {
  const file = join(folder, "summary.json");
  const { environment } = checkRow(z.looseObject({ environment: environmentSchema }), readJson(file), file, 0);
  return {
    ...{ title: `${ONLY_ASKED}: ${model}, ${form}`, ...placeOf(folder, results), seeds: [] },
    ...{ command: null, notes: [`made by npx true-intents baseline --form ${form}`] },
    ...{ environment: environmentLines(environment), data: Object.entries(environment.data ?? {}) },
  };
}

function placeOf(folder: string, results: string): { readonly folder: string; readonly own: boolean } {
  const below = relative(results, folder);
  return { folder: below.startsWith("..") ? basename(folder) : `results/${below}`, own: !below.startsWith("recorded") };
}
