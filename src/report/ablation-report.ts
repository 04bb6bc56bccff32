/** What the ablations found: each arm's scores, its difference to the annotated rows, and the curve over training rows. */
import { bootstrapMean } from "../evaluate/bootstrap.js";
import { constantScores } from "../evaluate/metrics.js";
import { f1Statistic } from "../evaluate/statistic.js";
import { REFERENCE } from "../experiments/ablations-arms.js";
import type { Ablation } from "../experiments/ablations-config.js";
import { labelsText } from "../experiments/ablations-summary.js";
import { meanOf } from "../evaluate/spread.js";
import type { Mode } from "../experiments/sft-config.js";
import { armModes, armRuns, doneArms, type AblationsRecord, type ArmRecord } from "./ablation-runs.js";
import { scoreTable } from "./conditions.js";
import { learningCurves } from "./learning-curves.js";
import { againstStart, comparedText, differenceTable, type Compared } from "./differences.js";
import { figureText, PALETTE, type PlotlyFigure } from "./figure.js";

/** What was run: model, rows of every arm, sets; what is missing, and why. */
export function ablationSetting(run: AblationsRecord): string {
  const arms = run.arms.map(({ name, what, state, reason, rows, labels, epochs }) => {
    const size =
      rows === null
        ? ""
        : `: ${rows.train} rows, ${rows.harmful} of them harmful, ${epochs} ${epochs === 1 ? "epoch" : "epochs"}`;
    return `${name} (${what})${size}${labelsText({ rows, labels })}${state === "done" ? "" : `; ${state}${reason === null ? "" : `: ${reason}`}`}`;
  });
  return [
    `model: ${run.model}; seeds ${run.seeds.join(", ")}; trained as ${armModes(run).join(" and ") || "nothing"}`,
    ...arms,
    `tested on: ${run.testSets.join(", ") || "nothing"}`,
    ...run.leftOut.map(({ set, reason }) => `left out: ${set} (${reason})`),
  ].join("\n");
}

/** Mean ± deviation over seeds, a row a test set and arm; unparsed answers count as wrong. */
export function armScores(run: AblationsRecord, ablation: Ablation): object[] {
  return armModes(run).flatMap((mode) =>
    scoreTable(
      run.testSets,
      doneArms(run, ablation, mode).map((arm) => armRuns(arm, mode)),
    ).map((row) => ({ mode, ...row })),
  );
}

/** Every arm of the ablation against the annotated rows, prompt by prompt, over the seeds that both have. */
export function againstAnnotated(run: AblationsRecord, ablation: Ablation): Compared[] {
  return armModes(run).flatMap((mode) => {
    const [reference, ...others] = doneArms(run, ablation, mode);
    if (reference?.name !== REFERENCE) return [];
    const start = armRuns(reference, mode);
    return others.flatMap((arm) => {
      const own = armRuns(arm, mode);
      const called = armModes(run).length > 1 ? { ...own, name: `${own.name}, ${mode}` } : own;
      return againstStart(run.testSets, start, called, "apart") ?? [];
    });
  });
}

export function armTable(compared: readonly Compared[]): object[] {
  return differenceTable(compared, REFERENCE, "arm");
}

/** A sentence an arm; or why there is none. */
export function armText(compared: readonly Compared[]): string {
  if (compared.length === 0) return "Nothing to compare: the annotated rows, or all the other arms, are not done.";
  return compared.map(comparedText).join("\n");
}

interface ScalePoint {
  readonly arm: string;
  readonly rows: number;
  readonly f1: number;
  readonly low: number;
  readonly high: number;
}

