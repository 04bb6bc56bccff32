/** The paper's ablations (sections 1.4 and 7.4 of the record of arXiv 2606.27210): five training sets, one run each. */
import type { Ablation } from "../experiments/ablations-config.js";
import { AIMS_TEST } from "../experiments/presets/sets.js";
import { meanOf } from "../evaluate/spread.js";
import { markOf, ranks } from "./benchmark-ranks.js";
import { BENCHMARK_NAMES, BENCHMARK_ORDER } from "./benchmark-table.js";
import { zeroMarked } from "./differences.js";
import type { Displayable } from "./display.js";
import { PALETTE, type PlotlyFigure } from "./figure.js";
import { intervalFigure, type IntervalSeries } from "./intervals.js";
import { loadPublished } from "./published.js";
import type { Benchmark, LabelSource, TestSet } from "./published-tables.js";
import { scatterLabels } from "./scatter-labels.js";
import { showTable } from "./table-html.js";

/** Which ablation each published column belongs to; the first column is what the others are compared with. */
const ABLATION_OF: Readonly<Record<Exclude<LabelSource, "hardHumanLabels">, Ablation>> = {
  hardWildguardLabels: "source",
  randomWildguardLabels: "source",
  annotatedPlusRandom: "mix",
  fullWildguardmix: "scale",
};

const setName = (set: TestSet): string => (set === AIMS_TEST ? "AIMS test" : BENCHMARK_NAMES[set]);

/** F1 by test set and training set; the best of a row bold, the second underlined. AIMS test is in the second mean alone. */
export function publishedSources(): Displayable {
  const { columns, rows, heldOutMean, sixSetMean } = loadPublished("label-source");
  const lines = [
    ...rows.map(({ set, count, f1 }) => ({ name: `${setName(set)} (${count})`, f1 })),
    { name: "mean without AIMS test", f1: heldOutMean },
    { name: "mean of all six", f1: sixSetMean },
  ];
  const order = lines.map(({ f1 }) => ranks(columns.map(({ key }) => f1[key])));
  const heading = ({ name, trainRows }: (typeof columns)[number]): string => `${name} (${trainRows} rows)`;
  return showTable(
    lines.map(({ name, f1 }) => ({
      "test set": name,
      ...Object.fromEntries(columns.map((column) => [heading(column), f1[column.key].toFixed(3)])),
    })),
    {
      caption: "As published: GPT-OSS-120B into Gemma-3-12B, synthetic intents; unparsed answers count as safe",
      marks: (row, column) => markOf(order[row][columns.findIndex((one) => heading(one) === column)] ?? null),
    },
  );
}

/** Each training set's F1 less that of the hard subset under human labels, by benchmark. @param ablation one alone */
export function publishedSourceGains(ablation?: Ablation): IntervalSeries[] {
  const { columns, rows } = loadPublished("label-source");
  return columns.flatMap(({ key, name }) => {
    if (key === "hardHumanLabels" || (ablation !== undefined && ABLATION_OF[key] !== ablation)) return [];
    const values = rows.map(({ set, f1 }) => [set, { value: f1[key] - f1.hardHumanLabels }] as const);
    return [{ name: `${name}, published (one run)`, kind: "published", values: Object.fromEntries(values) }];
  });
}

/** The gains as dots around 0. */
export function publishedGainFigure(): PlotlyFigure {
  const { rows } = loadPublished("label-source");
  const series = publishedSourceGains().map(({ name, values, ...rest }) => {
    const byName = Object.entries(values).map(([set, value]) => [setName(set as TestSet), value] as const);
    return { ...rest, name: name.replace(", published (one run)", ""), values: Object.fromEntries(byName) };
  });
  const title = "As published: F1 less that of the hard subset under human labels";
  return zeroMarked(
    intervalFigure(
      title,
      rows.map(({ set }) => setName(set)),
      series,
      "difference in F1 of the harmful class",
    ),
  );
}

