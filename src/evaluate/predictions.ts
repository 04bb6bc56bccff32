/**
 * Predictions on disk: JSON Lines, one prompt a line, written as they come, so that a run that was killed goes on where it stopped.
 */
import { closeSync, existsSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import type { Harm } from "../data/prompt.js";
import { DataFormatError } from "../data/errors.js";
import { readText } from "../data/files.js";
import { parseJsonl } from "../data/jsonl.js";
import { checkRow, checkUniqueIds } from "../data/rows.js";

/** What a model said about one prompt, beside the truth. */
export interface Prediction {
  readonly id: string;
  /** Left out where the set's licence does not allow to copy its prompts. */
  readonly prompt?: string | undefined;
  readonly gold: Harm;
  readonly harm: Harm | "unparsed";
  /** The intent that the model stated; null if the format has none or it could not be read. */
  readonly intent: string | null;
  /** P(harmful) / (P(harmful) + P(safe)) at the verdict position; null where it was not measured. */
  readonly harmfulProbability: number | null;
  /** Generated tokens, the end token included. */
  readonly newTokens: number;
  /** Wall time for this prompt; in a batch, the batch's time divided by its prompts. 0: not measured. */
  readonly milliseconds: number;
}

const schema = z.strictObject({
  id: z.string().min(1),
  prompt: z.string().optional(),
  gold: z.enum(["harmful", "safe"]),
  harm: z.enum(["harmful", "safe", "unparsed"]),
  intent: z.string().nullable(),
  harmfulProbability: z.number().min(0).max(1).nullable(),
  newTokens: z.number().int().nonnegative(),
  milliseconds: z.number().nonnegative(),
});

/** Predictions belong to other rows than the ones they are set beside. Nothing was changed on disk. */
export class PredictionMismatchError extends Error {
  override readonly name = "PredictionMismatchError";
  constructor(
    /** The file or list of predictions. */
    readonly where: string,
    /** The row that does not fit. */
    readonly id: string,
    problem: string,
  ) {
    super(`${where}: the row with id ${JSON.stringify(id)} ${problem}`);
  }
}

/** An open file of predictions. */
export interface PredictionWriter {
  /** What the file held when it was opened: prompts that need not run again. */
  readonly previous: readonly Prediction[];
  /** Writes one line. @throws DataFormatError if the id is already in the file or a field is not what it should be. */
  append(prediction: Prediction): void;
  /** Makes sure that everything is on the disk. Closing twice is harmless. */
  close(): void;
}

/**
 * Opens a file of predictions for appending; makes it, and its folder, where there is none. A last line without its line break was
 * cut off by a kill and is removed: its prompt is not in `previous` and runs again.
 * @throws DataFormatError if a whole line is not a prediction.
 */
export function openPredictions(file: string): PredictionWriter {
  mkdirSync(dirname(file), { recursive: true });
  const whole = existsSync(file) ? readFileSync(file).lastIndexOf(0x0a) + 1 : 0;
  const descriptor = openSync(file, "a");
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    fsyncSync(descriptor);
    closeSync(descriptor);
  };
  try {
    ftruncateSync(descriptor, whole);
    const previous = readPredictions(file);
    const ids = new Set(previous.map((prediction) => prediction.id));
    return {
      previous,
      append(prediction) {
        // Checked before it is written: JSON has no NaN and would make it null, which means "not measured".
        const row = checkRow(schema, prediction, file, 0);
        if (ids.has(row.id)) throw new DataFormatError(file, 0, "id", `"${row.id}" was already written`);
        ids.add(row.id);
        writeSync(descriptor, `${JSON.stringify(row)}\n`);
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * All predictions of a file, in order.
 * @throws DataFormatError naming file, line and field; also for a last line that was cut off (`openPredictions` removes it) and for
 * two lines with one id.
 */
export function readPredictions(file: string): Prediction[] {
  const text = readText(file);
  if (text !== "" && !text.endsWith("\n")) {
    throw new DataFormatError(
      file,
      text.split("\n").length,
      null,
      "the last line was cut off; the run that wrote it can be continued",
    );
  }
  const rows = parseJsonl(text, file, schema);
  checkUniqueIds(
    rows.map(({ line, row }) => ({ line, id: row.id })),
    file,
  );
  return rows.map(({ row }) => row);
}
