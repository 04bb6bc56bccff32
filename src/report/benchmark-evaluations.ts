/** Single models that `true-intents evaluate` has scored, on disk (src/experiments/evaluation.ts). */
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import { wholePredictions } from "../experiments/pinned-data.js";
import { readJson } from "../experiments/run-folder.js";
import type { MeasuredModel } from "./measured-models.js";

const RESULTS = fileURLToPath(new URL("../../results", import.meta.url));
const kindSchema = z.looseObject({ kind: z.literal("evaluation") });
const schema = z.looseObject({ model: z.string(), adapter: z.string().nullable(), format: z.string() });

export interface EvaluatedModel extends MeasuredModel {
  /** Of the evaluation. */
  readonly folder: string;
  /** Catalogue name, hub id or path. */
  readonly model: string;
}

/**
 * The finished evaluations below `results`/runs and, of those that are not there, below `results`/recorded; one seed each. No two have
 * one name: of adapters that would be called the same, each is called by its evaluation's folder, too.
 * @throws DataFormatError or RunFolderError for a damaged one
 */
export function findEvaluations(results = RESULTS): EvaluatedModel[] {
  const found = new Map<string, EvaluatedModel>();
  for (const root of ["runs", "recorded"].map((name) => join(results, name))) {
    const entries = existsSync(root) ? readdirSync(root, { withFileTypes: true }) : [];
    for (const name of entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort()) {
      const model = found.has(name) ? null : readEvaluation(join(root, name));
      if (model !== null) found.set(name, model);
    }
  }
  const names = [...found.values()].map(({ name }) => name);
  return [...found].map(([folder, model]) => {
    const alone = names.filter((name) => name === model.name).length === 1;
    return alone ? model : { ...model, name: `${model.name}, ${folder}` };
  });
}

/** Null for a folder of anything else, and for one that is not finished. */
function readEvaluation(folder: string): EvaluatedModel | null {
  const [config, summary] = ["config.json", "summary.json"].map((name) => join(folder, name));
  if (!existsSync(config) || !existsSync(summary) || !kindSchema.safeParse(readJson(config)).success) return null;
  const { model, adapter, format } = checkRow(schema, readJson(summary), summary, 0);
  const said = [...wholePredictions(folder)];
  const name = `${model}${adapter === null ? "" : ` + ${adapterName(adapter)}`}, ${format} (evaluate)`;
  return {
    name,
    group: "measured here",
    sets: said.map(([set]) => set),
    runs: said.map(([, predictions]) => [predictions]),
    folder,
    model,
  };
}

/** The run's folder, not the `adapter` in it. */
function adapterName(path: string): string {
  return basename(path) === "adapter" ? basename(dirname(path)) : basename(path);
}
