/** Whether stating an intent helps a distilled student: each intent condition less `no_intent`, prompt by prompt, with intervals. */
import { contrastInterval, type Runs } from "../evaluate/bootstrap.js";
import type { Difference } from "../evaluate/comparison.js";
import { f1Statistic } from "../evaluate/statistic.js";
import type { Condition } from "../prompts/distillation.js";
import { directionOf, outcomeText, rangeText, zeroMarked } from "./differences.js";
import { pairsIn, type Pair } from "./distillation-grid.js";
import { CONDITION_NAMES, INTENT_CONDITIONS } from "./distillation-names.js";
import { publishedCells } from "./distillation-published.js";
import { constantF1, doneCell, gridOf, type DistillationRecord } from "./distillation-runs.js";
import { signed } from "../evaluate/signed.js";
import type { PlotlyFigure } from "./figure.js";
import { intervalFigure, type IntervalSeries } from "./intervals.js";

const BOTH = "mean of both";
const ALL_PAIRS = "all pairs";

/** An intent condition, or the mean of both, against `no_intent`: on one pair of teacher and student, or on all of them. */
export interface Effect {
  /** "synthetic intent", "human intent", "mean of both" */
  readonly intent: string;
  /** "teacher → student", or "all pairs". */
  readonly pair: string;
  /** Pairs that the difference is a mean over. */
  readonly pairs: number;
  /** Mean F1 over the test sets: `first` without an intent, `second` with. Null where F1 is not defined. */
  readonly f1: Difference | null;
}

/** What is compared: one condition, or both with half the weight each. */
interface Compared {
  readonly intent: string;
  readonly conditions: readonly Condition[];
}

/**
 * Every pair alone and all pairs together, where there are several. Each draw of the bootstrap takes the same prompts for all
 * conditions and pairs; with several seeds those are drawn too. Pairs are not drawn: the interval is about these models.
 */
export function measuredEffects(run: DistillationRecord): Effect[] {
  const pairs = pairsIn(gridOf(run, "testF1")).filter(({ values }) => values.no_intent !== undefined);
  const present = INTENT_CONDITIONS.filter((condition) => pairs.some(({ values }) => values[condition] !== undefined));
  const compared: Compared[] = [
    ...present.map((condition) => ({ intent: CONDITION_NAMES[condition], conditions: [condition] })),
    ...(present.length > 1 ? [{ intent: BOTH, conditions: present }] : []),
  ];
  return compared.flatMap(({ intent, conditions }) => {
    const whole = pairs.filter(({ values }) => conditions.every((condition) => values[condition] !== undefined));
    const alone = whole.map((pair) => ({
      ...{ intent, pair: pairName(pair), pairs: 1 },
      f1: effectOver(run, [pair], conditions),
    }));
    if (whole.length < 2) return alone;
    return [...alone, { intent, pair: ALL_PAIRS, pairs: whole.length, f1: effectOver(run, whole, conditions) }];
  });
}

function pairName({ teacher, student }: Pick<Pair, "teacher" | "student">): string {
  return `${teacher} → ${student}`;
}

function effectOver(run: DistillationRecord, pairs: readonly Pair[], conditions: readonly Condition[]): Difference | null {
  const sides = pairs.flatMap(({ teacher, student }) => [
    ...conditions.map((condition) => ({ cell: doneCell(run, teacher, student, condition)!, weight: 1 / conditions.length })),
    { cell: doneCell(run, teacher, student, "no_intent")!, weight: -1 },
  ]);
  const weights = sides.map(({ weight }) => weight / pairs.length);
  const sets = run.testSets.map((set) => sides.map(({ cell }): Runs => cell.said(set)));
  const difference = contrastInterval(sets, weights, f1Statistic());
  if (difference === null) return null;
  const sum = (sign: 1 | -1): number =>
    difference.sides.reduce((total, score, i) => (Math.sign(weights[i]) === sign ? total + sign * weights[i] * score : total), 0);
  return { first: sum(-1), second: sum(1), difference };
}

/** The effect that answers the page's question: the mean of both conditions (or the one there is), over all pairs (or the one). */
export function headline(effects: readonly Effect[]): Effect | null {
  return effects.findLast(({ pair }) => pair === ALL_PAIRS) ?? effects.at(-1) ?? null;
}

export function effectTable(effects: readonly Effect[]): object[] {
  return effects.map(({ intent, pair, f1 }) => ({
    ...{ "teacher → student": pair, intent },
    "F1 without": f1?.first.toFixed(3) ?? "–",
    "F1 with": f1?.second.toFixed(3) ?? "–",
    difference: f1 === null ? "–" : signed(f1.difference.estimate),
    "95% interval": f1 === null ? "–" : rangeText(f1),
  }));
}

