/** Tables in notebooks and reports: rows in, one bundle of HTML and Markdown out, everything in it escaped. */
import { inspect } from "node:util";
import { markdownTable } from "../evaluate/table.js";
import { displayable, type Displayable } from "./display.js";
import { escapeHtml, visibleText } from "./text.js";

/** Rows: plain objects, an arquero table, or a danfojs frame. */
export type TableSource =
  | readonly object[]
  | { objects(): readonly object[] }
  | { readonly columns: readonly string[]; readonly values: readonly unknown[] };

export interface TableOptions {
  /** One sentence above the table. */
  readonly caption?: string;
  /** The columns in order; by default those of the first row. A row without one has an empty cell there. */
  readonly columns?: readonly string[];
  /** Cells that stand out, by row and column: the best one bold, the second underlined. */
  readonly marks?: (row: number, column: string) => Mark | null;
}

export type Mark = "best" | "second";

/** In HTML, and in Markdown, where nothing is underlined. */
const MARKS = { best: ["<strong>", "</strong>", "**"], second: ["<u>", "</u>", "_"] } as const;

/**
 * A table to show. Integers are written as they are, other numbers with four significant digits (give a string for any other
 * form), null and undefined as "–", objects as JSON; columns of numbers are aligned to the right.
 */
export function showTable(source: TableSource, options: TableOptions = {}): Displayable {
  const rows = toRows(source);
  const columns = options.columns ?? Object.keys(rows[0] ?? {});
  const valueOf = (row: Row, name: string): unknown => (Object.hasOwn(row, name) ? row[name] : undefined);
  const numeric = columns.map((name) => rows.map((row) => valueOf(row, name)).every((value) => value == null || isNumber(value)));
  const cells = rows.map((row) => columns.map((name) => cellText(valueOf(row, name))));
  const style = (i: number): string => `text-align:${numeric[i] ? "right" : "left;white-space:pre-wrap"}`;
  const line = (tag: string, attribute: string, contents: readonly string[]): string =>
    `<tr>${contents.map((content, i) => `<${tag}${attribute} dir="auto" style="${style(i)}">${content}</${tag}>`).join("")}</tr>`;
  const marked = (format: "html" | "markdown", text: string, row: number, i: number): string => {
    const mark = options.marks?.(row, columns[i]) ?? null;
    const content = format === "html" ? escapeHtml(text) : visibleText(text);
    if (mark === null) return content;
    const [open, close, sign] = MARKS[mark];
    return format === "html" ? open + content + close : sign + content + sign;
  };
  const caption = options.caption === undefined ? "" : `<caption>${escapeHtml(options.caption)}</caption>`;
  const head = `<thead>${line("th", ' scope="col"', columns.map(escapeHtml))}</thead>`;
  const rowsHtml = cells.map((texts, row) =>
    line(
      "td",
      "",
      texts.map((text, i) => marked("html", text, row, i)),
    ),
  );
  const body = `<tbody>${rowsHtml.join("")}</tbody>`;
  const markdown = markdownTable(
    columns.map(visibleText),
    cells.map((texts, row) => texts.map((text, i) => marked("markdown", text, row, i))),
  );
  return displayable({
    "text/plain": options.caption === undefined ? markdown : `${visibleText(options.caption)}\n\n${markdown}`,
    "text/html": `<table class="mathjax_ignore tex2jax_ignore">${caption}${head}${body}</table>`,
  });
}

type Row = Readonly<Record<string, unknown>>;

function toRows(source: TableSource): readonly Row[] {
  if ("objects" in source) return source.objects() as readonly Row[];
  if (!("columns" in source)) return source as readonly Row[];
  const { columns, values } = source;
  return (values as readonly (readonly unknown[])[]).map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
}

function isNumber(value: unknown): boolean {
  return typeof value === "number" || typeof value === "bigint";
}

function cellText(value: unknown): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value === "string") return value;
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : significant(value);
  if (value instanceof Date) return value.toISOString();
  return typeof value === "object" ? JSON.stringify(value) : inspect(value);
}

/** Four digits, without the exponent that toPrecision gives to 12345.6. */
function significant(value: number): string {
  const size = Math.abs(value);
  return size >= 1000 && size < 1e15 ? value.toFixed(0) : value.toPrecision(4);
}
