/**
 * The grid as a heatmap, drawn as the paper's `distillation_test_heatmap.pdf`: a panel a condition, teachers down, students across, one
 * range of colours for all panels, a gold border around the condition that wins for its teacher and student. Cells are shapes: a heatmap
 * trace needs a browser.
 */
import { CONDITIONS, type Condition } from "../prompts/distillation.js";
import { pairsIn, valuesOf, winnersOf, type GridCell } from "./distillation-grid.js";
import { CONDITION_NAMES } from "./distillation-names.js";
import { figureText, type PlotlyFigure } from "./figure.js";

export interface HeatmapOptions {
  readonly title: string;
  /** What the colours are, at the colour bar. */
  readonly label: string;
  /** Whether high or low values win; "neither" where conditions are not to be ranked by them. Default "high". */
  readonly better?: "high" | "low" | "neither";
}

/** ColorBrewer's Blues, from which matplotlib's map of that name is interpolated. */
const BLUES = [0xf7fbff, 0xdeebf7, 0xc6dbef, 0x9ecae1, 0x6baed6, 0x4292c6, 0x2171b5, 0x08519c, 0x08306b];
const GOLD = "#FFB000";
const BORDER = 2.5;
/** Above this share of the range the text is white. */
const WHITE_ABOVE = 0.55;
/** The range is wider than the values by this share at either end. */
const WIDENED = 0.05;

/** In CSS pixels. */
const PAGE = 960;
const GAP = 14;
const RIGHT = 20;
const TOP = 88;
const ROW = 50;
const CHARACTER = 7.2;
/** Height of the colour bar with its numbers and its label; its length as a share of the width. */
const BAR = 88;
const BAR_LENGTH = 0.6;

/** Smallest and largest value, widened by 5% of their distance; around a single value a little room. */
export function colorRange(values: readonly number[]): readonly [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = most > least ? WIDENED * (most - least) : Math.abs(most) * WIDENED || WIDENED;
  return [least - room, most + room];
}

