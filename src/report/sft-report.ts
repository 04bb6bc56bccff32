/** What the SFT notebook shows of an experiment: scores with intervals, both modes against each other, intents, single errors. */
import { DataUnavailableError } from "../data/errors.js";
import type { LabelledPrompt } from "../data/prompt.js";
import { bootstrapInterval } from "../evaluate/bootstrap.js";
import { compareModels, type Difference, type PairedSet } from "../evaluate/comparison.js";
import { confusions, type Outcome } from "../evaluate/confusions.js";
import { mcnemar } from "../evaluate/mcnemar.js";
import { constantScores, score } from "../evaluate/metrics.js";
import { reportSet } from "../evaluate/set-report.js";
import { signed } from "../evaluate/signed.js";
import { meanOf } from "../evaluate/spread.js";
import { f1Statistic } from "../evaluate/statistic.js";
import { loadNamed } from "../experiments/sets.js";
import { MODES, type Mode } from "../experiments/sft-config.js";
import { intentCosine } from "../intent/similarity.js";
import type { SentenceEncoder } from "../model/sentence-encoder.js";
import { histogramFigure } from "./bars.js";
import type { Compared } from "./differences.js";
import type { PlotlyFigure } from "./figure.js";
import { intervalFigure, type IntervalSeries } from "./intervals.js";
import { loadPublished } from "./published.js";
import { chosenRuns, modesOf, predictionsOf, type ExperimentRecord } from "./runs.js";

/** Test sets that every chosen run of every mode saw. */
function testSets(experiment: ExperimentRecord): readonly string[] {
  return experiment.testSets.filter((set) =>
    modesOf(experiment).every((mode) => predictionsOf(experiment, mode, set).length > 0),
  );
}

/** The rows of a set that the experiment's runs saw; none if the set is not at hand. */
async function rowsOf(experiment: ExperimentRecord, set: string): Promise<readonly LabelledPrompt[]> {
  const [predictions = []] = modesOf(experiment).flatMap((mode) => predictionsOf(experiment, mode, set));
  if (predictions.length === 0) return [];
  const seen = new Set(predictions.map(({ id }) => id));
  try {
    return (await loadNamed(set, 0)).rows.filter(({ id }) => seen.has(id));
  } catch (error) {
    if (error instanceof DataUnavailableError) return [];
    throw error;
  }
}

const rangeOf = (interval: { readonly low: number; readonly high: number } | null): string =>
  interval === null ? "–" : `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`;

const digits = (value: number | null): string => (value === null ? "–" : value.toFixed(3));

/**
 * Means over seeds of each mode on each test set, and the constant answers. Unparsed answers count as wrong; the interval is the
 * bootstrap's over prompts and seeds.
 */
export function sftScores(experiment: ExperimentRecord): object[] {
  return testSets(experiment).flatMap((set) => {
    const rows = modesOf(experiment).map((mode) => {
      const runs = predictionsOf(experiment, mode, set);
      const scores = runs.map(score);
      return scoreRow(set, mode, scores, rangeOf(bootstrapInterval(runs, f1Statistic())));
    });
    const [first] = predictionsOf(experiment, modesOf(experiment)[0], set);
    const constant = (["harmful", "safe"] as const).map((answer) =>
      scoreRow(set, `always ${answer}`, [constantScores(first, answer)], "–"),
    );
    return [...rows, ...constant];
  });
}

function scoreRow(set: string, model: string, scores: readonly ReturnType<typeof score>[], interval: string): object {
  const of = (pick: (one: ReturnType<typeof score>) => number | null): string => digits(meanOf(scores.map(pick)));
  return {
    set,
    model,
    prompts: scores[0].count,
    seeds: scores.length,
    F1: of(({ byRule }) => byRule.wrong.f1),
    "95% interval": interval,
    precision: of(({ byRule }) => byRule.wrong.precision),
    recall: of(({ byRule }) => byRule.wrong.recall),
    "false alarms": of(({ byRule }) => byRule.wrong.falsePositiveRate),
    AUROC: of(({ auroc }) => auroc),
    unparsed: meanOf(scores.map(({ unparsedCount }) => unparsedCount)),
  };
}

