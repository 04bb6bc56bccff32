/** What was measured here on the paper's benchmarks, beside the published rows. */
import { bootstrapInterval } from "../evaluate/bootstrap.js";
import { f1Statistic } from "../evaluate/statistic.js";
import { meanOf } from "../evaluate/spread.js";
import { markOf, ranked, ranks } from "./benchmark-ranks.js";
import { AVERAGE, BENCHMARK_NAMES, BENCHMARK_ORDER, publishedRows, type PublishedRow } from "./benchmark-table.js";
import { showText, type Displayable } from "./display.js";
import type { MeasuredModel } from "./measured-models.js";
import { loadPublished } from "./published.js";
import type { Benchmark } from "./published-tables.js";
import { showTable } from "./table-html.js";

export interface OwnScore {
  /** Mean over seeds, unparsed answers counted as wrong. */
  readonly f1: number;
  readonly low: number;
  readonly high: number;
  readonly prompts: number;
}

/** A model that has seen a benchmark at least. */
export interface OwnRow {
  readonly name: string;
  readonly seeds: number;
  readonly scores: Readonly<Partial<Record<Benchmark, OwnScore>>>;
}

/** Each model's F1 on the benchmarks that all of its seeds saw, with the bootstrap interval over prompts and seeds. */
export function ownRows(models: readonly MeasuredModel[]): OwnRow[] {
  return models.flatMap(({ name, sets, runs }) => {
    const scores = BENCHMARK_ORDER.flatMap((set) => {
      const said = runs.at(sets.indexOf(set));
      if (!sets.includes(set) || said === undefined || said.length === 0) return [];
      const interval = bootstrapInterval(said, f1Statistic());
      if (interval === null) return [];
      const { estimate: f1, low, high } = interval;
      return [[set, { f1, low, high, prompts: said[0].length, seeds: said.length }] as const];
    });
    if (scores.length === 0) return [];
    return [{ name, seeds: scores[0][1].seeds, scores: Object.fromEntries(scores) }];
  });
}

/** Benchmarks that some model here has seen, in the table's order. */
export function sharedBenchmarks(own: readonly OwnRow[]): readonly Benchmark[] {
  return BENCHMARK_ORDER.filter((set) => own.some(({ scores }) => scores[set] !== undefined));
}

/** Published and own rows as one list of F1s. */
function together(own: readonly OwnRow[], published: readonly PublishedRow[]) {
  return [
    ...published.map(({ group, model, f1, mean }) => ({
      ...{ model, from: group.replace(/^Ours/, "the paper"), seeds: 1 },
      ...{ f1: (set: Benchmark): number | null => f1[set], score: (): OwnScore | undefined => undefined, mean },
    })),
    ...own.map(({ name: model, seeds, scores }) => ({
      ...{ model, from: "measured here", seeds },
      f1: (set: Benchmark): number | null => scores[set]?.f1 ?? null,
      score: (set: Benchmark): OwnScore | undefined => scores[set],
      // A mean over fewer sets is not the paper's.
      mean: meanOf(BENCHMARK_ORDER.map((set) => scores[set]?.f1 ?? null)),
    })),
  ];
}

/**
 * The benchmarks that were measured here, published rows and ours together: the best mean first. A row that lacks one of them comes after
 * those, since means over different sets are no ranking. The mean over the five stands only where all five were measured.
 */
export function benchmarksBeside(own: readonly OwnRow[], published: readonly PublishedRow[] = publishedRows()): Displayable {
  const sets = sharedBenchmarks(own);
  if (sets.length === 0) return showText("No model that was measured here has seen one of the five benchmarks.");
  const all = together(own, published);
  const over = (row: (typeof all)[number]): number | null => meanOf(sets.map((set) => row.f1(set)));
  const complete = all.filter((row) => over(row) !== null).toSorted((a, b) => over(b)! - over(a)!);
  const rows = [...complete, ...all.filter((row) => over(row) === null)];
  const whole = own.some((row) => sharedBenchmarks([row]).length === BENCHMARK_ORDER.length);
  const columns = [
    ...sets.map((set) => ({ name: BENCHMARK_NAMES[set], values: rows.map((row) => row.f1(set)) })),
    ...(whole ? [{ name: AVERAGE, values: rows.map(({ mean }) => mean) }] : []),
  ].map(({ name, values }) => ({ name, values, ranks: ranks(values) }));
  const lines = rows.map((row, i) => ({
    ...{ model: row.model, from: row.from, seeds: row.seeds },
    ...Object.fromEntries(columns.map(({ name, values, ranks: order }) => [name, ranked(values[i], order[i])])),
    "95% intervals": sets.flatMap((set) => intervalText(set, row.score(set), sets.length > 1)).join("; ") || "–",
  }));
  return showTable(lines, {
    caption: "Published and measured here on the same benchmarks, ranked together",
    marks: (row, column) => markOf(columns.find(({ name }) => name === column)?.ranks[row] ?? null),
  });
}

function intervalText(set: Benchmark, score: OwnScore | undefined, named: boolean): string[] {
  if (score === undefined) return [];
  return [`${named ? `${BENCHMARK_NAMES[set]} ` : ""}${score.low.toFixed(3)} to ${score.high.toFixed(3)}`];
}

/** Which benchmarks were measured here, on how many of their prompts, and which were not. */
export function coverageText(own: readonly OwnRow[]): string {
  const { rows } = loadPublished("benchmarks");
  const shared = sharedBenchmarks(own);
  const seen = shared.map((set) => {
    const { count } = rows.find(({ name }) => name === set)!;
    const prompts = own.flatMap(({ scores }) => scores[set]?.prompts ?? []);
    const range = [...new Set(prompts)].sort((a, b) => a - b).join(" or ");
    return `${BENCHMARK_NAMES[set]} (${prompts.every((own) => own === count) ? `all ${count} prompts` : `${range} of ${count} prompts`})`;
  });
  const missing = BENCHMARK_ORDER.filter((set) => !shared.includes(set));
  const lines = [`Measured here: ${seen.join(", ") || "none of the five benchmarks"}.`];
  if (missing.length > 0)
    lines.push(
      `Not measured here: ${missing.map((set) => BENCHMARK_NAMES[set]).join(", ")}. To get one: npx true-intents data get ${missing[0]}; then npx true-intents evaluate --adapter RUN --sets ${missing[0]}`,
    );
  return lines.join("\n");
}
