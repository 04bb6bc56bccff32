/**
 * The benchmark bars (the paper's `f1_benchmark_comparison.pdf`, its `baselines_results.ipynb`): a group a benchmark and the shaded average,
 * zero-shot models left out, three decimals on each bar. Bars lie here, a panel a benchmark, so that names and numbers have room.
 */
import { AVERAGE, BENCHMARK_NAMES, BENCHMARK_ORDER, publishedRows } from "./benchmark-table.js";
import type { OwnRow } from "./benchmark-own.js";
import { figureText, PALETTE, type PlotlyFigure } from "./figure.js";
import { onPanel, panelLayout } from "./panels.js";
import type { Benchmark } from "./published-tables.js";
import { meanOf } from "../evaluate/spread.js";

interface Bar {
  readonly model: string;
  readonly group: (typeof GROUPS)[number]["name"];
  readonly value: (set: Benchmark | typeof AVERAGE) => number | null;
}

const GROUPS = [
  { name: "guardrails", color: "#888888" },
  { name: "the paper's models", color: PALETTE[0] },
  { name: "measured here", color: PALETTE[5] },
] as const;

/** Short names of the table's rows: its groups say what they are, and its names come from scripts. */
const SHORT: readonly (readonly [RegExp, string])[] = [
  [/^Ours, distillation \(.*annotated.*/, "Distilled Gemma-3-12B"],
  [/^Ours, distillation .*broader.*/, "Distilled, broader mix"],
  [/^Ours, DPO .*hard.*/, "LE-DPO, best run"],
  [/^Ours, DPO .*judge.*/, "IF-DPO, best run"],
  [/^Ours, GRPO .*label reward.*/, "GRPO, label"],
  [/^Ours, GRPO .*intent reward.*/, "GRPO, label + intent"],
  [/^Ours, SFT (.*) \(generation\)/, "SFT $1"],
];

function shortName(group: string, model: string): string {
  const whole = `${group} ${model}`;
  const found = SHORT.find(([pattern]) => pattern.test(whole));
  return found === undefined ? model : whole.replace(found[0], found[1]);
}

/** Pixels: left of the panels, of a bar, above, below, of the whole. */
const [LEFT, ROW, TOP, BOTTOM, WIDTH] = [236, 19, 88, 72, 1080];
/** Share of the height that bars have: between the two rows of panels there are ticks and titles. */
const FILLED = 0.8;
/** Characters of a name that have room. */
const NAME = 34;
const PANELS = [...BENCHMARK_ORDER, AVERAGE] as const;
const COLUMNS = 3;

/** Published guard and trained models, and what was measured here, where it was. */
export function benchmarkBars(own: readonly OwnRow[]): PlotlyFigure {
  const bars = barsOf(own);
  const names = unlike(bars.map(({ model }) => (model.length > NAME ? `${model.slice(0, NAME - 1)}…` : model)));
  const inside = Math.round(((PANELS.length / COLUMNS) * bars.length * ROW) / FILLED);
  const panels = PANELS.map((set, i) => {
    const rows = { range: [bars.length - 0.4, -0.6], showgrid: false, ticks: "", showticklabels: i % COLUMNS === 0 };
    return {
      title: set === AVERAGE ? AVERAGE : BENCHMARK_NAMES[set],
      xaxis: { range: [0, 1.15], tickvals: [0, 0.25, 0.5, 0.75, 1] },
      yaxis: { ...rows, tickvals: names.map((_, at) => at), ticktext: names.map(figureText), tickfont: { size: 12 } },
    };
  });
  const average = onPanel(PANELS.indexOf(AVERAGE));
  const shade = { xref: `${average.xaxis} domain`, yref: `${average.yaxis} domain`, x0: 0, x1: 1, y0: 0, y1: 1 };
  return {
    data: PANELS.flatMap((_, panel) => GROUPS.flatMap((group) => tracesOf(bars, panel, group))),
    layout: {
      title: { text: "F1 of the harmful class by benchmark" },
      ...{ width: WIDTH, height: TOP + inside + BOTTOM, margin: { l: LEFT, r: 20, t: TOP, b: BOTTOM }, barmode: "overlay" },
      ...panelLayout(panels),
      shapes: [{ type: "rect", ...shade, layer: "below", fillcolor: "#888888", opacity: 0.08, line: { width: 0 } }],
      legend: { orientation: "h", x: 0, y: -40 / inside, yanchor: "top" },
    },
  };
}

function barsOf(own: readonly OwnRow[]): Bar[] {
  const published = publishedRows().filter(({ group }) => group !== "Zero-shot LLMs");
  return [
    ...published.map(({ group, model, f1, mean }): Bar => ({
      model: shortName(group, model),
      group: group === "Guardrails" ? "guardrails" : "the paper's models",
      value: (set) => (set === AVERAGE ? mean : f1[set]),
    })),
    ...own.map(({ name, scores }): Bar => {
      const mean = meanOf(BENCHMARK_ORDER.map((one) => scores[one]?.f1 ?? null));
      return { model: name, group: "measured here", value: (set) => (set === AVERAGE ? mean : (scores[set]?.f1 ?? null)) };
    }),
  ];
}

/** A group's bars on a panel and the numbers at their ends. */
function tracesOf(bars: readonly Bar[], panel: number, { name, color }: (typeof GROUPS)[number]): object[] {
  const valuesOn = (on: number) =>
    bars.flatMap((bar, at) => {
      const value = bar.group === name ? bar.value(PANELS[on]) : null;
      return value === null ? [] : [{ at, value, model: bar.model }];
    });
  const shown = valuesOn(panel);
  if (shown.length === 0) return [];
  const place = { ...onPanel(panel), x: shown.map(({ value }) => value), y: shown.map(({ at }) => at) };
  const first = PANELS.findIndex((_, on) => valuesOn(on).length > 0);
  const legend = { name, legendgroup: name, showlegend: panel === first };
  const hover = { customdata: shown.map(({ model }) => model), hovertemplate: "%{customdata}: %{x:.3f}<extra></extra>" };
  const text = { text: shown.map(({ value }) => value.toFixed(3)), textposition: "middle right", textfont: { size: 11 } };
  return [
    { type: "bar", orientation: "h", ...place, ...legend, ...hover, marker: { color }, width: 0.72 },
    { type: "scatter", mode: "text", ...place, ...text, showlegend: false, hoverinfo: "skip", cliponaxis: false },
  ];
}

/** Names of which none comes twice: cut ones may have become alike. */
function unlike(names: readonly string[]): string[] {
  return names.map((name, i) => {
    const before = names.slice(0, i).filter((one) => one === name).length;
    return before === 0 ? name : `${name} ${before + 1}`;
  });
}
