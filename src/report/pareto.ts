/**
 * Latency against F1 (or AUPRC), and the frontier: the models that nothing faster beats. Drawn as the paper's figure `pareto_f1_latency.pdf`
 * (its `eval_suite_timing.ipynb`): linear axes, grey squares for prior work, blue circles for the paper's own models, a dashed
 * frontier. Models trained here are green diamonds, the cells of a distillation grid purple triangles, models that were only asked
 * orange stars, with one dotted frontier of their own. With them the latencies may span more than a linear axis can show; then it is logarithmic.
 */
import { figureText, PALETTE, type PlotlyFigure } from "./figure.js";
import type { Spot } from "./labels.js";
import { loadPublished } from "./published.js";
import { scatterLabels } from "./scatter-labels.js";

export const PARETO_GROUPS = ["prior work", "the paper's models", "measured here", "distilled here", "only asked here"] as const;
export type ParetoGroup = (typeof PARETO_GROUPS)[number];

/** F1 of the harmful class, or the area under its precision-recall curve; between 0 and 1. */
export type ParetoMeasure = "F1" | "AUPRC";

export interface Range {
  readonly low: number;
  readonly high: number;
}

export interface ParetoPoint {
  readonly model: string;
  readonly group: ParetoGroup;
  readonly measure: ParetoMeasure;
  readonly score: number;
  /** 95% interval of the score; null where none is given. */
  readonly interval: Range | null;
  readonly millisecondsPerPrompt: number;
  /** The same of the time. */
  readonly latencyInterval: Range | null;
  /** Generated tokens; null where they were not counted. */
  readonly tokensPerPrompt: number | null;
  /** Share of answers without a readable verdict; null where it is not known. */
  readonly unparsed: number | null;
  /** What the score is over. */
  readonly sets: string;
}

export interface ParetoOptions {
  readonly title?: string;
  /** Default: "Per-prompt latency (ms) ↓". */
  readonly latency?: string;
}

const MARKERS = {
  "prior work": { symbol: "square", color: "#888888" },
  "the paper's models": { symbol: "circle", color: PALETTE[0] },
  "measured here": { symbol: "diamond", color: PALETTE[2] },
  "distilled here": { symbol: "triangle-up", color: PALETTE[3] },
  "only asked here": { symbol: "star", color: PALETTE[5] },
} as const;
/** The paper's size, 10.5 x 6 in, at a width that fits a page. */
const SIZE = { width: 840, height: 540 };
const MARGIN = { l: 72, r: 20, t: 52, b: 96 };
/** A linear axis shows latencies up to this ratio apart. */
const LINEAR_UP_TO = 15;
const LOG_TICKS = [0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));

/** Points in order of latency, each kept if its score is above that of every faster one. Of equal latencies the best is the faster. */
export function paretoFrontier<T extends Pick<ParetoPoint, "millisecondsPerPrompt" | "score">>(points: readonly T[]): T[] {
  const sorted = points.toSorted((a, b) => a.millisecondsPerPrompt - b.millisecondsPerPrompt || b.score - a.score);
  let best = -Infinity;
  return sorted.filter(({ score }) => {
    if (score <= best) return false;
    best = score;
    return true;
  });
}

/** The eight points of the paper's figure: one GPU, batched throughput, mean F1 over the five benchmarks. */
export function publishedPareto(): ParetoPoint[] {
  const { rows } = loadPublished("latency");
  const { priorWork, ours } = loadPublished("figures").pareto;
  return rows.flatMap(({ model, millisecondsPerPrompt, tokensPerPrompt, f1 }) => {
    if (!priorWork.includes(model) && !ours.includes(model)) return [];
    const group = ours.includes(model) ? "the paper's models" : "prior work";
    const measured = { measure: "F1", score: f1, interval: null, millisecondsPerPrompt, latencyInterval: null } as const;
    return [{ model, group, ...measured, tokensPerPrompt, unparsed: null, sets: "five benchmarks" }];
  });
}

/** Groups of ours with many models or long names: only those on the frontier have their names beside them. */
const NAMED_ON_HOVER: ReadonlySet<ParetoGroup> = new Set(["distilled here", "only asked here"]);

/** Whether a point is one of ours. */
function isOwn({ group }: ParetoPoint): boolean {
  return group === "measured here" || NAMED_ON_HOVER.has(group);
}

/**
 * The scatter with its frontiers: one over the published points together, one over those measured here. Only points with a
 * latency above 0 can be drawn, and those of one measure together. Hovering shows model, score and latency with their intervals, and
 * generated tokens a prompt.
 */
export function paretoFigure(points: readonly ParetoPoint[], options: ParetoOptions = {}): PlotlyFigure {
  const { title, latency = "Per-prompt latency (ms) ↓" } = options;
  const score = `Mean Test ${points[0]?.measure ?? "F1"} ↑`;
  const published = paretoFrontier(points.filter((point) => !isOwn(point)));
  const own = paretoFrontier(points.filter(isOwn));
  const frontier = new Set([...published, ...own]);
  const groups = PARETO_GROUPS.map((group) => points.filter((point) => point.group === group)).filter(
    (group) => group.length > 0,
  );
  const axes = axesOf(points);
  const named = points.filter((point) => !NAMED_ON_HOVER.has(point.group) || frontier.has(point));
  const labels = labelsOf(points, named, [published, own], axes);
  const line = (name: string, color: string, dash: string, on: readonly ParetoPoint[]): object => ({
    type: "scatter",
    mode: "lines",
    name,
    x: on.map((point) => point.millisecondsPerPrompt),
    y: on.map((point) => point.score),
    line: { color, dash, width: 1.6 },
    opacity: 0.7,
    hoverinfo: "skip",
  });
  return {
    data: [
      ...(published.length > 1 ? [line("frontier, published", PALETTE[1], "dash", published)] : []),
      ...(own.length > 1 ? [line("frontier, measured here", PALETTE[2], "dot", own)] : []),
      ...groups.map((group) => markersOf(group, frontier)),
      labels.texts,
    ],
    layout: {
      ...SIZE,
      margin: MARGIN,
      ...(title === undefined ? {} : { title: { text: figureText(title) } }),
      xaxis: {
        title: { text: figureText(latency) },
        range: axes.x,
        griddash: "dot",
        ...(axes.log ? { type: "log", tickvals: LOG_TICKS } : {}),
      },
      yaxis: { title: { text: score }, range: axes.y, griddash: "dot" },
      shapes: labels.connectors,
    },
  };
}

