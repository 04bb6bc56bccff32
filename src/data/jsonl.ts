/** JSON Lines: one JSON object a line. Every line becomes a row or an error; blank lines are no rows. */
import { DataFormatError } from "./errors.js";
import { readText } from "./files.js";
import { checkRow, type RowSchema } from "./rows.js";

/** A row and the line of the file that it stands in, counted from 1. */
export interface NumberedRow<T> {
  readonly line: number;
  readonly row: T;
}

/**
 * Reads a JSON Lines file, each object checked by `schema` (a zod schema, for instance).
 * Lines end in \n or \r\n; U+2028 and U+2029 inside a string are text, as JSON has it.
 * @throws DataFormatError for bytes that are not UTF-8, a line that is not a JSON object, or a field that the schema refuses.
 */
export function readJsonl<T>(file: string, schema: RowSchema<T>): NumberedRow<T>[] {
  return parseJsonl(readText(file), file, schema);
}

/** Like {@link readJsonl} on text at hand; `file` is only for messages. */
export function parseJsonl<T>(text: string, file: string, schema: RowSchema<T>): NumberedRow<T>[] {
  const rows: NumberedRow<T>[] = [];
  for (const [index, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    const line = index + 1;
    rows.push({ line, row: checkRow(schema, parseObject(content, file, line), file, line) });
  }
  return rows;
}

function parseObject(content: string, file: string, line: number): object {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataFormatError(file, line, null, `not valid JSON (${reason})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DataFormatError(file, line, null, "expected a JSON object");
  }
  return value;
}