/** The colour at a share of the range, between 0 and 1. */
export function blue(share: number): string {
  const at = Math.min(1, Math.max(0, share)) * (BLUES.length - 1);
  const below = Math.min(BLUES.length - 2, Math.floor(at));
  const channel = (color: number, shift: number): number => (color >> shift) & 0xff;
  const mixed = [16, 8, 0].map((shift) => {
    const [from, to] = [channel(BLUES[below], shift), channel(BLUES[below + 1], shift)];
    return Math.round(from + (at - below) * (to - from));
  });
  return `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

/** Nothing if no cell has a value. Cells without one are grey and say so. */
export function gridHeatmap(cells: readonly GridCell[], options: HeatmapOptions): PlotlyFigure[] {
  const values = cells.flatMap(({ value }) => value ?? []);
  if (values.length === 0) return [];
  const range = colorRange(values);
  const conditions = CONDITIONS.filter((condition) => cells.some((cell) => cell.condition === condition));
  const [teachers, students] = [valuesOf(cells, "teacher"), valuesOf(cells, "student")];
  const { better = "high" } = options;
  const ranked = better === "neither" ? [] : pairsIn(cells).map((pair) => ({ ...pair, won: winnersOf(pair, better) }));
  const wins = ({ teacher, student, condition }: GridCell): boolean =>
    ranked.some((pair) => pair.teacher === teacher && pair.student === student && pair.won.includes(condition));

  const left = 16 + CHARACTER * Math.max(...teachers.map((name) => name.length));
  // Names of students stand at 45 degrees.
  const names = 20 + 0.72 * CHARACTER * Math.max(...students.map((name) => name.length));
  const columns = conditions.length * students.length;
  const column = Math.min(120, Math.max(64, (PAGE - left - RIGHT - GAP * (conditions.length - 1)) / columns));
  const plot = column * columns + GAP * (conditions.length - 1);
  const height = ROW * teachers.length;
  const suffix = (panel: number): string => (panel === 0 ? "" : String(panel + 1));

  const shapes = conditions.flatMap((condition, panel) => {
    const own = cells.filter((cell) => cell.condition === condition);
    const square = (cell: GridCell, inset: number): object => {
      const [x, y] = [students.indexOf(cell.student), teachers.indexOf(cell.teacher)];
      const [across, down] = [0.5 - inset / column, 0.5 - inset / ROW];
      const place = { x0: x - across, x1: x + across, y0: y - down, y1: y + down };
      return { type: "rect", xref: `x${suffix(panel)}`, yref: `y${suffix(panel)}`, ...place };
    };
    const filled = own.map((cell) => ({
      ...square(cell, 0),
      layer: "below",
      fillcolor: cell.value === null ? "#e3e6ea" : blue(shareOf(cell.value, range)),
      line: { color: "#ffffff", width: 1 },
    }));
    // Inside of its cell, so that neighbours do not cover it.
    const bordered = own.filter(wins).map((cell) => ({ ...square(cell, BORDER), line: { color: GOLD, width: BORDER } }));
    return [...filled, ...bordered];
  });
  const traces = conditions.map((condition, panel) =>
    textsOf(
      cells.filter((cell) => cell.condition === condition),
      { range, suffix: suffix(panel), wins, teachers, students },
    ),
  );
  const axes = conditions.flatMap((_, panel): [string, object][] => {
    const start = (panel * (students.length * column + GAP)) / plot;
    const domain = [start, Math.min(1, start + (students.length * column) / plot)];
    const bare = { showgrid: false, showline: false, ticks: "", fixedrange: true, ticklabelstandoff: 4 };
    const across = { tickvals: students.map((_name, i) => i), ticktext: students.map(figureText), tickangle: -45 };
    const down = { tickvals: teachers.map((_name, i) => i), ticktext: teachers.map(figureText), showticklabels: panel === 0 };
    return [
      [
        `xaxis${suffix(panel)}`,
        { ...bare, ...across, domain, anchor: `y${suffix(panel)}`, range: [-0.5, students.length - 0.5] },
      ],
      [`yaxis${suffix(panel)}`, { ...bare, ...down, anchor: `x${suffix(panel)}`, range: [teachers.length - 0.5, -0.5] }],
    ];
  });
  return [
    {
      data: [...traces, colorBar(range, -(names + 8) / height)],
      layout: {
        width: left + plot + RIGHT,
        height: TOP + height + names + BAR,
        margin: { l: left, r: RIGHT, t: TOP, b: names + BAR },
        title: { text: figureText(options.title), y: 1, yref: "container", yanchor: "top", pad: { t: 14 } },
        showlegend: false,
        ...Object.fromEntries(axes),
        annotations: [
          ...conditions.map((condition, panel) => titleOf(condition, suffix(panel))),
          {
            ...{
              text: figureText(options.label),
              xref: "paper",
              yref: "paper",
              x: (1 - BAR_LENGTH) / 2,
              y: -(names + 54) / height,
            },
            ...{ xanchor: "left", align: "left", yanchor: "top", showarrow: false, font: { size: 14 } },
          },
        ],
        shapes,
      },
    },
  ];
}

function shareOf(value: number, [from, to]: readonly [number, number]): number {
  return (value - from) / (to - from);
}

interface Panel {
  readonly range: readonly [number, number];
  readonly suffix: string;
  readonly wins: (cell: GridCell) => boolean;
  readonly teachers: readonly string[];
  readonly students: readonly string[];
}

function textsOf(cells: readonly GridCell[], panel: Panel): object {
  const white = (value: number | null): boolean => value !== null && shareOf(value, panel.range) > WHITE_ABOVE;
  return {
    type: "scatter",
    mode: "text",
    xaxis: `x${panel.suffix}`,
    yaxis: `y${panel.suffix}`,
    x: cells.map(({ student }) => panel.students.indexOf(student)),
    y: cells.map(({ teacher }) => panel.teachers.indexOf(teacher)),
    text: cells.map(({ value }) => (value === null ? "–" : value.toFixed(3))),
    textfont: { size: 15, color: cells.map(({ value }) => (white(value) ? "#ffffff" : "#1f2328")) },
    customdata: cells.map((cell) => [
      `${cell.teacher} → ${cell.student}`,
      CONDITION_NAMES[cell.condition],
      cell.value === null ? "no value" : `${cell.value.toFixed(4)}${panel.wins(cell) ? ", the best of this pair" : ""}`,
    ]),
    hovertemplate: "%{customdata[0]}<br>%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
  };
}

/** A point that is not there, for its colour bar. */
function colorBar(range: readonly [number, number], y: number): object {
  const scale = BLUES.map((_, i) => [i / (BLUES.length - 1), blue(i / (BLUES.length - 1))]);
  const bar = { orientation: "h", x: 0.5, xanchor: "center", y, yanchor: "top", len: BAR_LENGTH, thickness: 14, outlinewidth: 0 };
  return {
    type: "scatter",
    mode: "markers",
    x: [null],
    y: [null],
    hoverinfo: "skip",
    marker: {
      color: [range[0]],
      cmin: range[0],
      cmax: range[1],
      colorscale: scale,
      showscale: true,
      colorbar: { ...bar, ypad: 0, nticks: 7, tickformat: ".3f" },
    },
  };
}

/** Aligned to the left it stands where it should also without a browser, which cannot tell its width. */
function titleOf(condition: Condition, suffix: string): object {
  const [first, ...rest] = CONDITION_NAMES[condition];
  return {
    text: first.toUpperCase() + rest.join("").replace("intent", "Intent"),
    ...{ xref: `x${suffix} domain`, yref: "paper", x: 0, y: 1, xanchor: "left", align: "left", yanchor: "bottom", yshift: 2 },
    ...{ showarrow: false, font: { size: 14 } },
  };
}
