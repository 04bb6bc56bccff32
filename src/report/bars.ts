/** Counts and shares as bars, distributions as boxes and histograms. */
import { quantile } from "../evaluate/quantile.js";
import { figureText, PALETTE, type PlotlyFigure } from "./figure.js";

export interface BarSeries {
  readonly name: string;
  /** One a category, in their order. */
  readonly values: readonly (number | null)[];
  /** Default: one of the palette. */
  readonly color?: string;
}

export interface BarOptions {
  readonly title: string;
  /** What the length of a bar is. */
  readonly axis: string;
  /** Bars of one category on top of each other instead of side by side. Default false. */
  readonly stacked?: boolean;
}

/** Harmful and safe everywhere in the same two colours. */
const HARM_COLORS = { harmful: PALETTE[1], safe: PALETTE[0] } as const;

/** Horizontal bars, the first category on top: room for long names, and none of them is turned. */
export function barFigure(categories: readonly string[], series: readonly BarSeries[], options: BarOptions): PlotlyFigure {
  const { title, axis, stacked = false } = options;
  const rows = categories.length * (stacked ? 1 : Math.max(1, series.length * 0.6));
  const left = 20 + 7.2 * Math.max(...categories.map((name) => name.length), 4);
  const legend = 20 * (legendRows(series, 760 - left - 24) - 1);
  return {
    data: series.map(({ name, values, color }, i) => ({
      type: "bar",
      orientation: "h",
      name,
      x: values,
      y: categories,
      marker: { color: color ?? colorOf(name, i) },
    })),
    layout: {
      title: { text: figureText(title) },
      height: Math.round(170 + 24 * rows + legend),
      margin: { l: left, r: 24, t: 56, b: 104 + legend },
      barmode: stacked ? "stack" : "group",
      bargap: 0.25,
      xaxis: { title: { text: figureText(axis) }, rangemode: "tozero" },
      yaxis: { autorange: "reversed", type: "category", ticks: "" },
      legend: { orientation: "h", x: 0, y: -62 / (24 * rows + 10), yanchor: "top", traceorder: "normal" },
      showlegend: series.length > 1,
    },
  };
}

/** Lines of a horizontal legend, whose columns are as wide as its longest entry as soon as one line does not hold it. */
function legendRows(series: readonly BarSeries[], width: number): number {
  const widths = series.map(({ name }) => 48 + 7 * name.length);
  if (widths.reduce((sum, one) => sum + one, 0) <= width) return 1;
  return Math.ceil(series.length / Math.max(1, Math.floor(width / Math.max(...widths))));
}

function colorOf(name: string, i: number): string {
  return name === "harmful" || name === "safe" ? HARM_COLORS[name] : PALETTE[i % PALETTE.length];
}

export interface Distribution {
  readonly name: string;
  readonly values: readonly number[];
}

/** Boxes from the 5th to the 95th percentile with the quartiles, one a distribution, on a logarithmic axis. Values are above 0. */
export function boxFigure(distributions: readonly Distribution[], options: BarOptions): PlotlyFigure {
  const full = distributions.filter(({ values }) => values.length > 0);
  const at = (share: number): number[] =>
    full.map(({ values }) =>
      quantile(
        values.toSorted((a, b) => a - b),
        share,
      ),
    );
  return {
    data: [
      {
        type: "box",
        orientation: "h",
        y: full.map(({ name }) => name),
        lowerfence: at(0.05),
        q1: at(0.25),
        median: at(0.5),
        q3: at(0.75),
        upperfence: at(0.95),
        line: { color: PALETTE[0] },
        fillcolor: PALETTE[4],
        showlegend: false,
      },
    ],
    layout: {
      title: { text: figureText(options.title) },
      height: 150 + 34 * full.length,
      margin: { l: 20 + 7.2 * Math.max(...full.map(({ name }) => name.length), 4), r: 24, t: 56, b: 60 },
      xaxis: {
        title: { text: figureText(options.axis) },
        type: "log",
        tickvals: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
      },
      yaxis: { autorange: "reversed", type: "category", ticks: "" },
    },
  };
}

/** Counts of values in equal bins over all distributions, as steps. */
export function histogramFigure(
  distributions: readonly Distribution[],
  options: BarOptions & { readonly bins?: number },
): PlotlyFigure {
  const { title, axis, bins = 24 } = options;
  const all = distributions.flatMap(({ values }) => values);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const width = (most - least) / bins || 1;
  const starts = Array.from({ length: bins }, (_, i) => least + i * width);
  return {
    data: distributions.map(({ name, values }, i) => {
      const counts = new Array<number>(bins).fill(0);
      for (const value of values) counts[Math.min(bins - 1, Math.floor((value - least) / width))]++;
      const share = counts.map((count) => (values.length === 0 ? 0 : count / values.length));
      return {
        type: "scatter",
        mode: "lines",
        name: `${name} (n = ${values.length})`,
        x: [...starts, most],
        y: [...share, share[bins - 1]],
        line: { shape: "hv", color: PALETTE[i % PALETTE.length], dash: i === 0 ? "solid" : "dash", width: 2 },
        fill: i === 0 ? "tozeroy" : "none",
      };
    }),
    layout: {
      title: { text: figureText(title) },
      xaxis: { title: { text: figureText(axis) } },
      yaxis: { title: { text: "share" }, rangemode: "tozero", tickformat: ".0%" },
    },
  };
}