function markersOf(group: readonly ParetoPoint[], frontier: ReadonlySet<ParetoPoint>): object {
  const { symbol, color } = MARKERS[group[0].group];
  return {
    type: "scatter",
    mode: "markers",
    name: group[0].group,
    x: group.map((point) => point.millisecondsPerPrompt),
    y: group.map((point) => point.score),
    error_x: errorBars(
      color,
      group.map((point) => ({ at: point.millisecondsPerPrompt, range: point.latencyInterval })),
    ),
    error_y: errorBars(
      color,
      group.map((point) => ({ at: point.score, range: point.interval })),
    ),
    marker: {
      symbol,
      color,
      size: 11,
      line: { color: "#000000", width: group.map((point) => (frontier.has(point) ? 1.8 : 0.6)) },
    },
    customdata: group.map(hoverLines),
    hovertemplate: "%{customdata[0]}<br>%{customdata[1]}<br>%{customdata[2]}<br>%{customdata[3]}<extra></extra>",
  };
}

/** A point without a range has bars of no length. */
function errorBars(color: string, points: readonly { readonly at: number; readonly range: Range | null }[]): object {
  return {
    type: "data",
    visible: points.some(({ range }) => range !== null),
    symmetric: false,
    array: points.map(({ at, range }) => (range === null ? 0 : range.high - at)),
    arrayminus: points.map(({ at, range }) => (range === null ? 0 : at - range.low)),
    color,
    thickness: 1,
    width: 3,
  };
}

function hoverLines(point: ParetoPoint): string[] {
  const { model, measure, score, interval, millisecondsPerPrompt, latencyInterval, tokensPerPrompt, unparsed, sets } = point;
  const range = (of: Range | null, text: (value: number) => string): string =>
    of === null ? "" : ` (${text(of.low)} to ${text(of.high)})`;
  const three = (value: number): string => value.toFixed(3);
  const time = (value: number): string => value.toPrecision(3);
  const unread = unparsed === null ? "" : `, ${(100 * unparsed).toFixed(1)}% unparsed`;
  const tokens =
    tokensPerPrompt === null
      ? "generated tokens not counted"
      : `${tokensPerPrompt.toFixed(1)} generated tokens a prompt${unread}`;
  return [
    model,
    `${measure} ${three(score)}${range(interval, three)}, ${sets}`,
    `${time(millisecondsPerPrompt)}${range(latencyInterval, time)} ms a prompt`,
    tokens,
  ];
}

interface Axes {
  readonly log: boolean;
  /** From, to; powers of ten on a logarithmic axis. */
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

/** Limits as in the paper's figure, on the scale of the axis; intervals belong to their points. */
function axesOf(points: readonly ParetoPoint[]): Axes {
  const reach = (at: number, range: Range | null): number[] => (range === null ? [at] : [at, range.low, range.high]);
  const latencies = points.flatMap((point) => reach(point.millisecondsPerPrompt, point.latencyInterval));
  const log = Math.max(...latencies) > LINEAR_UP_TO * Math.min(...latencies);
  const scores = points.flatMap(({ score, interval }) => reach(score, interval));
  return { log, x: limits(log ? latencies.map(Math.log10) : latencies, 0.08, 0.128), y: limits(scores, 0.1, 0.2) };
}

/** Smallest and largest value, widened by shares of their distance; a single value gets some room around it. */
function limits(values: readonly number[], below: number, above: number): [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const span = most > least ? most - least : Math.abs(most) * 0.1 || 1;
  return [least - below * span, most + above * span];
}

/** The labels where there is room, and a thin line to each from its point. */
function labelsOf(
  points: readonly ParetoPoint[],
  named: readonly ParetoPoint[],
  frontiers: readonly (readonly ParetoPoint[])[],
  axes: Axes,
): ReturnType<typeof scatterLabels> {
  const spot = ({ millisecondsPerPrompt: x, score: y }: ParetoPoint): Spot => ({ x, y });
  const bars = points.flatMap((point) => {
    const { interval, latencyInterval } = point;
    const { x, y } = spot(point);
    const across = latencyInterval === null ? [] : [[latencyInterval.low, latencyInterval.high].map((end) => ({ x: end, y }))];
    const upright = interval === null ? [] : [[interval.low, interval.high].map((end) => ({ x, y: end }))];
    return [...across, ...upright];
  });
  const labels = named.map((point) => ({ ...spot(point), text: point.model }));
  return scatterLabels(labels, [...frontiers.map((frontier) => frontier.map(spot)), ...bars], {
    size: SIZE,
    margin: MARGIN,
    ...axes,
  });
}