/** Differences as intervals beside a line at 0: a row a pair, the mean over the pairs last. None without an effect. */
export function effectFigure(effects: readonly Effect[]): PlotlyFigure[] {
  if (effects.length === 0) return [];
  const labels = [...new Set(effects.map(({ pair }) => pair))];
  const ordered = [...labels.filter((label) => label !== ALL_PAIRS), ...labels.filter((label) => label === ALL_PAIRS)];
  const series = [...new Set(effects.map(({ intent }) => intent))].map((intent): IntervalSeries => {
    const values = effects.flatMap(({ intent: own, pair, f1 }) => {
      if (own !== intent || f1 === null) return [];
      const { estimate, low, high } = f1.difference;
      return [[pair, { value: estimate, low, high }] as const];
    });
    return { name: intent, kind: "ours", values: Object.fromEntries(values) };
  });
  return [zeroMarked(intervalFigure("F1 with an intent less F1 without, 95% intervals", ordered, series, AXIS))];
}

const AXIS = "difference in mean test F1 of the harmful class";

/** The paper's differences, single runs without intervals. */
export function publishedEffectFigure(): PlotlyFigure {
  const pairs = pairsIn(publishedCells());
  const series = INTENT_CONDITIONS.map((condition): IntervalSeries => {
    const values = pairs.map((pair) => [pairName(pair), { value: pair.values[condition]! - pair.values.no_intent! }] as const);
    const mean = values.reduce((sum, [, { value }]) => sum + value, 0) / values.length;
    return {
      name: CONDITION_NAMES[condition],
      kind: "published",
      values: { ...Object.fromEntries(values), [ALL_PAIRS]: { value: mean } },
    };
  });
  const title = "As published: F1 with an intent less F1 without, single runs";
  return zeroMarked(intervalFigure(title, [...pairs.map(pairName), ALL_PAIRS], series, AXIS));
}

/** Whether intent-conditioned distillation beats reasoning alone here, in plain words, by the interval of {@link headline}. */
export function intentText(run: DistillationRecord, effects: readonly Effect[]): string {
  const asked = headline(effects);
  if (asked === null)
    return "This cannot be told: no teacher and student have both a condition with an intent and one without, on the test sets.";
  const answer = {
    better: "Yes: here intent-conditioned distillation beats reasoning alone",
    worse: "No: here intent-conditioned distillation is worse than reasoning alone",
    open: "Not shown: here intent-conditioned distillation and reasoning alone cannot be told apart",
  }[directionOf(asked.f1)];
  const over = `F1 over ${run.testSets.length > 1 ? "the mean of " : ""}${run.testSets.join(" and ")}`;
  const pairs = asked.pairs === 1 ? `one pair, ${asked.pair}` : `mean over ${asked.pairs} pairs of teacher and student`;
  const single = effects
    .filter((effect) => effect !== asked && effect.pair === asked.pair)
    .map(({ intent, pairs: count, f1 }) => `${intent}${count === asked.pairs ? "" : ` (${count} pairs)`}: ${outcomeText(f1)}`);
  const beside = effects
    .filter(({ pair, intent }) => pair !== asked.pair && intent === asked.intent)
    .map(({ f1 }) => directionOf(f1));
  const count = (wanted: string): number => beside.filter((direction) => direction === wanted).length;
  const seeds =
    run.seeds.length === 1
      ? "One seed a cell: the intervals are about the prompts, and say nothing of what another training would give."
      : `${run.seeds.length} seeds a cell; the intervals are about prompts and seeds.`;
  return [
    `${answer} (${over}; ${asked.intent}, ${pairs}).`,
    `${asked.intent}: ${outcomeText(asked.f1)}.`,
    ...(single.length === 0 ? [] : [`Each alone: ${single.join("; ")}.`]),
    ...(beside.length < 2
      ? []
      : [
          `Pair by pair (${asked.intent}): better ${count("better")}, worse ${count("worse")}, no difference shown ${count("open")}.`,
        ]),
    seeds,
    ...floorTexts(run),
  ].join("\n");
}

/** A difference between students that have not learnt the verdict is to be read as one. */
function floorTexts(run: DistillationRecord): string[] {
  const floor = constantF1(run);
  const values = gridOf(run, "testF1").flatMap(({ value }) => value ?? []);
  if (floor === null || values.length === 0) return [];
  const above = values.filter((value) => value > floor).length;
  const beaten = `always answering harmful (mean F1 ${floor.toFixed(3)})`;
  return [
    above === 0
      ? `No cell scores above ${beaten}: these students have hardly learnt the verdict.`
      : `${above} of ${values.length} cells score above ${beaten}.`,
  ];
}
