/** What an intent costs: generated tokens and time a prompt beside F1, a point a cell. */
import { meanOf } from "../evaluate/spread.js";
import { CONDITIONS, type Condition } from "../prompts/distillation.js";
import { CONDITION_MARKERS, CONDITION_NAMES, OF_PUBLISHED } from "./distillation-names.js";
import { gridOf, type DistillationRecord } from "./distillation-runs.js";
import { figureText, type PlotlyFigure } from "./figure.js";
import type { Spot } from "./labels.js";
import { loadPublished } from "./published.js";
import { scatterLabels } from "./scatter-labels.js";
import { millisecondsText } from "./milliseconds.js";

export interface LengthPoint {
  readonly teacher: string;
  readonly student: string;
  readonly condition: Condition;
  /** Generated ones. */
  readonly tokensPerPrompt: number;
  /** In batches. */
  readonly millisecondsPerPrompt: number;
  readonly f1: number;
  /** Share of unparsed answers; null where it is not known. */
  readonly unparsed: number | null;
}

/** The eleven cells whose lengths are known: totals and F1 over six sets. */
export function publishedLengths(): LengthPoint[] {
  const { prompts, rows } = loadPublished("distillation-lengths");
  return rows.map(({ teacher, student, condition, f1, tokens, seconds }) => ({
    ...{ teacher, student, condition: OF_PUBLISHED[condition], f1, unparsed: null },
    ...{ tokensPerPrompt: tokens / prompts, millisecondsPerPrompt: (1000 * seconds) / prompts },
  }));
}

/** The cells that are done, over the test sets, means over seeds. */
export function measuredLengths(run: DistillationRecord): LengthPoint[] {
  const [f1, tokens, milliseconds, unparsed] = (["testF1", "tokensPerPrompt", "millisecondsPerPrompt", "unparsed"] as const).map(
    (measure) => gridOf(run, measure),
  );
  return f1.flatMap(({ value, ...cell }, i) => {
    const [tokensPerPrompt, millisecondsPerPrompt] = [tokens[i].value, milliseconds[i].value];
    if (value === null || tokensPerPrompt === null || millisecondsPerPrompt === null) return [];
    return [{ ...cell, f1: value, tokensPerPrompt, millisecondsPerPrompt, unparsed: unparsed[i].value }];
  });
}

export function lengthTable(points: readonly LengthPoint[]): object[] {
  return points.map(({ teacher, student, condition, tokensPerPrompt, millisecondsPerPrompt, f1, unparsed }) => ({
    ...{ teacher, student, condition: CONDITION_NAMES[condition], F1: f1.toFixed(3) },
    "tokens a prompt": tokensPerPrompt.toFixed(1),
    "ms a prompt": millisecondsText(millisecondsPerPrompt),
    unparsed: unparsed === null ? "–" : `${(100 * unparsed).toFixed(1)}%`,
  }));
}

/** Means of each condition over the pairs of teacher and student that have all of them, in sentences. */
export function lengthText(points: readonly LengthPoint[]): string {
  const conditions = CONDITIONS.filter((condition) => points.some((point) => point.condition === condition));
  const whole = points.filter(({ teacher, student }) =>
    conditions.every((wanted) =>
      points.some(({ condition, ...other }) => condition === wanted && other.teacher === teacher && other.student === student),
    ),
  );
  if (whole.length === 0) return "No teacher and student have all conditions: their lengths cannot be compared.";
  const lines = conditions.map((condition) => {
    const own = whole.filter((point) => point.condition === condition);
    const [tokens, time, unparsed] = [
      meanOf(own.map(({ tokensPerPrompt }) => tokensPerPrompt))!,
      meanOf(own.map(({ millisecondsPerPrompt }) => millisecondsPerPrompt))!,
      meanOf(own.map((point) => point.unparsed)),
    ];
    const unread = unparsed === null ? "" : `, ${(100 * unparsed).toFixed(1)}% unparsed`;
    return `${CONDITION_NAMES[condition]}: ${tokens.toFixed(1)} tokens and ${millisecondsText(time)} ms a prompt${unread}`;
  });
  const pairs = whole.length / conditions.length;
  return `Means over the ${pairs === 1 ? "one pair" : `${pairs} pairs`} of teacher and student with all conditions\n${lines.join("\n")}`;
}

