/** The paper's main table, one version before the last: five benchmarks and their mean, as printed, with the ranks. */
import type { Displayable } from "./display.js";
import { markOf, ranked, ranks } from "./benchmark-ranks.js";
import { loadPublished } from "./published.js";
import type { Benchmark } from "./published-tables.js";
import { showTable } from "./table-html.js";

/** The benchmarks in the order and under the names of the paper's table. */
export const BENCHMARK_NAMES: Readonly<Record<Benchmark, string>> = {
  wildguardmix: "WGTest",
  xstest: "XSTest",
  "aegis-2.0": "AEGIS 2",
  "toxic-chat": "ToxicChat",
  "openai-moderation": "OAI Mod",
};
export const BENCHMARK_ORDER = Object.keys(BENCHMARK_NAMES) as readonly Benchmark[];
export const AVERAGE = "Average";

/** The models of the published table; F1 of the harmful class. */
export interface PublishedRow {
  readonly group: string;
  readonly model: string;
  readonly f1: Readonly<Record<Benchmark, number>>;
  readonly mean: number;
}

/** As the paper prints them: group by group. */
export function publishedRows(): readonly PublishedRow[] {
  return loadPublished("benchmark-main").rows;
}

/** The table: the best of each column bold, the second underlined, its rank over the whole table in brackets. */
export function publishedBenchmarks(rows: readonly PublishedRow[] = publishedRows()): Displayable {
  const columns = [
    ...BENCHMARK_ORDER.map((set) => ({ name: BENCHMARK_NAMES[set], values: rows.map(({ f1 }) => f1[set]) })),
    { name: AVERAGE, values: rows.map(({ mean }) => mean) },
  ].map(({ name, values }) => ({ name, values, ranks: ranks(values) }));
  const lines = rows.map(({ group, model }, row) => ({
    group,
    model,
    ...Object.fromEntries(columns.map(({ name, values, ranks: order }) => [name, ranked(values[row], order[row])])),
  }));
  return showTable(lines, {
    caption: "As published: F1 of the harmful class, rank in brackets; the best of a column bold, the second underlined",
    marks: (row, column) => markOf(columns.find(({ name }) => name === column)?.ranks[row] ?? null),
  });
}
