/** Whether stating an intent helps a distilled student: each intent condition less `no_intent`, prompt by prompt, with intervals. */
import { contrastInterval, type Runs } from "../evaluate/bootstrap.js";
import type { Difference } from "../evaluate/comparison.js";
import { AUROC_STATISTIC, f1Statistic, type Statistic } from "../evaluate/statistic.js";
import { meanOf } from "../evaluate/spread.js";
import type { Condition } from "../prompts/distillation.js";
import { rangeText, zeroMarked } from "./differences.js";
import { pairsIn, type Pair } from "./distillation-grid.js";
import { CONDITION_NAMES, INTENT_CONDITIONS } from "./distillation-names.js";
import { publishedCells } from "./distillation-published.js";
import { doneCell, gridOf, MEASURES, type DistillationRecord } from "./distillation-runs.js";
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
  /** The same of AUROC, which does not rise if a student merely says harmful more often. */
  readonly auroc: Difference | null;
  /** Share of the answers on the test sets that are harmful. */
  readonly calledHarmful: { readonly first: number; readonly second: number };
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
      ...effectOver(run, [pair], conditions),
    }));
    if (whole.length < 2) return alone;
    return [...alone, { intent, pair: ALL_PAIRS, pairs: whole.length, ...effectOver(run, whole, conditions) }];
  });
}

function pairName({ teacher, student }: Pick<Pair, "teacher" | "student">): string {
  return `${teacher} → ${student}`;
}

function effectOver(
  run: DistillationRecord,
  pairs: readonly Pair[],
  conditions: readonly Condition[],
): Pick<Effect, "f1" | "auroc" | "calledHarmful"> {
  const sides = pairs.flatMap(({ teacher, student }) => [
    ...conditions.map((condition) => ({ cell: doneCell(run, teacher, student, condition)!, weight: 1 / conditions.length })),
    { cell: doneCell(run, teacher, student, "no_intent")!, weight: -1 },
  ]);
  const weights = sides.map(({ weight }) => weight / pairs.length);
  const sets = run.testSets.map((set) => sides.map(({ cell }): Runs => cell.said(set)));
  const ends = (values: readonly number[]): { readonly first: number; readonly second: number } => {
    const sum = (sign: 1 | -1): number =>
      values.reduce((total, value, i) => (Math.sign(weights[i]) === sign ? total + sign * weights[i] * value : total), 0);
    return { first: sum(-1), second: sum(1) };
  };
  const differenceIn = (statistic: Statistic): Difference | null => {
    const difference = contrastInterval(sets, weights, statistic);
    return difference === null ? null : { ...ends(difference.sides), difference };
  };
  const called = sides.map(({ cell }) => meanOf(cell.runs.map((one) => MEASURES.calledHarmful(one, run.testSets)))!);
  return { f1: differenceIn(f1Statistic()), auroc: differenceIn(AUROC_STATISTIC), calledHarmful: ends(called) };
}

/** The effect that answers the page's question: the mean of both conditions (or the one there is), over all pairs (or the one). */
export function headline(effects: readonly Effect[]): Effect | null {
  return effects.findLast(({ pair }) => pair === ALL_PAIRS) ?? effects.at(-1) ?? null;
}

export function effectTable(effects: readonly Effect[]): object[] {
  const change = (one: Difference | null): string => (one === null ? "–" : signed(one.difference.estimate));
  const range = (one: Difference | null): string => (one === null ? "–" : rangeText(one));
  return effects.map(({ intent, pair, f1, auroc, calledHarmful }) => ({
    ...{ "teacher → student": pair, intent },
    "F1 without": f1?.first.toFixed(3) ?? "–",
    "F1 with": f1?.second.toFixed(3) ?? "–",
    ...{ "F1 difference": change(f1), "95% interval": range(f1) },
    ...{ "AUROC difference": change(auroc), "95% interval of AUROC": range(auroc) },
    "called harmful": calledText(calledHarmful),
  }));
}

/** "46% → 72%": without an intent, with one. */
export function calledText({ first, second }: Effect["calledHarmful"]): string {
  const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;
  return `${percent(first)} → ${percent(second)}`;
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
