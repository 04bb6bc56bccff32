/** Training curves of the preference experiment: one figure a condition, one colour a seed. */
import { score } from "../evaluate/metrics.js";
import type { DpoLogStep } from "../experiments/dpo-log.js";
import type { Condition } from "../experiments/dpo-summary.js";
import { CONDITION_NAMES } from "./dpo-names.js";
import { signed } from "../evaluate/signed.js";
import { conditionsOf, runsOf, type DpoRecord, type DpoRunRecord } from "./dpo-runs.js";
import { PALETTE, type PlotlyFigure } from "./figure.js";
import { trailingMean } from "./learning-curves.js";
import { inLastRow, markAt, onPanel, panelLayout, type Panel } from "./panels.js";

interface Line {
  readonly of: (step: DpoLogStep) => number;
  readonly dash: "solid" | "dot";
}

interface CurvePanel {
  readonly title: string;
  readonly lines: readonly Line[];
  /** A level that means something. */
  readonly mark: number | null;
  readonly range?: readonly [number, number];
}

const PANELS: readonly CurvePanel[] = [
  { title: "loss", lines: [{ of: ({ loss }) => loss, dash: "solid" }], mark: null },
  {
    title: "reward: chosen solid, rejected dotted",
    lines: [
      { of: ({ rewardChosen }) => rewardChosen, dash: "solid" },
      { of: ({ rewardRejected }) => rewardRejected, dash: "dot" },
    ],
    mark: 0,
  },
  { title: "reward margin", lines: [{ of: ({ rewardMargin }) => rewardMargin, dash: "solid" }], mark: 0 },
  {
    title: "accuracy (chosen above rejected)",
    lines: [{ of: ({ rewardAccuracy }) => rewardAccuracy, dash: "solid" }],
    mark: 0.5,
    range: [0, 1.04],
  },
  {
    title: "chosen log-prob. less SFT's (nats)",
    lines: [{ of: ({ chosenChange }) => chosenChange, dash: "solid" }],
    mark: 0,
  },
];
const [CHANGE, VALIDATION] = [4, 5];
/** At most so many crosses a run: more would hide the curve. */
const CROSSES = 12;
const SIZE = { width: 960, height: 600 };

/** One figure a trained condition; none if none was trained. Lines are means over the last twentieth of the steps. */
export function dpoCurves(run: DpoRecord): PlotlyFigure[] {
  return conditionsOf(run).flatMap((condition) => (condition === "sft" ? [] : [conditionCurves(run, condition)]));
}

function conditionCurves(run: DpoRecord, condition: Condition): PlotlyFigure {
  const runs = runsOf(run, condition);
  const titles = [
    ...PANELS.map(({ title }) => title),
    `F1 on ${run.settings.selectionSets.length > 1 ? "selection sets" : "validation"}`,
  ];
  const steps = Math.max(...runs.map(({ log }) => log!.steps.at(-1)!.step));
  const fell = runs.some(({ log }) => log!.steps.some(({ chosenFell }) => chosenFell));
  return {
    data: [
      ...runs.flatMap((one) => tracesOf(run, one, PALETTE[run.seeds.indexOf(one.seed) % PALETTE.length])),
      ...(fell ? [warningEntry()] : []),
    ],
    layout: {
      ...SIZE,
      title: { text: `${CONDITION_NAMES[condition]}: training` },
      margin: { l: 56, r: 16, t: 84, b: 96 },
      legend: { orientation: "h", x: 0, y: -0.15, yanchor: "top" },
      ...panelLayout(titles.map((title, panel) => ({ title, ...axesOf(panel, steps) }))),
      shapes: PANELS.flatMap(({ mark }, panel) => (mark === null ? [] : [markAt(panel, mark)])),
    },
  };
}

function axesOf(panel: number, steps: number): Pick<Panel, "xaxis" | "yaxis"> {
  const range = PANELS.at(panel)?.range;
  const x = { title: { text: inLastRow(panel, PANELS.length + 1) ? "step" : "" }, range: [0, steps] };
  const epochs = { title: { text: "epoch (0: SFT)" }, dtick: 1 };
  return { xaxis: panel === VALIDATION ? epochs : x, yaxis: range === undefined ? {} : { range } };
}

