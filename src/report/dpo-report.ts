/** What the preference experiment found: each condition beside the SFT model it starts from. */
import { overallF1 } from "../evaluate/comparison.js";
import type { Condition } from "../experiments/dpo-summary.js";
import { PAIR_SETS } from "../intent/pair-sets.js";
import * as conditions from "./conditions.js";
import * as differences from "./differences.js";
import { CONDITION_NAMES } from "./dpo-names.js";
import { publishedDifferences } from "./dpo-published.js";
import { conditionsOf, runsOf, setsSeen, type DpoRecord } from "./dpo-runs.js";
import type { PlotlyFigure } from "./figure.js";

/** What was run: models, seeds, judge, pairs, loss, sets; what is missing, and why. */
export function dpoSetting(run: DpoRecord): string {
  const { settings, agreement } = run;
  const trained = conditionsOf(run).filter((condition) => condition !== "sft");
  const pairs = trained.map((condition) => `${CONDITION_NAMES[condition]} (${PAIR_SETS[condition].join(", ")})`);
  const tested = setsSeen(run).map((set) => (settings.selectionSets.includes(set) ? `${set} (which chose the epoch, too)` : set));
  const judges = [...new Set(Object.values(agreement).map(({ judge }) => judge))];
  return [
    `model: ${run.model}; seeds ${run.seeds.join(", ")}, each from the SFT adapter of the same seed`,
    `mined: ${settings.trainSet}, ${settings.samples} samples a prompt at temperature ${settings.temperature}`,
    `judge: ${judges.join(", ")}`,
    `trained: ${pairs.length === 0 ? "nothing" : pairs.join("; ")}`,
    `${settings.loss} loss, beta ${settings.beta}, learning rate ${settings.learningRate}, batches of ${settings.batchSize} pairs, classes balanced: ${settings.balance}`,
    `${settings.epochs} epochs; the one with the highest F1 on ${settings.selectionSets.join(" and ")} is kept`,
    `tested on: ${tested.join(", ") || "nothing"}`,
    ...run.skipped.map(({ condition, seed, reason }) => `not trained: ${CONDITION_NAMES[condition]}, seed ${seed} (${reason})`),
    ...run.leftOut.map(({ set, reason }) => `left out: ${set} (${reason})`),
  ].join("\n");
}

/** The conditions' runs under their names, SFT first. */
function named(run: DpoRecord): conditions.ConditionRuns[] {
  return conditionsOf(run).map((condition) => ({ name: CONDITION_NAMES[condition], runs: runsOf(run, condition) }));
}

/** Mean ± deviation over seeds, a row a test set and condition; unparsed answers count as wrong. */
export function dpoScores(run: DpoRecord): object[] {
  return conditions.scoreTable(setsSeen(run), named(run));
}

/** A condition against SFT over the seeds that both have; `second` is the condition, so that differences are its gain. */
export interface AgainstSft extends differences.Compared {
  readonly condition: Condition;
}

/** Every trained condition against SFT on the test sets, paired by prompt and, as each starts from SFT's adapter of its seed, by seed. */
export function againstSft(run: DpoRecord): AgainstSft[] {
  const sft = { name: CONDITION_NAMES.sft, runs: runsOf(run, "sft") };
  return conditionsOf(run).flatMap((condition) => {
    if (condition === "sft") return [];
    const own = { name: CONDITION_NAMES[condition], runs: runsOf(run, condition) };
    const compared = differences.againstStart(setsSeen(run), sft, own, "together");
    return compared === null ? [] : [{ condition, ...compared }];
  });
}

/** Differences to SFT, with 95% intervals over prompts and seeds. */
export function differenceTable(compared: readonly AgainstSft[]): object[] {
  return differences.differenceTable(compared, "SFT", "DPO");
}

/** The F1 differences as intervals beside a line at 0, and the paper's single runs where the set is the same. None without conditions. */
export function differenceFigure(compared: readonly AgainstSft[]): PlotlyFigure[] {
  return differences.differenceFigure(compared, "F1 less SFT's, with 95% intervals", publishedDifferences());
}

/**
 * Whether each condition beats SFT at this scale, in plain words: by the interval of the mean F1 over the test sets, or of the one set.
 * An interval that holds 0 shows no difference.
 */
export function beatsText({ skipped, seeds }: DpoRecord, compared: readonly AgainstSft[]): string {
  const absent = (["wrong_only", "judge_bad_only"] as const)
    .filter((condition) => compared.every((one) => one.condition !== condition))
    .map((condition) => {
      const why = skipped.find((one) => one.condition === condition);
      return `${CONDITION_NAMES[condition]} was not compared${why === undefined ? "" : `: ${why.reason}`}.`;
    });
  const alone =
    compared.length > 0 && seeds.length === 1 ? ["With one seed the intervals are about prompts alone, not about training."] : [];
  return [...verdictLines(compared), ...compared.map(differences.comparedText), ...absent, ...alone].join("\n");
}

/** The first sentence: who beats SFT, who falls behind it, who does neither. */
function verdictLines(compared: readonly AgainstSft[]): string[] {
  const by = { better: [] as string[], worse: [] as string[], open: [] as string[] };
  for (const { name, comparison } of compared) by[differences.directionOf(overallF1(comparison))].push(name);
  const names = (list: readonly string[]): string => [list.slice(0, -1).join(", "), list.at(-1)!].filter(Boolean).join(" and ");
  const verb = (list: readonly string[], one: string, several: string): string => (list.length === 1 ? one : several);
  return [
    ...(by.better.length === 0 ? [] : [`At this scale ${names(by.better)} ${verb(by.better, "beats", "beat")} SFT.`]),
    ...(by.worse.length === 0 ? [] : [`At this scale ${names(by.worse)} ${verb(by.worse, "is", "are")} worse than SFT.`]),
    ...(by.open.length === 0 ? [] : [`No difference to SFT is shown for ${names(by.open)} at this scale.`]),
  ];
}

/** Rows of a test set by verdict and intent, means over seeds: before training (SFT) and after. Sets without intents have none. */
export function errorTable(run: DpoRecord): object[] {
  return conditions.errorTable(setsSeen(run), named(run));
}

/** The same as shares of the set's rows, a figure a set. */
export function errorFigures(run: DpoRecord): PlotlyFigure[] {
  return conditions.errorFigures(setsSeen(run), named(run));
}
