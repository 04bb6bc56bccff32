/** What GRPO found: each reward beside the model that training started from, and beside each other. */
import { errorFigures, errorTable, scoreTable, type ConditionRuns } from "./conditions.js";
import { againstStart, comparedText, differenceFigure, differenceTable, type Compared } from "./differences.js";
import type { PlotlyFigure } from "./figure.js";
import { conditionName } from "./grpo-names.js";
import { publishedGrpoGains } from "./grpo-published.js";
import { named, rewardsOf, testsSeen, type GrpoRecord } from "./grpo-runs.js";

/** What was run: model, start, reward, rollouts, loss, sets; what is missing, and why. */
export function grpoSetting(run: GrpoRecord): string {
  const { settings, selectionSets } = run;
  const { prompts, samples, temperature, maxNewTokens, updates, learningRate, clip, klCoefficient } = settings;
  const start = run.start === "sft" ? "the SFT adapter of the same seed" : "the model as it is, with a fresh adapter";
  const format = run.format === "sft" ? "the SFT format on raw prompts" : "reasoning before the intent, in the chat template";
  const trained = rewardsOf(run).map((reward) => conditionName(reward, run.start));
  const tested = testsSeen(run).map((set) => (selectionSets.includes(set) ? `${set} (which chose the adapter, too)` : set));
  return [
    `model: ${run.model}; seeds ${run.seeds.join(", ")}, each from ${start}; ${format}`,
    `trained: ${trained.join("; ") || "nothing"}`,
    `rollouts: ${settings.steps} steps of ${prompts} prompts of ${settings.trainSet}, ${samples} each, temperature ${temperature}, at most ${maxNewTokens} tokens`,
    `judge: ${settings.judge}`,
    `${settings.aggregation} loss, ${updates} ${updates === 1 ? "update" : "updates"} a step, learning rate ${learningRate}, clip ${clip}, KL coefficient ${klCoefficient}`,
    `validated every ${settings.validateEvery} steps; the adapter with the highest mean F1 on ${selectionSets.join(" and ") || "nothing"} is kept`,
    `tested on: ${tested.join(", ") || "nothing"}`,
    ...run.leftOut.map(({ set, reason }) => `left out: ${set} (${reason})`),
  ].join("\n");
}

/** The start and what each reward made of it. */
function conditionsOf(run: GrpoRecord): ConditionRuns[] {
  return (["start", ...rewardsOf(run)] as const).map((condition) => named(run, condition)).filter(({ runs }) => runs.length > 0);
}

/** Mean ± deviation over seeds, a row a test set and condition; unparsed answers count as wrong. */
export function grpoScores(run: GrpoRecord): object[] {
  return scoreTable(testsSeen(run), conditionsOf(run));
}

/** Each reward against the start of the same seed, over the seeds that both have, on these sets (by default the test sets). */
export function againstGrpoStart(run: GrpoRecord, sets: readonly string[] = testsSeen(run)): Compared[] {
  return rewardsOf(run).flatMap((reward) => againstStart(sets, named(run, "start"), named(run, reward), "together") ?? []);
}

/** Label and intent (`second`) against label alone (`first`), from one start a seed; none unless both were trained. */
export function intentAgainstLabel(run: GrpoRecord): Compared[] {
  const compared = againstStart(testsSeen(run), named(run, "label_only"), named(run, "label_intent"), "together");
  return compared === null ? [] : [compared];
}

export function startTable(run: GrpoRecord, compared: readonly Compared[]): object[] {
  return differenceTable(compared, conditionName("start", run.start), "GRPO");
}

/** The gains on the start as intervals, with the paper's single runs where the set is the same. */
export function startFigure(run: GrpoRecord, compared: readonly Compared[]): PlotlyFigure[] {
  const beside = run.start === "sft" ? publishedGrpoGains() : [];
  return differenceFigure(
    compared,
    `F1 less that of the start (${conditionName("start", run.start)}), with 95% intervals`,
    beside,
  );
}

/** Whether rewarding the intent, too, gives better verdicts than rewarding the label alone. */
export function intentText(run: GrpoRecord, compared: readonly Compared[]): string {
  if (compared.length > 0)
    return compared.map((one) => comparedText({ ...one, name: "Label + intent less label alone" })).join("\n");
  const trained = rewardsOf(run).map((reward) => conditionName(reward, run.start));
  return `Not compared: this run trained ${trained.join(" and ") || "nothing"}. To have both: --set rewards=label_intent,label_only`;
}

export function intentTable(compared: readonly Compared[]): object[] {
  return differenceTable(compared, "label alone", "label + intent");
}

/** Rows of a test set by verdict and intent, before training and after. */
export function grpoErrors(run: GrpoRecord): { readonly table: object[]; readonly figures: PlotlyFigure[] } {
  const [sets, conditions] = [testsSeen(run), conditionsOf(run)];
  return { table: errorTable(sets, conditions), figures: errorFigures(sets, conditions) };
}
