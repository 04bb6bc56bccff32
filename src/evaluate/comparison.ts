/** Two models on the same sets, prompt by prompt: differences with intervals, McNemar's test, and what they say in words. */
import { pairedDifference, pairedMeanDifference, type BootstrapOptions, type Interval, type Runs } from "./bootstrap.js";
import { mcnemar, type McNemar } from "./mcnemar.js";
import { AUROC_STATISTIC, f1Statistic } from "./statistic.js";
import { markdownTable, number, printable } from "./table.js";
import { signed } from "./signed.js";

/** A score of the first and the second model, and second less first. */
export interface Difference {
  readonly first: number;
  readonly second: number;
  readonly difference: Interval;
}

export interface SetComparison {
  readonly set: string;
  readonly prompts: number;
  /** Null where the score is not defined for one of the two. Unparsed answers count as wrong. */
  readonly f1: Difference | null;
  readonly auroc: Difference | null;
  /** Null where a side has several seeds: the test is about two single models. */
  readonly mcnemar: McNemar | null;
}

export interface Comparison {
  readonly sets: readonly SetComparison[];
  /** Unweighted means over the sets; null for fewer than two sets. */
  readonly mean: { readonly f1: Difference | null; readonly auroc: Difference | null } | null;
}

/** What a comparison says of F1 as a whole: the mean over the sets, or the one set; null where that is not defined. */
export function overallF1({ sets, mean }: Comparison): Difference | null {
  return mean === null ? (sets.at(0)?.f1 ?? null) : mean.f1;
}

/** What two models said on one set, a list of predictions a seed. */
export interface PairedSet {
  readonly set: string;
  readonly first: Runs;
  readonly second: Runs;
}

/**
 * @param options of the intervals; `seeds: "together"` where each seed's two runs belong together
 * @throws PredictionMismatchError if a set's prompts are not the same on both sides; BootstrapError for a set without predictions.
 */
export function compareModels(sets: readonly PairedSet[], options: BootstrapOptions = {}): Comparison {
  const statistics = { f1: f1Statistic(), auroc: AUROC_STATISTIC };
  const compared = sets.map(({ set, first, second }) => ({
    set,
    prompts: first[0]?.length ?? 0,
    f1: differenceOf([{ first, second }], statistics.f1, options),
    auroc: differenceOf([{ first, second }], statistics.auroc, options),
    mcnemar: first.length === 1 && second.length === 1 ? mcnemar(first[0], second[0]) : null,
  }));
  if (sets.length < 2) return { sets: compared, mean: null };
  const mean = { f1: differenceOf(sets, statistics.f1, options), auroc: differenceOf(sets, statistics.auroc, options) };
  return { sets: compared, mean };
}

function differenceOf(
  sets: readonly { readonly first: Runs; readonly second: Runs }[],
  statistic: ReturnType<typeof f1Statistic>,
  options: BootstrapOptions,
): Difference | null {
  const difference =
    sets.length === 1
      ? pairedDifference(sets[0].second, sets[0].first, statistic, options)
      : pairedMeanDifference(
          sets.map(({ first, second }) => ({ a: second, b: first })),
          statistic,
          options,
        );
  if (difference === null) return null;
  const [second, first] = difference.sides;
  return { first, second, difference };
}

/** The comparison as a table and one sentence a set. */
export function comparisonText({ sets, mean }: Comparison, first: string, second: string): string {
  const cells = (difference: Difference | null): string[] =>
    difference === null
      ? ["–", "–", "–", "–"]
      : [
          number(difference.first),
          number(difference.second),
          signed(difference.difference.estimate),
          `${signed(difference.difference.low)} to ${signed(difference.difference.high)}`,
        ];
  const body = sets.map(({ set, prompts, f1, auroc, mcnemar: test }) => {
    const tested = test === null ? ["–", "–", "–"] : [`${test.onlyFirstRight}`, `${test.onlySecondRight}`, pText(test.exactP)];
    return [set, String(prompts), ...cells(f1), ...tested, ...cells(auroc).slice(2)];
  });
  if (mean !== null) body.push(["mean", "", ...cells(mean.f1), "", "", "", ...cells(mean.auroc).slice(2)]);
  const header = [
    "",
    "n",
    "F1 A",
    "F1 B",
    "B - A",
    "95% interval",
    "only A right",
    "only B right",
    "McNemar p",
    "AUROC B - A",
    "95% interval",
  ];
  const sentences = sets.map(({ set, f1, mcnemar: test }) => `${printable(set)}: ${sentence(f1, test)}`);
  if (mean !== null) sentences.push(`mean over ${sets.length} sets: ${sentence(mean.f1, null)}`);
  return [`A: ${printable(first)}\nB: ${printable(second)}`, markdownTable(header, body), sentences.join("\n")].join("\n\n");
}

function sentence(f1: Difference | null, test: McNemar | null): string {
  if (f1 === null) return "F1 is not defined for both.";
  const { estimate, low, high, level, seeds } = f1.difference;
  const range = `${Math.round(100 * level)}% interval ${signed(low)} to ${signed(high)}`;
  const seedNote = seeds.every((count) => count === 1) ? "; one seed each, so this is about prompts alone" : "";
  const p = test === null ? "" : `; McNemar p ${pText(test.exactP)}`;
  const size = number(Math.abs(estimate));
  const distance = Number(size) === 0 ? "the same to three decimals" : `${estimate < 0 ? "lower" : "higher"} by ${size}`;
  if (low <= 0 && high >= 0) return `no difference in F1 can be told from chance: B's is ${distance}, ${range}${p}${seedNote}.`;
  return `B's F1 is ${distance}, ${range}${p}${seedNote}.`;
}

function pText(p: number): string {
  return p < 0.0001 ? "< 0.0001" : p.toFixed(4);
}
