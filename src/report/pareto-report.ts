/** The Pareto notebook: what was measured here as points beside the paper's, in batches and one request at a time. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import { bootstrapMean } from "../evaluate/bootstrap.js";
import { measureRequests, type RequestLatency } from "../evaluate/latency.js";
import { f1Statistic } from "../evaluate/statistic.js";
import { openExperimentModel } from "../experiments/model.js";
import { readJson, writeJson } from "../experiments/run-folder.js";
import { checkSftConfig, MODES, type Mode } from "../experiments/sft-config.js";
import { FORMATS, runFolder } from "../experiments/sft-run.js";
import { loadSample } from "../data/sample.js";
import { loadAdapter } from "../model/language-model.js";
import type { ParetoPoint, Range } from "./pareto.js";
import { loadPublished } from "./published.js";
import { chosenRuns, modesOf, predictionsOf, type ExperimentRecord } from "./runs.js";

/** Points as table rows, the fastest first. */
export function pointTable(points: readonly ParetoPoint[], frontier: readonly ParetoPoint[]): object[] {
  return points
    .toSorted((a, b) => a.millisecondsPerPrompt - b.millisecondsPerPrompt)
    .map((point) => ({
      model: point.model,
      from: point.group,
      "ms a prompt": point.millisecondsPerPrompt,
      "its 95% interval": rangeOf(point.latencyInterval, (value) => value.toPrecision(3)),
      "tokens a prompt": point.tokensPerPrompt,
      unparsed: point.unparsed === null ? "–" : `${(100 * point.unparsed).toFixed(1)}%`,
      [point.measure]: point.score.toFixed(3),
      "95% interval": rangeOf(point.interval, (value) => value.toFixed(3)),
      over: point.sets,
      "on its frontier": frontier.includes(point) ? "yes" : "",
    }));
}

function rangeOf(range: Range | null, text: (value: number) => string): string {
  return range === null ? "–" : `${text(range.low)} to ${text(range.high)}`;
}

/** Published F1s on one benchmark beside ours: the one comparison on the same prompts. */
export function sameSetTable(experiment: ExperimentRecord, set: "xstest"): object[] {
  const ours = modesOf(experiment).flatMap((mode) => {
    const runs = predictionsOf(experiment, mode, set);
    const interval = runs.length === 0 ? null : bootstrapMean([runs], f1Statistic());
    if (interval === null) return [];
    return [{ model: `${experiment.model} SFT, ${mode}`, from: "measured here", F1: interval.estimate }];
  });
  const published = loadPublished("benchmark-main").rows.map(({ group, model, f1 }) => ({
    model,
    from: group.replace("Ours", "the paper"),
    F1: f1[set],
  }));
  return [...published, ...ours].sort((a, b) => b.F1 - a.F1).map((row) => ({ ...row, F1: row.F1.toFixed(3) }));
}

/** Single requests of one mode's first seed. */
export interface ModeLatency extends RequestLatency {
  readonly mode: Mode;
}

const FILE = "requests.json";
const schema = z.array(
  z.strictObject({
    mode: z.enum(MODES),
    requests: z.number().int().positive(),
    medianMilliseconds: z.number().positive(),
    // Timings of earlier versions have none.
    medianInterval: z.strictObject({ low: z.number().positive(), high: z.number().positive() }).nullable().default(null),
    p95Milliseconds: z.number().positive(),
    tokensPerPrompt: z.number().nonnegative(),
  }),
);

/** The times that were measured of an experiment; null if none were. @throws DataFormatError or RunFolderError for a damaged file */
export function readRequests({ folder }: ExperimentRecord): ModeLatency[] | null {
  const file = join(folder, FILE);
  return existsSync(file) ? checkRow(schema, readJson(file), file, 0) : null;
}

/**
 * Times single requests on prompts of our own test split, once: the numbers are kept as `requests.json` in the experiment's folder.
 * @returns null if they were not measured and the folder has no adapters to measure with (a recorded run).
 */
export async function requestLatencies(experiment: ExperimentRecord, signal?: AbortSignal): Promise<ModeLatency[] | null> {
  const known = readRequests(experiment);
  if (known !== null) return known;
  const chosen = modesOf(experiment).map((mode) => chosenRuns(experiment, mode)[0]);
  const folders = chosen.map((run) => join(experiment.folder, runFolder(run), "adapter"));
  if (!folders.every((folder) => existsSync(folder))) return null;
  const configFile = join(experiment.folder, "config.json");
  const config = checkSftConfig(readJson(configFile), configFile);
  const rows = loadSample().filter(({ split }) => split === "test");
  const model = await openExperimentModel(config, experiment.folder, signal);
  try {
    const measured: ModeLatency[] = [];
    for (const [i, { mode }] of chosen.entries()) {
      const adapter = loadAdapter(model, folders[i]);
      try {
        const options = { lora: adapter.lora, ...(signal && { signal }) };
        const latency = await measureRequests(model, FORMATS[mode], rows, options);
        if (latency !== null) measured.push({ mode, ...latency });
      } finally {
        adapter.free();
      }
    }
    writeJson(join(experiment.folder, FILE), measured);
    return measured;
  } finally {
    model.free();
  }
}

/** Single requests as table rows. */
export function requestTable(latencies: readonly ModeLatency[]): object[] {
  return latencies.map(({ mode, requests, medianMilliseconds, medianInterval, p95Milliseconds, tokensPerPrompt }) => ({
    ...{ mode, requests, "median, ms": medianMilliseconds.toFixed(0) },
    "its 95% interval": rangeOf(medianInterval, (value) => value.toFixed(0)),
    "95th percentile, ms": p95Milliseconds.toFixed(0),
    "tokens a prompt": tokensPerPrompt.toFixed(1),
  }));
}

/** The measured points at the median of a single request instead of the time in batches. */
export function requestPoints(points: readonly ParetoPoint[], latencies: readonly ModeLatency[]): ParetoPoint[] {
  return latencies.flatMap(({ mode, medianMilliseconds: millisecondsPerPrompt, medianInterval, tokensPerPrompt }) => {
    const point = points.find(({ model }) => model.endsWith(`, ${mode}`));
    return point === undefined ? [] : [{ ...point, millisecondsPerPrompt, latencyInterval: medianInterval, tokensPerPrompt }];
  });
}
