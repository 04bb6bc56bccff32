/** The last stage of a reproduction: single requests of every model that the others trained. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { distilledModels, trainedModels, tunedModels, type MeasuredModel } from "../report/measured-models.js";
import { readDistillation } from "../report/distillation-runs.js";
import { readDpo } from "../report/dpo-runs.js";
import { readGrpo } from "../report/grpo-runs.js";
import { readExperiment } from "../report/runs.js";
import { readRequests, REQUESTS, untimed } from "../report/single-requests.js";
import type { Part } from "./reproduce-plan.js";
import { MissingInputError, type Stage } from "./reproduce.js";
import { requestLatencies } from "./requests.js";

/** An experiment whose models are timed. */
export interface TimedExperiment {
  readonly kind: "sft" | "dpo" | "distillation" | "grpo";
  readonly folder: string;
  /** The models that it will train, as far as it is not finished: a base model and a format each. */
  readonly planned: readonly { readonly base: string; readonly format: RequestFormat }[];
  /** Whether it is run in this reproduction, if it is not finished. */
  readonly willRun: () => boolean;
}

export type RequestFormat = "generation" | "classification" | "distillation";

/** Seconds of a request on two quiet cores (results/recorded): the means of what is in their requests.json. */
const SECONDS: Readonly<Record<string, Partial<Record<RequestFormat, number>>>> = {
  "gemma-3-270m": { generation: 0.4, classification: 0.11 },
  "smollm2-135m-instruct": { distillation: 1.3 },
};
/** Thirty that are timed, and three before them. */
const COUNT = 33;

/** @param before what has to be run where nothing is trained */
export function latencyStage(experiments: readonly TimedExperiment[], before: string): Stage {
  return {
    name: "latency",
    what: "single requests of every model",
    after: [],
    look: () => {
      const looks = experiments.map(look);
      const parts = looks.flatMap((one) => one.parts);
      const finished = parts.length > 0 && parts.every(({ done }) => done);
      const missing = parts.length === 0 ? `it needs sft first: ${before}` : null;
      const warning = looks.find((one) => one.warning !== null)?.warning ?? null;
      return { parts, finished, begun: parts.some(({ done }) => done), missing, warning };
    },
    run: async ({ fresh, signal }) => {
      if (fresh) for (const { folder } of experiments) rmSync(join(folder, REQUESTS), { force: true });
      const times = await requestLatencies(experiments.flatMap(modelsOf), signal);
      if (times.length === 0) throw new MissingInputError("no experiment has an adapter to time");
    },
  };
}

function look(experiment: TimedExperiment): { readonly parts: readonly Part[]; readonly warning: string | null } {
  const { kind, planned, willRun } = experiment;
  const part = (done: boolean, seconds: number | undefined): Part => ({
    ...{ kind: `latency, ${kind}`, done, seconds: null },
    expected: seconds === undefined ? null : COUNT * seconds,
  });
  const finished = isFinished(experiment);
  if (!finished && !willRun()) return { parts: [], warning: null };
  const expected = planned.map(({ base, format }) => SECONDS[base]?.[format]);
  const none = expected.map((seconds) => part(false, seconds));
  if (!finished) return { parts: none, warning: null };
  try {
    const models = modelsOf(experiment);
    const known = readRequests(models);
    const left = untimed(models, known).map((_, i) => part(false, expected.at(known.length + i) ?? expected.at(-1)));
    return { parts: [...known.map(() => part(true, undefined)), ...left], warning: null };
  } catch (error) {
    // The stage itself fails with it, and no other has to.
    return { parts: none, warning: error instanceof Error ? error.message : String(error) };
  }
}

function isFinished({ folder }: TimedExperiment): boolean {
  return existsSync(join(folder, "summary.json"));
}

/** What a finished experiment trained. */
function modelsOf(experiment: TimedExperiment): MeasuredModel[] {
  if (!isFinished(experiment)) return [];
  const { kind, folder } = experiment;
  switch (kind) {
    case "sft":
      return tunedModels(readExperiment(folder));
    case "dpo":
      return trainedModels(readDpo(folder), null);
    case "distillation":
      return distilledModels(readDistillation(folder));
    case "grpo":
      return trainedModels(null, readGrpo(folder));
  }
}