/** F1 over the test sets by training rows, with bootstrap intervals: the annotated rows and their shares as a line, the pool apart. */
export function scaleFigure(run: AblationsRecord): PlotlyFigure[] {
  const modes = armModes(run);
  const ticks: number[] = [];
  const series = modes.flatMap((mode, i) => {
    const points = doneArms(run, "scale", mode).flatMap((arm) => scalePoint(run, arm, mode));
    ticks.push(...points.map(({ rows }) => rows));
    const line = points.filter(({ arm }) => arm !== "pool").toSorted((a, b) => a.rows - b.rows);
    const pool = points.filter(({ arm }) => arm === "pool");
    const named = (what: string): string => (modes.length > 1 ? `${what}, ${mode}` : what);
    return [
      ...(line.length > 0
        ? [scaleTrace(named(`${run.trainSet} and its shares`), line, PALETTE[i], "circle", "lines+markers")]
        : []),
      ...(pool.length > 0 ? [scaleTrace(named(`all of ${run.pool}`), pool, PALETTE[i + 2], "square", "markers")] : []),
    ];
  });
  if (series.length === 0 || run.testSets.length === 0) return [];
  const floor = floorOf(run);
  const level = { type: "line", xref: "paper", x0: 0, x1: 1, y0: floor, y1: floor };
  return [
    {
      data: [...series, ...(floor === null ? [] : [floorTrace])],
      layout: {
        title: { text: "F1 by the number of training rows, with 95% intervals" },
        height: 470,
        margin: { l: 76, r: 24, t: 56, b: 128 },
        xaxis: { type: "log", title: { text: "training rows" }, tickvals: [...new Set(ticks)] },
        yaxis: {
          title: {
            text: run.testSets.length > 1 ? `mean F1 over ${run.testSets.length} sets` : figureText(`F1 on ${run.testSets[0]}`),
          },
        },
        shapes: floor === null ? [] : [{ ...level, line: FLOOR }],
        legend: { orientation: "v", x: 0, y: -0.22, yanchor: "top" },
      },
    },
  ];
}

const FLOOR = { color: "#888888", width: 1.4, dash: "dash" };
/** Stands in the legend for the line across the figure. */
const floorTrace = { type: "scatter", mode: "lines", name: "always harmful", x: [null], y: [null], line: FLOOR };

function scalePoint(run: AblationsRecord, arm: ArmRecord, mode: Mode): ScalePoint[] {
  const { runs } = armRuns(arm, mode);
  if (run.testSets.length === 0 || runs.length === 0) return [];
  const f1 = bootstrapMean(
    run.testSets.map((set) => runs.map(({ predictions }) => predictions.get(set)!)),
    f1Statistic(),
  );
  return f1 === null ? [] : [{ arm: arm.name, rows: arm.rows!.train, f1: f1.estimate, low: f1.low, high: f1.high }];
}

function scaleTrace(name: string, points: readonly ScalePoint[], color: string, symbol: string, mode: string): object {
  return {
    ...{ type: "scatter", mode, name, x: points.map(({ rows }) => rows), y: points.map(({ f1 }) => f1) },
    error_y: {
      ...{ type: "data", symmetric: false, color, thickness: 2, width: 5 },
      array: points.map(({ f1, high }) => high - f1),
      arrayminus: points.map(({ f1, low }) => f1 - low),
    },
    ...{ line: { color, width: 2 }, marker: { color, symbol, size: 10 } },
    customdata: points.map(({ low, high }) => `${low.toFixed(3)} to ${high.toFixed(3)}`),
    hovertemplate: "%{x} rows: %{y:.3f} (%{customdata})<extra>%{fullData.name}</extra>",
  };
}

/** Mean F1 of always answering "harmful" over the test sets. */
function floorOf(run: AblationsRecord): number | null {
  const [first] = run.arms.flatMap(({ experiment }) => experiment?.runs.find(({ chosen }) => chosen) ?? []);
  return meanOf(run.testSets.map((set) => constantScores(first.predictions.get(set)!, "harmful").byRule.wrong.f1));
}

/** Learning curves, a figure an arm that is done. */
export function armCurves({ arms }: AblationsRecord): PlotlyFigure[] {
  return arms.flatMap(({ name, experiment }) =>
    experiment === null ? [] : [learningCurves(experiment.runs, `${name}: learning curves`)],
  );
}