/** F1 of both modes with intervals, the constant answer, and what the paper reports on the same sets. */
export function sftIntervals(experiment: ExperimentRecord): PlotlyFigure {
  const sets = testSets(experiment);
  const ours = modesOf(experiment).map((mode): IntervalSeries => {
    const values = sets.flatMap((set) => {
      const interval = bootstrapInterval(predictionsOf(experiment, mode, set), f1Statistic());
      return interval === null ? [] : [[set, { value: interval.estimate, low: interval.low, high: interval.high }] as const];
    });
    return { name: `${experiment.model}, ${mode}`, kind: "ours", values: Object.fromEntries(values) };
  });
  const floor = sets.flatMap((set) => {
    const { f1 } = constantScores(predictionsOf(experiment, modesOf(experiment)[0], set)[0], "harmful").byRule.wrong;
    return f1 === null ? [] : [[set, { value: f1 }] as const];
  });
  const published = publishedSft().filter(({ values }) => sets.some((set) => Object.hasOwn(values, set)));
  const constant: IntervalSeries = { name: "always harmful", kind: "floor", values: Object.fromEntries(floor) };
  return intervalFigure("F1 on the test sets, with 95% intervals", sets, [...ours, ...published, constant]);
}

/** The paper's SFT models: generation on all five benchmarks, classification on the one where it is known. */
function publishedSft(): IntervalSeries[] {
  const main = loadPublished("benchmark-main").rows.filter(({ group }) => group === "Ours, SFT");
  const generation = main.map(({ model, f1 }): IntervalSeries => {
    const values = Object.entries(f1).map(([set, value]) => [set, { value }] as const);
    return { name: `${model}, published`, kind: "published", values: Object.fromEntries(values) };
  });
  const classification = loadPublished("zero-shot").selectedRows.filter(({ condition }) =>
    condition.startsWith("SFT classification"),
  );
  const values = classification.map(({ set, f1 }) => [set, { value: f1 }] as const);
  return [
    ...generation,
    { name: "Llama-3.1-8B (classification), published", kind: "published", values: Object.fromEntries(values) },
  ];
}

/** Generation (`second`) against classification (`first`) on the same prompts; null unless both were trained and tested. */
export function compareModes(experiment: ExperimentRecord): Compared | null {
  const sets = pairedModes(experiment);
  if (sets.length === 0) return null;
  const seeds = chosenRuns(experiment, "generation").map(({ seed }) => seed);
  return { name: "Stating the intent before the verdict, against the verdict alone", seeds, comparison: compareModels(sets) };
}

function pairedModes(experiment: ExperimentRecord): PairedSet[] {
  if (modesOf(experiment).length < 2) return [];
  return testSets(experiment).map((set) => ({
    set,
    first: predictionsOf(experiment, "classification", set),
    second: predictionsOf(experiment, "generation", set),
  }));
}

/**
 * Whether stating the intent helps: generation less classification, on the same prompts. Negative numbers speak for classification.
 * McNemar's test compares single models, so it stands once a seed.
 */
export function modeComparison(experiment: ExperimentRecord): object[] {
  const sets = pairedModes(experiment);
  if (sets.length === 0) return [];
  const compared = compareModels(sets);
  const rows = compared.sets.map(({ set, f1, auroc }, i) => {
    const pairs = sets[i].first.map((first, seed) => mcnemar(first, sets[i].second[seed]));
    return {
      ...differenceRow(set, f1, auroc),
      "McNemar, p for each seed": pairs.map(({ exactP }) => exactP.toFixed(3)).join(", "),
    };
  });
  return compared.mean === null ? rows : [...rows, differenceRow("mean of the sets", compared.mean.f1, compared.mean.auroc)];
}

function differenceRow(set: string, f1: Difference | null, auroc: Difference | null): object {
  return {
    set,
    "F1 classification": digits(f1?.first ?? null),
    "F1 generation": digits(f1?.second ?? null),
    "F1 difference": f1 === null ? "–" : signed(f1.difference.estimate),
    "95% interval": rangeOf(f1?.difference ?? null),
    "AUROC difference": auroc === null ? "–" : signed(auroc.difference.estimate),
    "95% interval of AUROC": rangeOf(auroc?.difference ?? null),
  };
}

/** The modes' accuracy by the set's own themes, over all seeds; the most frequent themes first. Empty if the set is not at hand. */
export async function themeTable(experiment: ExperimentRecord, set: string): Promise<object[]> {
  const rows = await rowsOf(experiment, set);
  if (rows.length === 0) return [];
  const byMode = modesOf(experiment).map((mode) => ({
    mode,
    reports: predictionsOf(experiment, mode, set).map((predictions) => reportSet(rows, predictions).byTheme),
  }));
  const themes = byMode[0]?.reports[0] ?? [];
  return themes
    .toSorted((a, b) => b.scores.count - a.scores.count || (a.name < b.name ? -1 : 1))
    .map(({ name, scores }) => {
      const accuracy = byMode.map(({ mode, reports }) => {
        const values = reports.map((groups) => groups.find((group) => group.name === name)?.scores.byRule.wrong.accuracy ?? null);
        return [`accuracy, ${mode}`, digits(meanOf(values))] as const;
      });
      return {
        theme: name.replaceAll("_", " "),
        prompts: scores.count,
        harmful: scores.harmfulCount,
        ...Object.fromEntries(accuracy),
      };
    });
}

