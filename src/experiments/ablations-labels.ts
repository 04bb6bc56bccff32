/** Labels of the annotated prompts from a model that is asked, as the prompts of large sets are labelled. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Harm, LabelledPrompt } from "../data/prompt.js";
import { openEngine } from "../engines/open.js";
import { readPredictions, type Prediction } from "../evaluate/predictions.js";
import { VANILLA_CLASSIFICATION } from "../prompts/zero-shot.js";
import { runBaseline } from "./baseline.js";
import { predictionFile } from "./run-folder.js";
import type { NamedSet } from "./sets.js";

/** Below an experiment's folder: what a model that labels has answered. */
export const LABELS = "labels";

/** Whether this names an engine and not a set. */
export function namesEngine(name: string): boolean {
  return /^(local:|llama:|https?:\/\/)/i.test(name);
}

/**
 * Asks an engine for the verdict on every row, zero-shot, unless the answers are in `out`/labels already. An answer that cannot be read is
 * no label.
 * @throws what opening the engine throws; BaselineError; RunFolderError if the answers there are another engine's; the signal's reason
 */
export async function labelsOfEngine(
  spec: string,
  set: NamedSet,
  out: string,
  signal?: AbortSignal,
): Promise<(row: LabelledPrompt) => Harm | null> {
  const folder = join(out, LABELS);
  const file = predictionFile(folder, set.name);
  if (!answersAll(file, set)) {
    const engine = await openEngine(spec, { resolve: { ...(signal && { signal }) } });
    try {
      await runBaseline(engine, VANILLA_CLASSIFICATION, [set], folder, { ...(signal && { signal }) });
    } finally {
      await engine.close();
    }
  }
  const said = new Map(readPredictions(file).map(({ id, harm }) => [id, harm]));
  return ({ id }) => {
    const harm = said.get(id);
    return harm === undefined || harm === "unparsed" ? null : harm;
  };
}

function answersAll(file: string, { rows }: NamedSet): boolean {
  // Written when every prompt has an answer.
  if (!existsSync(join(file, "..", "..", "summary.json"))) return false;
  let said: Prediction[];
  try {
    said = readPredictions(file);
  } catch {
    return false;
  }
  const gold = new Map(said.map((prediction) => [prediction.id, prediction.gold]));
  return rows.length === said.length && rows.every(({ id, harm }) => gold.get(id) === harm);
}
