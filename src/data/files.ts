/** Where data files lie and how their bytes become text: strictly, so that a damaged file is noticed. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DataFormatError, DataUnavailableError } from "./errors.js";

/** Environment variable that names the folder with public data sets, one folder a set. */
export const DATA_VARIABLE = "TRUE_INTENTS_DATA";

/**
 * Path of a file of a public set below the folder that `TRUE_INTENTS_DATA` names.
 * @throws DataUnavailableError if the variable is unset or empty, or the file is not there; the message says what to set.
 */
export function publicDataFile(dataset: string, ...path: readonly string[]): string {
  const folder = process.env[DATA_VARIABLE];
  const wanted = path.join("/");
  if (folder === undefined || folder === "") {
    throw new DataUnavailableError(
      dataset,
      `${DATA_VARIABLE} is not set`,
      `Set ${DATA_VARIABLE} to a folder that holds ${wanted}.`,
    );
  }
  const file = join(folder, ...path);
  if (!existsSync(file)) {
    throw new DataUnavailableError(
      dataset,
      `there is no file ${file}`,
      `Put it there, or set ${DATA_VARIABLE} to a folder that holds ${wanted}.`,
    );
  }
  return file;
}

/**
 * A file's text. A byte order mark is removed.
 * @throws DataFormatError if the bytes are not UTF-8 (never replaced by U+FFFD: labels belong to exact prompts).
 */
export function readText(file: string): string {
  const bytes = readFileSync(file);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new DataFormatError(file, 0, null, "the bytes are not valid UTF-8; save the file as UTF-8");
  }
}
