/** Training curves of GRPO: one colour a reward, means over seeds with a band of a deviation; and a table of the runs. */
import type { GrpoLogStep, GrpoLogValidation } from "../experiments/grpo-log.js";
import { bandTraces, type SeedCurve } from "./bands.js";
import { figureText, type PlotlyFigure } from "./figure.js";
import { conditionName, REWARD_COLORS } from "./grpo-names.js";
import { rewardsOf, trainedRuns, type GrpoRecord, type GrpoTrainedRun } from "./grpo-runs.js";
import { inLastRow, onPanel, panelLayout } from "./panels.js";

interface CurvePanel {
  readonly title: string;
  readonly curve: (run: GrpoTrainedRun) => SeedCurve;
  readonly yaxis: object;
}

const PART = { range: [0, 1.04] };
const FROM_ZERO = { rangemode: "tozero" };
/** Step curves are trailing means over this share of the steps. */
const SMOOTH = 0.1;
const MOST_PANELS = 6;

const ofSteps = (title: string, of: (step: GrpoLogStep) => number | null, yaxis: object): CurvePanel => ({
  ...{ title, yaxis },
  curve: ({ log: { steps } }) => ({ x: steps.map(({ step }) => step), y: steps.map(of) }),
});

const ofValidations = (title: string, of: (validation: GrpoLogValidation) => number | null, yaxis = {}): CurvePanel => ({
  ...{ title, yaxis },
  curve: ({ log: { validations } }) => ({ x: validations.map(({ step }) => step), y: validations.map(of) }),
});

const REWARD_PANELS: readonly CurvePanel[] = [
  ofSteps("reward: the product of its parts", ({ reward }) => reward, FROM_ZERO),
  ofSteps("format", ({ parts }) => parts.format, PART),
  ofSteps("label, where the format was read", ({ parts }) => parts.label, PART),
  ofSteps("length, where the label is right", ({ parts }) => parts.length, PART),
  ofSteps("judge, where the label is right", ({ parts }) => parts.judge, PART),
  ofSteps("deviation within a group", ({ rewardDeviation }) => rewardDeviation, FROM_ZERO),
];

const POLICY_PANELS: readonly CurvePanel[] = [
  ofSteps("KL from the start (nats a token)", ({ kl }) => kl, FROM_ZERO),
  ofSteps("entropy (nats a token)", ({ entropy }) => entropy, FROM_ZERO),
  ofSteps("completion length (tokens)", ({ meanLength }) => meanLength, FROM_ZERO),
  ofSteps("unparsed, share of rollouts", ({ unparsed }) => unparsed, FROM_ZERO),
  ofSteps("truncated, share of rollouts", ({ truncated }) => truncated, FROM_ZERO),
  ofSteps("groups skipped, share", ({ skippedGroups, groups }) => (groups === 0 ? null : skippedGroups / groups), FROM_ZERO),
];

/** The reward and its parts over the steps; with the label-only reward there are two parts. None without a trained run. */
export function rewardCurves(run: GrpoRecord): PlotlyFigure[] {
  return curves(run, "Reward by part", REWARD_PANELS, SMOOTH);
}

/** What training did to the policy: how far it went, how sure it is, how long and how readable its answers are. */
export function policyCurves(run: GrpoRecord): PlotlyFigure[] {
  return curves(run, "The policy in training", POLICY_PANELS, SMOOTH);
}

/** Greedy answers on the selection sets over the steps; a diamond is the adapter that a seed kept. */
export function validationCurves(run: GrpoRecord): PlotlyFigure[] {
  const sets = run.selectionSets;
  const mean = ofValidations(sets.length === 1 ? `F1 on ${sets[0]}` : "mean F1 on the selection sets", ({ f1 }) => f1);
  const each = sets.length === 1 ? [] : sets.map((set) => ofValidations(`F1 on ${set}`, (row) => row.sets[set]?.f1 ?? null));
  const cosines = sets.map((set) => ofValidations(`intent cosine on ${set}`, (row) => row.sets[set]?.intentCosine ?? null));
  const unparsed = sets.map((set) => ofValidations(`unparsed on ${set}`, (row) => row.sets[set]?.unparsed ?? null, FROM_ZERO));
  const [figure] = curves(run, "Validation", [mean, ...each, ...cosines, ...unparsed], 0);
  return figure === undefined ? [] : [{ ...figure, data: [...figure.data, ...keptTraces(run)] }];
}

