/** How far an experiment's judge agrees with annotators. */
import type { AgreementBySet } from "../experiments/dpo-instruments.js";
import type { VerdictCounts } from "../intent/judge-agreement.js";
import { barFigure } from "./bars.js";
import { PALETTE, type PlotlyFigure } from "./figure.js";

const VERDICTS = [
  { verdict: "good", color: PALETTE[0] },
  { verdict: "decent", color: PALETTE[4] },
  { verdict: "bad", color: PALETTE[1] },
  { verdict: "none", color: "#888888" },
] as const;

/** An experiment that asked a judge about pairs of annotators' intents. */
export interface WithJudge {
  readonly agreement: AgreementBySet;
}

interface Judged {
  readonly set: string;
  readonly pairs: string;
  readonly wanted: string;
  readonly counts: VerdictCounts;
}

function judged({ agreement }: WithJudge): Judged[] {
  return Object.entries(agreement).flatMap(([set, { same, shuffled, contrasts }]) => [
    { set, pairs: "two annotators, one prompt", wanted: "good or decent", counts: same },
    { set, pairs: "different prompts", wanted: "bad", counts: shuffled },
    ...(contrasts === null ? [] : [{ set, pairs: "like words, unlike purpose", wanted: "bad", counts: contrasts }]),
  ]);
}

/** What the judge says of pairs whose answer is known, and the share that it gets right; no verdict is not right. */
export function judgeTable(run: WithJudge): object[] {
  return judged(run).map(({ set, pairs, wanted, counts }) => {
    const { items, good, decent, bad, none } = counts;
    const right = wanted === "bad" ? bad : good + decent;
    return { set, pairs, wanted, items, good, decent, bad, none, right: items === 0 ? "–" : (right / items).toFixed(3) };
  });
}

/** The same as shares of the verdicts. */
export function judgeFigure(run: WithJudge): PlotlyFigure {
  const rows = judged(run).filter(({ counts }) => counts.items > 0);
  return barFigure(
    rows.map(({ set, pairs }) => `${set}: ${pairs}`),
    VERDICTS.map(({ verdict, color }) => ({
      ...{ name: verdict === "none" ? "no verdict" : verdict, color },
      values: rows.map(({ counts }) => counts[verdict] / counts.items),
    })).filter(({ values }) => values.some((value) => value > 0)),
    { title: "The judge on pairs of intents", axis: "share of the pairs", stacked: true },
  );
}

/** Who judges, and how well its verdict tells intents of one prompt from others. */
export function judgeText({ agreement }: WithJudge): string {
  const area = (interval: { estimate: number; low: number; high: number } | null): string =>
    interval === null
      ? "not defined"
      : `${interval.estimate.toFixed(3)} (95% interval ${interval.low.toFixed(3)} to ${interval.high.toFixed(3)})`;
  return Object.entries(agreement)
    .map(([set, { judge, auroc, contrasts, contrastAuroc }]) => {
      const hard = contrasts === null ? "" : `; from like words with an unlike purpose ${area(contrastAuroc)}`;
      return `${judge}, on ${set}: AUROC of two annotators' intents for one prompt against different prompts ${area(auroc)}${hard}.`;
    })
    .join("\n");
}