function tracesOf(run: DpoRecord, { seed, log, training }: DpoRunRecord, color: string): object[] {
  const { steps, validationF1 } = log!;
  const common = { type: "scatter", legendgroup: `seed ${seed}`, name: `seed ${seed}` };
  const x = steps.map(({ step }) => step);
  const curves = PANELS.flatMap(({ lines }, panel) =>
    lines.map(({ of, dash }, i) => ({
      ...{ ...common, ...onPanel(panel), mode: "lines", x, y: trailingMean(steps.map(of)) },
      ...{ line: { color, width: 2, dash }, showlegend: panel === 0 && i === 0 },
    })),
  );
  const mean = trailingMean(steps.map(({ chosenChange }) => chosenChange));
  const every = Math.ceil(steps.length / CROSSES);
  const fallen = steps
    .flatMap(({ step, chosenFell }, i) => (chosenFell ? [{ x: step, y: mean[i] }] : []))
    .filter((_, i, all) => (all.length - 1 - i) % every === 0);
  const warnings = {
    ...{ ...common, ...onPanel(CHANGE), mode: "markers", showlegend: false, hoverinfo: "skip" },
    ...{ x: fallen.map((point) => point.x), y: fallen.map((point) => point.y) },
    marker: WARNING,
  };
  const start = startF1(run, seed);
  const known = validationF1.map((f1, i) => ({ x: i + 1, y: f1 }));
  const epochs = start === null ? known : [{ x: 0, y: start }, ...known];
  const kept = training!.keptEpoch === null ? null : training!.keptEpoch + 1;
  const validation = {
    ...{ ...common, ...onPanel(VALIDATION), mode: "lines+markers", showlegend: false },
    ...{ x: epochs.map((point) => point.x), y: epochs.map((point) => point.y), line: { color, width: 2 } },
    marker: {
      ...{ color, opacity: 1 },
      symbol: epochs.map((point) => (point.x === kept ? "diamond" : "circle")),
      size: epochs.map((point) => (point.x === kept ? 12 : 7)),
    },
  };
  return [...curves, ...(fallen.length === 0 ? [] : [warnings]), validation];
}

const WARNING = { symbol: "x-thin", size: 7, line: { color: "#000000", width: 1.5 } };

/** The legend's word on the crosses. */
function warningEntry(): object {
  const name = "chosen answers less likely than under SFT";
  return { type: "scatter", mode: "markers", name, x: [null], y: [null], xaxis: "x5", yaxis: "y5", marker: WARNING };
}

/** Mean F1 of the SFT model over the selection sets, counted as training counts it; null if it did not see them all. */
function startF1(run: DpoRecord, seed: number): number | null {
  const sft = runsOf(run, "sft").find((one) => one.seed === seed);
  const sets = run.settings.selectionSets.filter((set) => !run.leftOut.some((left) => left.set === set));
  const said = sets.map((set) => sft?.predictions.get(set));
  if (said.length === 0 || said.includes(undefined)) return null;
  return said.reduce((sum, rows) => sum + (score(rows!).byRule.wrong.f1 ?? 0), 0) / said.length;
}

/** One row a trained run: what it ended with, and how fast it was. */
export function trainingTable({ runs }: DpoRecord): object[] {
  return runs.flatMap(({ condition, seed, pairs, training }) => {
    if (training === null) return [];
    const { steps, keptEpoch, validationF1, rewardMargin, rewardAccuracy, chosenChange, pairsPerSecond, seconds } = training;
    return [
      {
        ...{ condition: CONDITION_NAMES[condition], seed, pairs, steps },
        "epoch kept": keptEpoch === null ? null : keptEpoch + 1,
        "validation F1": keptEpoch === null ? "–" : validationF1[keptEpoch].toFixed(3),
        "reward margin": rewardMargin.toFixed(2),
        accuracy: rewardAccuracy.toFixed(2),
        "chosen log-prob. less SFT's": signed(chosenChange),
        "pairs a second": pairsPerSecond.toFixed(1),
        seconds: seconds.toFixed(0),
      },
    ];
  });
}

/** Says where the chosen answers became less likely than before training, or that they nowhere did. */
export function fallText({ runs }: DpoRecord): string {
  const trained = runs.flatMap((one) => (one.log === null ? [] : [{ ...one, steps: one.log.steps }]));
  if (trained.length === 0) return "No condition was trained.";
  const fallen = trained.flatMap(({ condition, seed, steps }) => {
    const last = steps.filter(({ epoch }) => epoch === steps.at(-1)!.epoch);
    const count = last.filter(({ chosenFell }) => chosenFell).length;
    return count === 0 ? [] : [`${CONDITION_NAMES[condition]}, seed ${seed}: ${count} of ${last.length} steps`];
  });
  if (fallen.length === 0) return "In no run's last epoch did the chosen answers fall below what SFT gave them.";
  return `Warning: in the last epoch the chosen answers were less likely than under SFT.\n${fallen.join("\n")}`;
}
