/** Loss per step and validation loss per epoch, one panel a mode, one colour a run: rates of a sweep, or seeds. */
import { figureText, PALETTE, type PlotlyFigure } from "./figure.js";
import type { RunRecord } from "./runs.js";

/** Between two panels, as a share of the width. */
const GAP = 0.12;
const LEGEND = { orientation: "h", x: 0, y: -0.24, yanchor: "top" };

/**
 * The learning curves of some runs. Thin lines are the loss of each step, thick ones its mean over the last twentieth of all
 * steps, diamonds the validation loss after each epoch. The panels have scales of their own: a token of an intent and a verdict are
 * not equally hard to guess.
 */
export function learningCurves(runs: readonly RunRecord[], title = "Learning curves"): PlotlyFigure {
  const modes = [...new Set(runs.map((run) => run.mode))];
  const names = [...new Set(runs.map((run) => nameOf(run, runs)))];
  const width = (1 - GAP * (modes.length - 1)) / modes.length;
  const axes = modes.flatMap((mode, i): [string, object][] => {
    const suffix = i === 0 ? "" : String(i + 1);
    const start = i * (width + GAP);
    const x = { title: { text: `${mode}: step` }, domain: [start, start + width], anchor: `y${suffix}` };
    const y = {
      title: { text: i === 0 ? "loss (nats a token)" : "" },
      range: [0, topOf(runs.filter((run) => run.mode === mode))],
      anchor: `x${suffix}`,
    };
    return [
      [`xaxis${suffix}`, x],
      [`yaxis${suffix}`, y],
    ];
  });
  return {
    data: runs.flatMap((run) => {
      const panel = modes.indexOf(run.mode);
      const name = nameOf(run, runs);
      const first = runs.findIndex((other) => nameOf(other, runs) === name);
      return tracesOf(run, name, panel, PALETTE[names.indexOf(name) % PALETTE.length], runs[first] === run);
    }),
    layout: {
      title: { text: figureText(title) },
      width: 860,
      height: 460,
      margin: { l: 64, r: 24, t: 56, b: 104 },
      legend: LEGEND,
      ...Object.fromEntries(axes),
    },
  };
}

/** Upper end of the loss axis: the first tenth of the steps, in which the form of the answers is learnt, may run out of the picture. */
function topOf(runs: readonly RunRecord[]): number {
  const shown = runs.flatMap(({ steps, epochs }) => [
    ...steps.slice(Math.floor(steps.length / 10)).map(({ loss }) => loss),
    ...epochs.map(({ validationLoss }) => validationLoss),
  ]);
  return 1.1 * Math.max(...shown);
}

/** What tells a run from the others of its mode. */
function nameOf(run: RunRecord, runs: readonly RunRecord[]): string {
  const several = (of: (other: RunRecord) => number): boolean =>
    new Set(runs.filter(({ mode }) => mode === run.mode).map(of)).size > 1;
  const rate = several((other) => other.learningRate) ? [`rate ${run.learningRate}`] : [];
  return [...rate, `seed ${run.seed}`].join(", ");
}

function tracesOf(run: RunRecord, name: string, panel: number, color: string, inLegend: boolean): object[] {
  const suffix = panel === 0 ? "" : String(panel + 1);
  const common = { type: "scatter", xaxis: `x${suffix}`, yaxis: `y${suffix}`, legendgroup: name, name };
  const smooth = trailingMean(run.steps.map(({ loss }) => loss));
  const steps = run.steps.map(({ step }) => step);
  return [
    {
      ...common,
      mode: "lines",
      x: steps,
      y: run.steps.map(({ loss }) => loss),
      line: { color, width: 0.8 },
      opacity: 0.3,
      showlegend: false,
      hoverinfo: "skip",
    },
    { ...common, mode: "lines", x: steps, y: smooth, line: { color, width: 2 }, showlegend: inLegend },
    {
      ...common,
      mode: "markers",
      x: run.epochs.map(({ step }) => step),
      y: run.epochs.map(({ validationLoss }) => validationLoss),
      marker: { symbol: "diamond", size: 10, color, line: { color: "#000000", width: 1 } },
      name: `${name}, validation`,
      showlegend: false,
    },
  ];
}

/** Mean of each value and of those before it, a share of all at most; of the known ones, null where there is none. */
export function trailingMean(values: readonly (number | null)[], share = 1 / 20): (number | null)[] {
  const window = Math.max(1, Math.round(values.length * share));
  let [sum, known] = [0, 0];
  const count = (value: number | null, sign: 1 | -1): void => {
    sum += sign * (value ?? 0);
    known += value === null ? 0 : sign;
  };
  return values.map((value, i) => {
    count(value, 1);
    if (i >= window) count(values[i - window], -1);
    return known === 0 ? null : sum / known;
  });
}
