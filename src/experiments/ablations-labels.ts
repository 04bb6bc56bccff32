/** Labels of the annotated prompts from a model that is asked, as the prompts of large sets are labelled. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Harm, LabelledPrompt } from "../data/prompt.js";
import { openEngine } from "../engines/open.js";
import { readPredictions, type Prediction } from "../evaluate/predictions.js";
import { VANILLA_CLASSIFICATION } from "../prompts/zero-shot.js";
import type { AblationsConfig } from "./ablations-config.js";
import { BaselineError } from "./baseline-set.js";
import { readFailures, runBaseline } from "./baseline.js";
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
 * @throws what opening the engine throws; BaselineError, also for requests that failed in passing; RunFolderError if the answers there are
 * another engine's; the signal's reason
 */
export async function labelsOfEngine(
  { otherLabels: spec, precision }: Pick<AblationsConfig, "otherLabels" | "precision">,
  set: NamedSet,
  out: string,
  signal?: AbortSignal,
): Promise<(row: LabelledPrompt) => Harm | null> {
  const folder = join(out, LABELS);
  const file = predictionFile(folder, set.name);
  if (!answersAll(folder, file, set)) {
    const engine = await openEngine(spec, { precision, resolve: { ...(signal && { signal }) } });
    try {
      const { failures } = await runBaseline(engine, VANILLA_CLASSIFICATION, [set], folder, { ...(signal && { signal }) });
      const again = (failures[set.name] ?? []).filter(({ retryable }) => retryable);
      if (again.length > 0)
        throw new BaselineError(
          `${spec} left ${again.length} of ${set.rows.length} prompts without a label (${again[0].reason}); the same command asks for these`,
        );
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

function answersAll(folder: string, file: string, { name, rows }: NamedSet): boolean {
  // Written when every prompt has an answer, or its request failed.
  if (!existsSync(join(folder, "summary.json"))) return false;
  if (
    readFailures(folder)
      .get(name)
      ?.some(({ retryable }) => retryable) === true
  )
    return false;
  let said: Prediction[];
  try {
    said = readPredictions(file);
  } catch {
    return false;
  }
  const gold = new Map(said.map((prediction) => [prediction.id, prediction.gold]));
  return rows.length === said.length && rows.every(({ id, harm }) => gold.get(id) === harm);
}