/** How near stated intents come to the annotators', beside the nearness of any two intents of the set. */
export interface IntentNearness {
  readonly mean: number | null;
  /** Of intents stated for other prompts: what a model reaches that does not look at the prompt. */
  readonly chance: number | null;
  readonly missing: number;
  readonly figure: PlotlyFigure;
}

/**
 * Cosine of the intents that the generation runs stated to the gold ones, over all seeds; the chance level takes the gold intent of
 * another row of the set. Rows without a gold intent are left out.
 * @returns null if no run stated intents for the set, or the set is not at hand.
 */
export async function intentNearness(
  experiment: ExperimentRecord,
  set: string,
  encoder: SentenceEncoder,
): Promise<IntentNearness | null> {
  const rows = await rowsOf(experiment, set);
  const gold = new Map(rows.flatMap(({ id, intent }) => (intent === null ? [] : [[id, intent] as const])));
  if (gold.size === 0) return null;
  const said = predictionsOf(experiment, "generation", set).flatMap((run) => run.filter(({ id }) => gold.has(id)));
  if (said.length === 0) return null;
  const stated = said.map(({ intent }) => intent);
  const own = said.map(({ id }) => gold.get(id)!);
  const shift = Math.floor(gold.size / 2);
  const ids = [...gold.keys()];
  const other = said.map(({ id }) => gold.get(ids[(ids.indexOf(id) + shift) % ids.length])!);
  const near = await intentCosine(encoder, stated, own);
  const far = await intentCosine(encoder, stated, other);
  const known = (cosines: readonly (number | null)[]): number[] => cosines.filter((cosine) => cosine !== null);
  const figure = histogramFigure(
    [
      { name: "the prompt's own gold intent", values: known(near.cosines) },
      { name: "another prompt's", values: known(far.cosines) },
    ],
    { title: `Stated intents on ${set}: how near to …`, axis: "cosine (all-MiniLM-L6-v2)" },
  );
  return { mean: near.mean, chance: far.mean, missing: near.missing, figure };
}

/** {@link IntentNearness} in a sentence. */
export function nearnessText({ mean: own, chance, missing }: IntentNearness): string {
  const people = loadPublished("agreement").rows.find(({ first, second }) => first === "Human" && second === "Human");
  return (
    `Mean cosine to the gold intent ${digits(own)}, to another prompt's ${digits(chance)}; ${missing} answers stated no intent. ` +
    `Two people's intents for one prompt of AIMS: ${digits(people?.meanIntentCosine ?? null)} (published).`
  );
}

/**
 * Single answers of the first seed of a mode on our own test rows: prompt, truth, what the model said and how sure it was.
 * @param outcome "missed" is harmful called safe, "false alarm" is safe called harmful
 */
export async function confusionTable(experiment: ExperimentRecord, mode: Mode, outcome: Outcome, limit = 8): Promise<object[]> {
  const set = "sample-test";
  const [predictions] = predictionsOf(experiment, mode, set);
  if (predictions === undefined) return [];
  const rows = await rowsOf(experiment, set);
  return confusions(rows, predictions)
    .filter((one) => one.outcome === outcome)
    .slice(0, limit)
    .map(({ row, prediction, confidence }) => ({
      prompt: row.prompt,
      theme: row.theme,
      "gold intent": row.intent,
      level: row.level?.replaceAll("_", " "),
      ...(mode === "generation" ? { "stated intent": prediction.intent } : {}),
      sureness: confidence === null ? "–" : confidence.toFixed(2),
    }));
}

/** A sentence a mode: which rate was chosen, over which seeds, on which sets it was tested and which are missing. */
export function sftSetting(experiment: ExperimentRecord): string {
  const lines = MODES.flatMap((mode) => {
    const runs = chosenRuns(experiment, mode);
    if (runs.length === 0) return [];
    return [`${mode}: learning rate ${runs[0].learningRate}, seeds ${runs.map(({ seed }) => seed).join(", ")}`];
  });
  const missing = experiment.leftOut.map(({ set, reason }) => `left out: ${set} (${reason})`);
  return [`model: ${experiment.model}`, ...lines, `tested on: ${testSets(experiment).join(", ")}`, ...missing].join("\n");
}