const SIZE = { width: 760, height: 440 };
const MARGIN = { l: 80, r: 24, t: 56, b: 60 };
const [X, Y] = [
  [Math.log10(800), Math.log10(250_000)],
  [0.794, 0.834],
] as const;

/** The five training sets by size against the mean F1 over the five benchmarks. */
export function publishedScaleFigure(): PlotlyFigure {
  const { columns, heldOutMean } = loadPublished("label-source");
  const points = columns.map(({ key, name, trainRows }) => ({ x: trainRows, y: heldOutMean[key], text: name }));
  const labels = scatterLabels(points, [], { size: SIZE, margin: MARGIN, x: X, y: Y, log: true });
  return {
    data: [
      {
        ...{ type: "scatter", mode: "markers", showlegend: false, x: points.map(({ x }) => x), y: points.map(({ y }) => y) },
        marker: { symbol: "diamond-open", size: 12, color: PALETTE[0], line: { width: 2, color: PALETTE[0] } },
        ...{
          customdata: columns.map(({ name }) => name),
          hovertemplate: "%{customdata}: %{y:.3f} with %{x} rows<extra></extra>",
        },
      },
      labels.texts,
    ],
    layout: {
      title: { text: "As published: training rows against mean F1 (single runs)" },
      ...{ ...SIZE, margin: MARGIN, shapes: labels.connectors },
      xaxis: {
        type: "log",
        range: X,
        tickvals: [1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000],
        title: { text: "training rows" },
      },
      yaxis: { range: Y, dtick: 0.01, tickformat: ".2f", title: { text: "mean F1 over the five benchmarks" } },
    },
  };
}

/** The mix beside the annotated rows alone, with both kinds of intents; the best of a column bold, the second underlined. */
export function publishedMix(): Displayable {
  const main = loadPublished("benchmark-main");
  const sources = loadPublished("label-source");
  const mixed = loadPublished("broader-mix").rows;
  const rowOf = (from: readonly { readonly model: string; readonly f1: MixF1 }[], model: string): MixF1 =>
    from.find((row) => row.model.startsWith(model))!.f1;
  const alone = Object.fromEntries(sources.rows.map(({ set, f1 }) => [set, f1.hardHumanLabels]));
  const aims = (intents: "human" | "synthetic"): number => mixed.find((row) => row.annotatedIntents === intents)!.aimsTestF1;
  const lines = [
    { training: "annotated, human intents", f1: rowOf(main.rows, "annotated intents only"), aims: null },
    { training: "annotated, synthetic intents", f1: alone as MixF1, aims: alone[AIMS_TEST] },
    { training: "annotated, human intents + pool", f1: rowOf(main.rows, "+ broader-pool"), aims: aims("human") },
    { training: "annotated, synthetic intents + pool", f1: rowOf(main.notRendered, "mixed set"), aims: aims("synthetic") },
  ];
  const columns = [
    ...BENCHMARK_ORDER.map((set) => ({ name: BENCHMARK_NAMES[set], values: lines.map(({ f1 }) => f1[set]) })),
    { name: "mean", values: lines.map(({ f1 }) => meanOf(BENCHMARK_ORDER.map((set) => f1[set]))) },
    { name: "AIMS test", values: lines.map((line) => line.aims) },
  ].map(({ name, values }) => ({ name, values, ranks: ranks(values) }));
  return showTable(
    lines.map(({ training }, row) => ({
      training,
      ...Object.fromEntries(columns.map(({ name, values }) => [name, values[row]?.toFixed(3) ?? "–"])),
    })),
    {
      caption:
        "As published: 1,378 annotated rows alone, and with as many of WildGuardMix (single runs; AIMS test is not in the mean)",
      marks: (row, column) => markOf(columns.find(({ name }) => name === column)?.ranks[row] ?? null),
    },
  );
}

type MixF1 = Readonly<Record<Benchmark, number>>;
