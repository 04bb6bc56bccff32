/**
 * CSV as RFC 4180 defines it, read strictly. Table libraries guess types, pad short rows and swallow a stray quote; a label that
 * slides into the wrong column must be an error here instead.
 */
import { DataFormatError } from "./errors.js";
import { readText } from "./files.js";
import type { NumberedRow } from "./jsonl.js";
import { checkRow, type RowSchema } from "./rows.js";

/**
 * Reads a CSV file with a header line; every row becomes an object of strings, checked by `schema`.
 * @throws DataFormatError for bytes that are not UTF-8, a quote out of place, a row with more or fewer fields than the header, a
 * repeated or missing column, or a value that the schema refuses.
 */
export function readCsv<T>(file: string, schema: RowSchema<T>): NumberedRow<T>[] {
  return parseCsv(readText(file), file, schema);
}

/** Like {@link readCsv} on text at hand; `file` is only for messages. */
export function parseCsv<T>(text: string, file: string, schema: RowSchema<T>): NumberedRow<T>[] {
  const [header, ...records] = splitRecords(text, file);
  if (header === undefined) throw new DataFormatError(file, 0, null, "the file is empty; expected a header line");
  const columns = header.fields;
  const repeated = columns.find((column, i) => columns.indexOf(column) !== i);
  if (repeated !== undefined) throw new DataFormatError(file, header.line, repeated, "the column appears twice in the header");
  return records.map(({ line, fields }) => {
    if (fields.length !== columns.length) {
      throw new DataFormatError(file, line, null, `${fields.length} fields, but the header has ${columns.length}`);
    }
    const row = Object.fromEntries(columns.map((column, i) => [column, fields[i]]));
    return { line, row: checkRow(schema, row, file, line) };
  });
}

interface CsvRecord {
  /** First line of the record: a quoted field may hold line breaks. */
  readonly line: number;
  readonly fields: string[];
}

/** Splits text into records; blank lines are no records. One pass over the text. */
function splitRecords(text: string, file: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const record: CsvRecord = { line, fields: [] };
    for (;;) {
      const field = text[at] === '"' ? readQuoted(text, at, file, line) : readPlain(text, at, file, line);
      record.fields.push(field.value);
      line += field.lineBreaks;
      at = field.end;
      if (text[at] !== ",") break;
      at++;
    }
    if (text.startsWith("\r\n", at)) at += 2;
    else if (text[at] === "\n") at++;
    else if (at < text.length) throw new DataFormatError(file, line, null, "text after a closing quote");
    line++;
    if (record.fields.length > 1 || record.fields[0] !== "") records.push(record);
  }
  return records;
}

interface Field {
  readonly value: string;
  /** Index of the character after the field. */
  readonly end: number;
  readonly lineBreaks: number;
}

function readPlain(text: string, start: number, file: string, line: number): Field {
  let end = start;
  while (end < text.length && text[end] !== "," && text[end] !== "\n" && !text.startsWith("\r\n", end)) {
    if (text[end] === '"') throw new DataFormatError(file, line, null, "a quote inside a field that is not quoted");
    end++;
  }
  return { value: text.slice(start, end), end, lineBreaks: 0 };
}

function readQuoted(text: string, start: number, file: string, line: number): Field {
  let value = "";
  let from = start + 1;
  for (;;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) throw new DataFormatError(file, line, null, "a quoted field is never closed");
    value += text.slice(from, quote);
    if (text[quote + 1] !== '"') return { value, end: quote + 1, lineBreaks: value.split("\n").length - 1 };
    value += '"';
    from = quote + 2;
  }
}
