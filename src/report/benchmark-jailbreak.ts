/**
 * Jailbreaks (the paper's `tab:jailbreakv`): the share of attacks that is still called harmful, on the text-only part of JailBreakV-28K and on
 * the plain requests behind it, RedTeam-2K. Every prompt is harmful, so recall is all there is to see; answers that cannot be read are left
 * out of it, as in the paper, and counted beside it.
 */
import { bootstrapInterval } from "../evaluate/bootstrap.js";
import { accuracyStatistic } from "../evaluate/statistic.js";
import { markOf, ranked, ranks } from "./benchmark-ranks.js";
import type { Displayable } from "./display.js";
import type { PlotlyFigure } from "./figure.js";
import { intervalFigure, type IntervalSeries } from "./intervals.js";
import type { MeasuredModel } from "./measured-models.js";
import { loadPublished } from "./published.js";
import { showTable } from "./table-html.js";

const SETS = { jailbreakv: "JailBreakV", "redteam-2k": "RedTeam-2K" } as const;
type JailbreakSet = keyof typeof SETS;
const NAMES = Object.keys(SETS) as readonly JailbreakSet[];

interface Recall {
  readonly recall: number;
  readonly low?: number;
  readonly high?: number;
  readonly prompts: number;
  readonly unparsed: number;
}

interface JailbreakRow {
  readonly model: string;
  readonly from: "published" | "measured here";
  readonly recalls: Readonly<Partial<Record<JailbreakSet, Recall>>>;
}

function publishedRows(): JailbreakRow[] {
  return loadPublished("jailbreakv").rows.map(({ model, jailbreakv, redteam2k }) => {
    const of = ({ recall, hits, misses, unparsed }: typeof jailbreakv): Recall => ({
      recall,
      prompts: hits + misses + unparsed,
      unparsed,
    });
    return { model, from: "published", recalls: { jailbreakv: of(jailbreakv), "redteam-2k": of(redteam2k) } };
  });
}

/** Models that saw one of the two sets; several seeds are averaged. */
function ownRows(models: readonly MeasuredModel[]): JailbreakRow[] {
  return models.flatMap(({ name, sets, runs }) => {
    const recalls = NAMES.flatMap((set) => {
      const said = sets.includes(set) ? runs[sets.indexOf(set)] : [];
      if (said.length === 0) return [];
      // All prompts are harmful: the share of right answers is the recall.
      const interval = bootstrapInterval(said, accuracyStatistic("dropped"));
      if (interval === null) return [];
      const unparsed = said.flat().filter(({ harm }) => harm === "unparsed").length / said.length;
      const { estimate: recall, low, high } = interval;
      return [[set, { recall, low, high, prompts: said[0].length, unparsed }] as const];
    });
    return recalls.length === 0 ? [] : [{ model: name, from: "measured here", recalls: Object.fromEntries(recalls) }];
  });
}

/** Published and own recalls, ranked together, with the mean of the two sets. */
export function jailbreakTable(models: readonly MeasuredModel[]): Displayable {
  const rows = [...publishedRows(), ...ownRows(models)];
  const mean = ({ recalls }: JailbreakRow): number | null => {
    const [first, second] = NAMES.map((set) => recalls[set]?.recall);
    return first === undefined || second === undefined ? null : (first + second) / 2;
  };
  const columns = [
    ...NAMES.map((set) => ({ name: SETS[set], values: rows.map(({ recalls }) => recalls[set]?.recall ?? null) })),
    { name: "mean", values: rows.map(mean) },
  ].map(({ name, values }) => ({ name, values, ranks: ranks(values) }));
  const counts = (row: JailbreakRow, of: (recall: Recall) => number): string =>
    NAMES.map((set) => {
      const recall = row.recalls[set];
      return recall === undefined ? "–" : String(Math.round(of(recall)));
    }).join(" + ");
  const lines = rows.map((row, i) => ({
    ...{ model: row.model, from: row.from },
    ...Object.fromEntries(columns.map(({ name, values, ranks: order }) => [name, ranked(values[i], order[i])])),
    prompts: counts(row, ({ prompts }) => prompts),
    unparsed: counts(row, ({ unparsed }) => unparsed),
  }));
  return showTable(lines, {
    caption: "Recall over the answers that could be read, rank in brackets; the best bold, the second underlined",
    marks: (row, column) => markOf(columns.find(({ name }) => name === column)?.ranks[row] ?? null),
  });
}

/** The recalls as dots, a row a model; ours with 95% intervals. */
export function jailbreakFigure(models: readonly MeasuredModel[]): PlotlyFigure {
  const rows = [...publishedRows(), ...ownRows(models)];
  const labels = rows.map(({ model }) => model);
  const series = (["published", "measured here"] as const).flatMap((from) =>
    NAMES.map((set): IntervalSeries => {
      const values = rows.flatMap(({ model, from: origin, recalls }) => {
        const recall = recalls[set];
        if (origin !== from || recall === undefined) return [];
        const { recall: value, low, high } = recall;
        return [[model, { value, ...(low !== undefined && high !== undefined && { low, high }) }] as const];
      });
      return {
        name: `${SETS[set]}, ${from}`,
        kind: from === "published" ? "published" : "ours",
        values: Object.fromEntries(values),
      };
    }),
  );
  const seen = series.filter(({ values }) => Object.keys(values).length > 0);
  return intervalFigure("Jailbreaks and plain harmful requests that are called harmful", labels, seen, "recall");
}

/** What is missing for rows of one's own, or how many there are. */
export function jailbreakText(models: readonly MeasuredModel[]): string {
  const count = ownRows(models).length;
  if (count > 0) return `${count} ${count === 1 ? "model" : "models"} measured here.`;
  return [
    "No model has been measured here on these sets. To do so:",
    ...NAMES.map((set) => `  npx true-intents data get ${set}`),
    `  npx true-intents evaluate --adapter results/runs/sft-small/generation/best --sets ${NAMES.join(",")}`,
  ].join("\n");
}
