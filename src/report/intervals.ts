/** Scores with intervals as a dot plot, beside published values and the constant answer. */
import { figureText, PALETTE, type PlotlyFigure } from "./figure.js";

export interface IntervalSeries {
  readonly name: string;
  /** Ours are filled, published ones hollow; the floor is what a constant answer scores. */
  readonly kind: "ours" | "published" | "floor";
  /** By row label; rows without a value are left empty. */
  readonly values: Readonly<Record<string, { readonly value: number; readonly low?: number; readonly high?: number }>>;
}

/** Heights in pixels: above the plot, of a row with many series, from the axis to the legend, of a line of the legend. */
const [TOP, ROW, AXIS, LINE] = [56, 84, 66, 20];

/** One row a label (a test set, say), from the top in the order given; within a row one dot a series. */
export function intervalFigure(
  title: string,
  labels: readonly string[],
  series: readonly IntervalSeries[],
  axis = "F1 of the harmful class",
): PlotlyFigure {
  const measured = series.filter(({ kind }) => kind === "ours");
  const bottom = AXIS + LINE * series.length + 12;
  const quoted = series.filter(({ kind }) => kind === "published");
  const height = Math.min(ROW, 24 + 14 * series.length) * labels.length;
  return {
    data: series.map((one, i) => {
      const rows = labels.flatMap((label, row) => {
        const point = Object.hasOwn(one.values, label) ? one.values[label] : undefined;
        // Series stand one below another within 0.7 of a row.
        return point === undefined ? [] : [{ ...point, y: row - 0.35 + (0.7 * (i + 0.5)) / series.length }];
      });
      const color = colorOf(one, measured, quoted);
      return {
        type: "scatter",
        mode: "markers",
        name: one.name,
        x: rows.map(({ value }) => value),
        y: rows.map(({ y }) => y),
        error_x: {
          type: "data",
          visible: rows.some(({ low }) => low !== undefined),
          symmetric: false,
          array: rows.map(({ value, high = value }) => high - value),
          arrayminus: rows.map(({ value, low = value }) => value - low),
          color,
          thickness: 2,
          width: 5,
        },
        marker: markerOf(one.kind, color),
        customdata: rows.map(({ value, low, high }) => [
          value.toFixed(3) + (low === undefined || high === undefined ? "" : ` (${low.toFixed(3)} to ${high.toFixed(3)})`),
        ]),
        hovertemplate: "%{customdata[0]}<extra>%{fullData.name}</extra>",
      };
    }),
    layout: {
      title: { text: figureText(title) },
      width: 820,
      height: TOP + height + bottom,
      margin: { l: Math.max(150, 28 + 7.2 * Math.max(...labels.map((label) => label.length))), r: 24, t: TOP, b: bottom },
      xaxis: { title: { text: figureText(axis) }, showgrid: true },
      yaxis: {
        tickvals: labels.map((_, row) => row),
        ticktext: labels.map(figureText),
        range: [labels.length - 0.5, -0.5],
        showgrid: false,
      },
      legend: { orientation: "v", x: 0, y: -AXIS / height, yanchor: "top" },
      shapes: labels.slice(1).map((_, row) => ({
        type: "line",
        xref: "paper",
        x0: 0,
        x1: 1,
        y0: row + 0.5,
        y1: row + 0.5,
        line: { color: "#e3e6ea", width: 1 },
      })),
    },
  };
}

function colorOf(one: IntervalSeries, measured: readonly IntervalSeries[], quoted: readonly IntervalSeries[]): string {
  if (one.kind === "floor") return "#888888";
  // Measured ones take the palette from its beginning, published ones go on where they end.
  const at = one.kind === "ours" ? measured.indexOf(one) : measured.length + quoted.indexOf(one);
  return PALETTE[at % PALETTE.length];
}

function markerOf(kind: IntervalSeries["kind"], color: string): object {
  if (kind === "floor") return { symbol: "line-ns-open", size: 16, color, line: { width: 2, color } };
  if (kind === "published") return { symbol: "diamond-open", size: 11, color, line: { width: 2, color } };
  return { symbol: "circle", size: 11, color };
}
