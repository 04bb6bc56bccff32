/** Scores as an aligned Markdown table: the same text reads well in a terminal, a README and a notebook. */
import { HIDDEN } from "../hidden-characters.js";
import { constantScores, score, type ScoredRow, type Scores, type UnparsedRule } from "./metrics.js";

const SEGMENTER = new Intl.Segmenter();
const HIDDEN_RUNS = new RegExp(`[${HIDDEN}]+`, "gu");

export interface ScoreRow {
  readonly name: string;
  readonly scores: Scores;
}

/** A model's scores on a set, followed by the two constant answers on the same rows. */
export function scoreRows(name: string, rows: readonly ScoredRow[]): ScoreRow[] {
  return [
    { name, scores: score(rows) },
    { name: "always harmful", scores: constantScores(rows, "harmful") },
    { name: "always safe", scores: constantScores(rows, "safe") },
  ];
}

/**
 * One line a row. F1, precision, recall, accuracy and false-positive rate of the harmful class count unparsed rows as wrong; the
 * last two columns give F1 under the other rules. "–" is a quantity that is not defined there.
 */
export function scoreTable(rows: readonly ScoreRow[]): string {
  const header = [
    "",
    "n",
    "F1",
    "precision",
    "recall",
    "accuracy",
    "FPR",
    "AUROC",
    "AUPRC",
    "ECE",
    "unparsed",
    "F1 dropped",
    "F1 as safe",
  ];
  const f1 = (scores: Scores, rule: UnparsedRule): string => number(scores.byRule[rule].f1);
  const body = rows.map(({ name, scores }) => {
    const { precision, recall, accuracy, falsePositiveRate } = scores.byRule.wrong;
    const { auroc, auprc, ece } = scores;
    const ratios = [precision, recall, accuracy, falsePositiveRate, auroc, auprc, ece].map(number);
    const count = String(scores.count);
    return [name, count, f1(scores, "wrong"), ...ratios, String(scores.unparsedCount), f1(scores, "dropped"), f1(scores, "safe")];
  });
  return markdownTable(header, body);
}

/**
 * Columns padded to one width, the first (or those of `left`) to the left, the others to the right. Text cannot break the table or
 * the terminal.
 */
export function markdownTable(
  header: readonly string[],
  body: readonly (readonly string[])[],
  left: readonly number[] = [0],
): string {
  const cells = [header, ...body].map((row) => row.map(cellText));
  const widths = header.map((_, column) => Math.max(3, ...cells.map((row) => length(row[column]))));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => pad(cell, widths[i], left.includes(i))).join(" | ")} |`;
  const rule = `| ${widths.map((width, i) => (left.includes(i) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(cells[0]), rule, ...cells.slice(1).map(line)].join("\n");
}

/** A score as tables show it: three decimals, "–" where it is not defined. */
export function number(value: number | null): string {
  return value === null ? "–" : value.toFixed(3);
}

/** Text from anyone on one line of a terminal: what could move the cursor, colour it or hide becomes a space. */
export function printable(text: string): string {
  return text.replace(HIDDEN_RUNS, " ");
}

/**
 * As text in Markdown: bars, tags, entities and links act no more. A bar's backslash is doubled with those before it; a tag's would be taken for
 * the end of an address before it.
 */
function cellText(text: string): string {
  return printable(text)
    .replace(/&(?=#?\w+;)/g, "&amp;")
    .replace(/<(?=[a-z/!?])/gi, "&lt;")
    .replaceAll("](", "]\\(")
    .replace(/(?<!\\)(\\*)\|/g, "$1$1\\|");
}

/** Characters as a reader counts them. */
function length(text: string): number {
  return Array.from(SEGMENTER.segment(text)).length;
}

function pad(text: string, width: number, left: boolean): string {
  const space = " ".repeat(width - length(text));
  return left ? text + space : space + text;
}
