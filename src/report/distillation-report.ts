/** What the distillation notebook shows of a grid: what was run, its heatmaps, the choice by marginal means, who wins how often. */
import { spread, spreadText } from "../evaluate/spread.js";
import type { Condition } from "../prompts/distillation.js";
import {
  chooseByMeans,
  marginalMeans,
  winCounts,
  type Dimension,
  type GridCell,
  type MarginalMean,
  type Stage,
} from "./distillation-grid.js";
import { gridHeatmap } from "./distillation-heatmap.js";
import { CONDITION_NAMES, OF_PUBLISHED } from "./distillation-names.js";
import { gridOf, MEASURES, type CellRunRecord, type DistillationRecord, type Measure, constantF1 } from "./distillation-runs.js";
import { signed } from "../evaluate/signed.js";
import type { PlotlyFigure } from "./figure.js";
import { loadPublished } from "./published.js";
import { millisecondsText } from "./milliseconds.js";

/** What was run: models, seeds, sets, and how much of the plan is done. */
export function distillationSetting(run: DistillationRecord): string {
  const { cells, models, seeds, learningRates, testSets, unseenSets, validationSets, leftOut } = run;
  const names = (pick: (cell: DistillationRecord["cells"][number]) => string): string =>
    [...new Set(cells.map(pick))].map((name) => (models.get(name) === name ? name : `${name} (${models.get(name)!})`)).join(", ");
  const states = (["done", "running", "failed", "left"] as const).flatMap((state) => {
    const count = cells.filter((cell) => cell.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  return [
    `teachers: ${names(({ teacher }) => teacher)}`,
    `students: ${names(({ student }) => student)}`,
    `${cells.length} cells: ${states.join(", ")}; seeds ${seeds.join(", ")}; learning rates tried: ${learningRates.join(", ")}`,
    `models are chosen by F1 on: ${validationSets.join(", ")}`,
    `tested on: ${testSets.join(", ") || "nothing that every cell saw"}${floorText(run)}`,
    ...unseenSets.map((set) => `in no mean: ${set} (some cell has no answers to it)`),
    ...leftOut.map(({ set, reason }) => `left out: ${set} (${reason})`),
  ].join("\n");
}

function floorText(run: DistillationRecord): string {
  const floor = constantF1(run);
  return floor === null ? "" : ` (always answering harmful: mean F1 ${floor.toFixed(3)})`;
}

/** A row a cell of the plan, done or not; means ± deviations over seeds, unparsed answers counted as wrong. */
export function cellTable({ cells, testSets }: DistillationRecord): object[] {
  return cells.map(({ teacher, student, condition, state, reason, traces, learningRate, runs }) => {
    const over = (measure: Measure): readonly (number | null)[] =>
      runs.map((one: CellRunRecord) => MEASURES[measure](one, testSets));
    return {
      ...{ teacher, student, condition: CONDITION_NAMES[condition] },
      state: reason === null ? state : `${state}: ${reason}`,
      ...{ traces, "learning rate": learningRate },
      "test F1": spreadText(spread(over("testF1"))),
      AUROC: spreadText(spread(over("auroc"))),
      "called harmful": percent(spread(over("calledHarmful")).mean),
      "validation F1": spreadText(spread(over("validationF1"))),
      loss: spreadText(spread(over("loss"))),
      unparsed: percent(spread(over("unparsed")).mean),
      "tokens a prompt": spread(over("tokensPerPrompt")).mean?.toFixed(1) ?? "–",
      "ms a prompt": millisecondsText(spread(over("millisecondsPerPrompt")).mean),
    };
  });
}

/** The cells that are done beside the paper's 36; XSTest is the one set that both may have. */
export function besideTable(run: DistillationRecord | null): object[] {
  const published = loadPublished("distillation-grid").rows.map(({ teacher, student, condition, f1, mean }) => ({
    ...{ from: "the paper", teacher, student, condition: CONDITION_NAMES[OF_PUBLISHED[condition]] },
    ...{ "F1 on XSTest": f1.xstest.toFixed(3), "mean F1": mean.toFixed(3), "mean over": "five benchmarks" },
  }));
  if (run === null) return published;
  const both = run.testSets.includes("xstest");
  const xstest = gridOf({ ...run, testSets: both ? ["xstest"] : [] }, "testF1");
  const ours = gridOf(run, "testF1").flatMap(({ teacher, student, condition, value }, i) => {
    if (value === null) return [];
    const scores = { "F1 on XSTest": xstest[i].value?.toFixed(3) ?? "–", "mean F1": value.toFixed(3) };
    const named = { from: "measured here", teacher, student, condition: CONDITION_NAMES[condition] };
    return [{ ...named, ...scores, "mean over": run.testSets.join(", ") }];
  });
  return [...ours, ...published];
}

/** "1.2%" */
function percent(share: number | null): string {
  return share === null ? "–" : `${(100 * share).toFixed(1)}%`;
}

const HEATMAPS: Readonly<
  Partial<Record<Measure, { readonly title: string; readonly label: string; readonly better?: "low" | "neither" }>>
> = {
  testF1: { title: "Measured here: F1 on the test sets", label: "Mean test F1 of the harmful class" },
  validationF1: { title: "F1 on the sets that choose models", label: "Mean validation F1 of the harmful class" },
  unparsed: { title: "Parse failures on the test sets", label: "Share of unparsed answers (low is good)", better: "low" },
  // The conditions' answers are other texts, so their losses are no ranking.
  loss: { title: "Loss on the validation traces", label: "Nats a token (each condition has other texts)", better: "neither" },
};

/** A heatmap of each measure, as far as there are values. */
export function heatmaps(run: DistillationRecord, measures: readonly (keyof typeof HEATMAPS)[]): PlotlyFigure[] {
  return measures.flatMap((measure) => gridHeatmap(gridOf(run, measure), HEATMAPS[measure]!));
}

/** Teacher, then student among its cells, then condition among theirs: the means at each stage, the chosen one marked. */
export function choiceTable(cells: readonly GridCell[]): object[] {
  return chooseByMeans(cells).flatMap(({ dimension, means, chosen }) =>
    means.map((mean) => ({ "chosen now": dimension, ...meanRow(dimension, mean), chosen: mean.name === chosen ? "yes" : "" })),
  );
}

/** Means of all teachers, students and conditions over the whole grid. */
export function meanTable(cells: readonly GridCell[]): object[] {
  return (["teacher", "student", "condition"] as const).flatMap((dimension) =>
    marginalMeans(cells, dimension).map((mean) => ({
      "mean over": `all cells of this ${dimension}`,
      ...meanRow(dimension, mean),
    })),
  );
}

function meanRow(dimension: Dimension, { name, mean, cells, of }: MarginalMean): object {
  return {
    name: nameOf(dimension, name),
    "mean F1": mean?.toFixed(4) ?? "–",
    cells: cells === of ? String(of) : `${cells} of ${of}`,
  };
}

function nameOf(dimension: Dimension, name: string): string {
  return dimension === "condition" ? CONDITION_NAMES[name as Condition] : name;
}

/** {@link choiceTable} in a sentence. */
export function choiceText(cells: readonly GridCell[]): string {
  const stages = chooseByMeans(cells);
  const last = stages.at(-1)!;
  if (last.chosen === null) return "No cell has a value: nothing can be chosen.";
  const words = stages.map(({ dimension, chosen }) => `${dimension} ${nameOf(dimension, chosen!)}`);
  const ragged = stages.some(({ means }: Stage) => means.some(({ cells: known, of }) => known < of));
  const warning = ragged ? " Some cells have no value: means over different cells are not to be compared." : "";
  return `Chosen by marginal means, one after another: ${words.join(", ")}.${warning}`;
}

/** How often an intent beats none, a row a way of counting. */
export function winTable(cells: readonly GridCell[]): object[] {
  return winCounts(cells).map(({ name, pairs, wins, losses, ties, chance, p, meanDifference }) => ({
    ...{ "against no intent": name, pairs, above: wins, below: losses, equal: ties },
    "mean difference": meanDifference === null ? "–" : signed(meanDifference),
    "by chance": chance === 0.5 ? "1 in 2" : "2 in 3",
    "p (sign test)": p.toFixed(3),
  }));
}

/** {@link winTable} in sentences, with what so few pairs can show at all. */
export function winText(cells: readonly GridCell[]): string {
  const counts = winCounts(cells).filter(({ pairs }) => pairs > 0);
  if (counts.length === 0) return "No teacher and student have both a condition with an intent and one without.";
  const lines = counts.map(({ name, pairs, wins, ties, p, chance }) => {
    const expected = chance === 0.5 ? "" : "; by chance alone the better of two beats a third two times in three";
    const equal = ties === 0 ? "" : `, ${ties} equal and left out`;
    const is =
      name === "better of both" ? "the better of both intents" : name === "mean of both" ? "the mean of both intents" : name;
    return `${is} beats no intent in ${wins} of ${pairs} pairs${equal} (exact sign test, two-sided: p = ${p.toFixed(3)}${expected})`;
  });
  const incomplete = Math.max(...counts.map((one) => one.incomplete));
  const missing = incomplete === 0 ? [] : [`Pairs that lack a condition and are not counted: up to ${incomplete}.`];
  const least = Math.min(...counts.filter(({ chance }) => chance === 0.5).map(({ leastP }) => leastP));
  const few =
    least > 0.05 ? [`So few pairs can show nothing by this test: even if all agreed, p would be ${least.toFixed(3)}.`] : [];
  return [...lines, ...missing, ...few].join("\n");
}
