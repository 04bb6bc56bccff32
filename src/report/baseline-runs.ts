/** Baselines on disk (src/experiments/baseline.ts), and their points beside those of trained models. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import type { Prediction } from "../evaluate/predictions.js";
import { LABELS } from "../experiments/ablations-labels.js";
import { wholePredictions } from "../experiments/pinned-data.js";
import { readJson } from "../experiments/run-folder.js";
import { baselineModel } from "./measured-models.js";
import type { ParetoMeasure, ParetoPoint, Range } from "./pareto.js";
import { pointsOf } from "./pareto-points.js";

export interface BaselineRecord {
  readonly folder: string;
  readonly model: string;
  readonly form: string;
  /** By set. */
  readonly predictions: ReadonlyMap<string, readonly Prediction[]>;
  /** Of a single request, median milliseconds with their interval, and its generated tokens; null where it was not measured. */
  readonly single: { readonly milliseconds: number; readonly interval: Range | null; readonly tokensPerPrompt: number } | null;
}

const RESULTS = fileURLToPath(new URL("../../results", import.meta.url));
const kindSchema = z.looseObject({ kind: z.string().optional() });
const schema = z.looseObject({
  model: z.string(),
  form: z.string(),
  latency: z
    .looseObject({
      medianMilliseconds: z.number().positive(),
      // Timings of earlier versions have none.
      medianInterval: z.object({ low: z.number().positive(), high: z.number().positive() }).nullable().default(null),
      tokensPerPrompt: z.number().nonnegative(),
    })
    .nullable(),
});

/**
 * The finished baselines below `results`/runs and, of those that are not there, below `results`/recorded: folders, and folders in them,
 * but for the answers that an ablation took for labels.
 * @throws DataFormatError or RunFolderError for a damaged one
 */
export function findBaselines(results = RESULTS): BaselineRecord[] {
  const found = new Map<string, BaselineRecord>();
  for (const root of ["runs", "recorded"].map((name) => join(results, name)))
    for (const folder of foldersIn(root).flatMap((name) => [
      name,
      ...foldersIn(join(root, name)).flatMap((below) => (below === LABELS ? [] : [join(name, below)])),
    ])) {
      const record = readBaseline(join(root, folder));
      if (record !== null && !found.has(folder)) found.set(folder, record);
    }
  return [...found.values()];
}

function foldersIn(path: string): string[] {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
}

/** Null for a folder of anything else, and for one that is not finished. */
function readBaseline(folder: string): BaselineRecord | null {
  const file = join(folder, "summary.json");
  if (!existsSync(file)) return null;
  const content = readJson(file);
  if (kindSchema.safeParse(content).data?.kind !== "baseline") return null;
  const { model, form, latency } = checkRow(schema, content, file, 0);
  const single = latency && {
    ...{ milliseconds: latency.medianMilliseconds, interval: latency.medianInterval },
    tokensPerPrompt: latency.tokensPerPrompt,
  };
  return { folder, model, form, predictions: wholePredictions(folder), single };
}

/** One point a baseline that saw all of these sets. */
export function baselinePoints(
  baselines: readonly BaselineRecord[],
  sets: readonly string[],
  measure?: ParetoMeasure,
): ParetoPoint[] {
  return pointsOf(
    baselines.map((baseline) => baselineModel(baseline, sets)),
    measure,
  );
}

/** The same points at the median of a single request, of those that were measured with `--latency`. */
export function baselineRequestPoints(
  baselines: readonly BaselineRecord[],
  sets: readonly string[],
  measure?: ParetoMeasure,
): ParetoPoint[] {
  return baselines.flatMap((baseline) => {
    const { single } = baseline;
    if (single === null) return [];
    const { milliseconds: millisecondsPerPrompt, interval: latencyInterval, tokensPerPrompt } = single;
    const timed = { millisecondsPerPrompt, latencyInterval, tokensPerPrompt };
    return baselinePoints([baseline], sets, measure).map((point) => ({ ...point, ...timed }));
  });
}
