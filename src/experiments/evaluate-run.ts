/** A run's adapter on several sets: what is predicted already is read, and a finished file stands in the set's order. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { evaluateSet } from "../evaluate/evaluate-set.js";
import { readPredictions, type Prediction } from "../evaluate/predictions.js";
import { loadAdapter, type LanguageModel, type LoadedAdapter } from "../model/language-model.js";
import { writeFileAtomic } from "../model/weights/atomic-file.js";
import type { OutputFormat } from "../prompts/sft.js";
import { showWork } from "./progress.js";
import { predictionFile } from "./run-folder.js";
import type { NamedSet } from "./sets.js";

/**
 * Evaluates the adapter in `folder`/adapter, or in another place, or (null) the model alone; predictions go to
 * `folder`/predictions/<set>.jsonl. The model is opened only if something is left to predict.
 * @throws PredictionMismatchError or DataFormatError for a file that is not of the set
 */
export async function* evaluateInOrder(
  model: () => Promise<LanguageModel>,
  format: OutputFormat,
  sets: readonly NamedSet[],
  folder: string,
  label: string,
  signal?: AbortSignal,
  adapterFolder: string | null = join(folder, "adapter"),
): AsyncGenerator<{ readonly name: string; readonly said: Prediction[] }> {
  let adapter: LoadedAdapter | null = null;
  try {
    for (const { name, rows } of sets) {
      const file = predictionFile(folder, name);
      const finished = finishedPredictions(file, rows);
      if (finished !== null) {
        yield { name, said: finished };
        continue;
      }
      const opened = await model();
      if (adapterFolder !== null) adapter ??= loadAdapter(opened, adapterFolder);
      const progress = showWork(`${label}: ${name}`, rows.length);
      try {
        const said = await evaluateSet(opened, format, rows, file, {
          lora: adapter?.lora ?? null,
          ...(signal && { signal }),
          onProgress: (done, _, milliseconds) => progress.update(done, `${milliseconds.toFixed(0)} ms a prompt`),
        });
        // They came in the order in which the model finished them, which a restart changes.
        writeInOrder(file, said);
        yield { name, said };
      } finally {
        progress.stop();
      }
    }
  } finally {
    adapter?.free();
  }
}

/** All that {@link evaluateInOrder} gives, by the set's name. */
export async function predictionsInOrder(
  ...what: Parameters<typeof evaluateInOrder>
): Promise<Map<string, readonly Prediction[]>> {
  const predictions = new Map<string, readonly Prediction[]>();
  for await (const { name, said } of evaluateInOrder(...what)) predictions.set(name, said);
  return predictions;
}

/** Takes over what another run folder of the same adapter and format has predicted, where `folder` has nothing yet. */
export function takeOverPredictions(from: string, folder: string, sets: readonly NamedSet[]): void {
  for (const { name, rows } of sets) {
    const file = predictionFile(folder, name);
    const known = existsSync(file) ? null : finishedPredictions(predictionFile(from, name), rows);
    if (known === null) continue;
    mkdirSync(dirname(file), { recursive: true });
    writeInOrder(file, known);
  }
}

function writeInOrder(file: string, said: readonly Prediction[]): void {
  const lines = said.map((prediction) => `${JSON.stringify(prediction)}\n`).join("");
  writeFileAtomic(file, (append) => append(Buffer.from(lines)));
}

/** The predictions of a file that holds every row of the set in its order; null for any other: `evaluateSet` sees to that. */
function finishedPredictions(file: string, rows: NamedSet["rows"]): Prediction[] | null {
  if (!existsSync(file)) return null;
  let said: Prediction[];
  try {
    said = readPredictions(file);
  } catch {
    return null;
  }
  const fits = said.length === rows.length && said.every(({ id, gold }, i) => id === rows[i].id && gold === rows[i].harm);
  return fits ? said : null;
}