const SIZE = { width: 840, height: 500 };
const MARGIN = { l: 72, r: 24, t: 76, b: 100 };

/** Tokens a prompt against F1; a thin line joins the conditions of a teacher and student. None without points. */
export function lengthFigure(points: readonly LengthPoint[], title: string, score: string): PlotlyFigure[] {
  if (points.length === 0) return [];
  const names = points.map(({ teacher, student }) => `${teacher} → ${student}`);
  const pairs = [...new Set(names)].map((name) => ({
    name,
    own: points.filter((_, i) => names[i] === name).toSorted((a, b) => a.tokensPerPrompt - b.tokensPerPrompt),
  }));
  const [x, y] = [limits(points.map(({ tokensPerPrompt }) => tokensPerPrompt)), limits(points.map(({ f1 }) => f1))];
  const conditions = CONDITIONS.filter((condition) => points.some((point) => point.condition === condition));
  // The longest answers stand at the edge, where there is room.
  const named = pairs.map(({ name, own }) => ({
    ...spotOf(own.at(-1)!),
    text: name,
  }));
  // A label keeps off the other points, too: off a short line through each.
  const [across, up] = [0.012 * (x[1] - x[0]), 0.025 * (y[1] - y[0])];
  const marks = points.map(spotOf).flatMap((spot) => [
    [
      { x: spot.x - across, y: spot.y },
      { x: spot.x + across, y: spot.y },
    ],
    [
      { x: spot.x, y: spot.y - up },
      { x: spot.x, y: spot.y + up },
    ],
  ]);
  const joined = pairs.map(({ own }) => own.map(spotOf));
  const labels = scatterLabels(named, [...joined, ...marks], { size: SIZE, margin: MARGIN, x, y, log: false });
  return [
    {
      data: [
        ...pairs.map(({ own }) => ({
          ...{ type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false },
          ...{ x: own.map(({ tokensPerPrompt }) => tokensPerPrompt), y: own.map(({ f1 }) => f1) },
          line: { color: "#b0b5bc", width: 1 },
        })),
        ...conditions.map((condition) => {
          const own = points.filter((point) => point.condition === condition);
          return {
            ...{ type: "scatter", mode: "markers", name: CONDITION_NAMES[condition] },
            ...{ x: own.map(({ tokensPerPrompt }) => tokensPerPrompt), y: own.map(({ f1 }) => f1) },
            marker: { ...CONDITION_MARKERS[condition], size: 12, line: { color: "#000000", width: 0.6 } },
            customdata: own.map(({ teacher, student, tokensPerPrompt, f1 }) => [
              ...[`${teacher} → ${student}`, `F1 ${f1.toFixed(3)}`, `${tokensPerPrompt.toFixed(1)} tokens a prompt`],
            ]),
            hovertemplate: "%{customdata[0]}<br>%{customdata[1]}<br>%{customdata[2]}<extra>%{fullData.name}</extra>",
          };
        }),
        labels.texts,
      ],
      layout: {
        ...{ ...SIZE, margin: MARGIN, title: { text: figureText(title) } },
        xaxis: { title: { text: "generated tokens a prompt" }, range: x },
        yaxis: { range: y, tickformat: ".3f" },
        annotations: [axisName(figureText(score))],
        shapes: labels.connectors,
      },
    },
  ];
}

/** Above the axis it stays clear of the numbers; aligned to the left it stands there also without a browser. */
function axisName(text: string): object {
  return {
    ...{ text, xref: "paper", x: 0, xshift: -44, xanchor: "left", align: "left" },
    ...{ yref: "paper", y: 1, yanchor: "bottom", showarrow: false, font: { size: 13 } },
  };
}

/** Smallest and largest value with room around them for labels. */
function limits(values: readonly number[]): readonly [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const span = most > least ? most - least : Math.abs(most) * 0.1 || 1;
  return [least - 0.15 * span, most + 0.15 * span];
}

function spotOf({ tokensPerPrompt, f1 }: LengthPoint): Spot {
  return { x: tokensPerPrompt, y: f1 };
}