/** None without a run that has something for a panel; panels that no run has something for are left out. */
function curves(run: GrpoRecord, title: string, all: readonly CurvePanel[], share: number): PlotlyFigure[] {
  const rewards = rewardsOf(run).map((reward) => ({ reward, runs: trainedRuns(run, reward) }));
  const trained = rewards.flatMap(({ runs }) => runs);
  const panels = all
    .filter(({ curve }) => trained.some((one) => curve(one).y.some((value) => value !== null)))
    .slice(0, MOST_PANELS);
  if (panels.length === 0) return [];
  const steps = Math.max(...trained.map(({ log }) => log.steps.at(-1)!.step));
  const data = rewards.flatMap(({ reward, runs }) =>
    panels.flatMap(({ curve }, panel) => {
      const series = { name: conditionName(reward, run.start), color: REWARD_COLORS[reward], seeds: runs.map(curve) };
      return bandTraces(series, { ...onPanel(panel), showlegend: panel === 0 }, share);
    }),
  );
  const layout = panelLayout(
    panels.map((panel, i) => ({
      ...{ title: figureText(panel.title), yaxis: panel.yaxis },
      // With room for the marker of the last validation.
      xaxis: { range: [0, 1.03 * steps], title: { text: inLastRow(i, panels.length) ? "step" : "" } },
    })),
  );
  const rows = panels.length > 3 ? 2 : 1;
  return [
    {
      data,
      layout: {
        ...{ width: 960, height: 170 + 215 * rows, title: { text: title } },
        margin: { l: 56, r: 16, t: 84, b: 96 },
        legend: { orientation: "h", x: 0, y: -66 / (215 * rows), yanchor: "top" },
        showlegend: true,
        ...layout,
      },
    },
  ];
}

/** Where on the first panel each seed's adapter was kept. */
function keptTraces(run: GrpoRecord): object[] {
  return rewardsOf(run).map((reward) => {
    const points = trainedRuns(run, reward).flatMap(({ training: { keptStep, validationF1 }, seed }) =>
      validationF1.flatMap(({ step, f1 }) => (step === keptStep ? [{ step, f1, seed }] : [])),
    );
    return {
      ...{ ...onPanel(0), type: "scatter", mode: "markers", name: `${conditionName(reward, run.start)}: kept` },
      ...{ x: points.map(({ step }) => step), y: points.map(({ f1 }) => f1) },
      hovertext: points.map(({ seed }) => `seed ${seed}`),
      marker: { symbol: "diamond", size: 10, color: REWARD_COLORS[reward], line: { color: "#000000", width: 1 } },
    };
  });
}

/** One row a trained run: what it began and ended with (means over the first and the last fifth of the steps), and how fast it was. */
export function trainingTable(run: GrpoRecord): object[] {
  const fromTo = (first: number, last: number, digits: number): string => `${first.toFixed(digits)} → ${last.toFixed(digits)}`;
  const share = (part: number, whole: number): string => (whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)}%`);
  return rewardsOf(run).flatMap((reward) =>
    trainedRuns(run, reward).map(({ seed, training }) => {
      const { first, last, validationF1, keptStep, steps, trainedRolloutsPerSecond, seconds } = training;
      const kept = validationF1.find(({ step }) => step === keptStep);
      return {
        ...{ model: conditionName(reward, run.start), seed, steps },
        reward: fromTo(first.reward, last.reward, 3),
        unparsed: fromTo(first.unparsed, last.unparsed, 3),
        tokens: fromTo(first.meanLength, last.meanLength, 1),
        "KL at the end": last.kl?.toFixed(4),
        "groups skipped": share(training.skippedGroups, training.groups),
        "no verdict": share(training.unjudged, training.judged),
        "step kept": keptStep,
        "validation F1 there": kept?.f1.toFixed(3),
        "rollouts a second": trainedRolloutsPerSecond.toFixed(1),
        minutes: (seconds / 60).toFixed(1),
      };
    }),
  );
}
