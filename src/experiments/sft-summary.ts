/** What an SFT experiment found: scores of every run, mean and deviation over seeds, the constant answers, and how fast it was. */
import type { Prediction } from "../evaluate/predictions.js";
import { constantScores, score, type Scores } from "../evaluate/metrics.js";
import { markdownTable, printable, scoreTable } from "../evaluate/table.js";
import type { TrainingFacts } from "./sft-log.js";
import { runFolder, type SftRun } from "./sft-run.js";
import type { LeftOut, NamedSet } from "./sets.js";
import type { Mode, SftConfig } from "./sft-config.js";
import { meanOf, spread, spreadText, type Spread } from "../evaluate/spread.js";

/** A run with what it said on each set so far. */
export interface TrainedRun {
  readonly run: SftRun;
  readonly training: TrainingFacts;
  readonly predictions: Map<string, readonly Prediction[]>;
}

/** A mode's runs: every rate with the first seed, and every seed with the chosen rate. */
export interface TrainedMode {
  readonly sweep: readonly TrainedRun[];
  readonly chosen: readonly TrainedRun[];
}

export interface RunSummary extends SftRun {
  /** Below the experiment's folder. */
  readonly folder: string;
  readonly training: TrainingFacts;
  readonly scores: Readonly<Record<string, Scores>>;
  /** Wall time of generating and scoring, seconds, over all its sets. */
  readonly evaluationSeconds: number;
}

export interface ModeSummary {
  readonly learningRate: number;
  /** Why this rate, in a sentence. */
  readonly why: string;
  /** Mean F1 over the selection sets of every rate of the sweep. */
  readonly sweep: readonly { readonly learningRate: number; readonly selectionF1: number | null; readonly folder: string }[];
  /** The chosen rate's runs, one a seed. */
  readonly runs: readonly RunSummary[];
  /** By set. */
  readonly overSeeds: Readonly<Record<string, Readonly<Record<"f1" | "auroc" | "accuracy", Spread>>>>;
}

export interface SftSummary {
  readonly model: string;
  readonly seeds: readonly number[];
  readonly modes: Readonly<Partial<Record<Mode, ModeSummary>>>;
  /** What always answering the same scores, by set. */
  readonly constants: Readonly<Record<string, Readonly<Record<"harmful" | "safe", Scores>>>>;
  readonly leftOut: readonly LeftOut[];
  /** Every run, those that were not chosen too. */
  readonly allRuns: readonly RunSummary[];
  /** Training and evaluation of all runs, restarts not counted. */
  readonly seconds: number;
}

/** Mean F1 of a run over sets, an unparsed answer counted as wrong; null if there are none, or F1 is not defined on one. */
export function meanF1({ predictions }: TrainedRun, sets: readonly NamedSet[]): number | null {
  return meanOf(sets.map(({ name }) => score(predictions.get(name) ?? []).byRule.wrong.f1));
}

/** The best of a sweep by {@link meanF1}; of equals, the lower validation loss, then the one that stands first. */
export function chooseRate(sweep: readonly TrainedRun[], selectionSets: readonly NamedSet[]): TrainedRun {
  const rank = (run: TrainedRun): [number, number] => [meanF1(run, selectionSets) ?? -1, -(run.training.bestLoss ?? Infinity)];
  return sweep.reduce((best, run) => {
    const [[f1, loss], [bestF1, bestLoss]] = [rank(run), rank(best)];
    return f1 > bestF1 || (f1 === bestF1 && loss > bestLoss) ? run : best;
  });
}

export function summarise(
  config: SftConfig,
  trained: Readonly<Partial<Record<Mode, TrainedMode>>>,
  sets: { readonly selection: readonly NamedSet[]; readonly tests: readonly NamedSet[] },
  leftOut: readonly LeftOut[],
): SftSummary {
  const selectionNames = sets.selection.map(({ name }) => name);
  const modes: Partial<Record<Mode, ModeSummary>> = {};
  const allRuns: RunSummary[] = [];
  for (const mode of config.modes) {
    const { sweep, chosen } = trained[mode]!;
    const runs = chosen.map(summariseRun);
    allRuns.push(...[...new Set([...sweep, ...chosen])].map(summariseRun));
    modes[mode] = {
      learningRate: chosen[0].run.learningRate,
      why: reason(sweep.length, selectionNames, config.seeds[0]),
      sweep: sweep.map((run) => ({
        learningRate: run.run.learningRate,
        selectionF1: meanF1(run, sets.selection),
        folder: runFolder(run.run),
      })),
      runs,
      overSeeds: spreads(runs),
    };
  }
  const all = new Map([...sets.selection, ...sets.tests].map((set) => [set.name, set]));
  const constants = [...all.values()].map(({ name, rows }) => {
    const gold = rows.map(({ harm }) => ({ gold: harm }));
    return [name, { harmful: constantScores(gold, "harmful"), safe: constantScores(gold, "safe") }] as const;
  });
  const seconds = allRuns.reduce((sum, { training, evaluationSeconds }) => sum + training.seconds + evaluationSeconds, 0);
  return { model: config.model, seeds: config.seeds, modes, constants: Object.fromEntries(constants), leftOut, allRuns, seconds };
}

function summariseRun({ run, training, predictions }: TrainedRun): RunSummary {
  const all = [...predictions];
  return {
    ...run,
    folder: runFolder(run),
    training,
    scores: Object.fromEntries(all.map(([set, rows]) => [set, score(rows)])),
    evaluationSeconds: all.flatMap(([, rows]) => rows).reduce((sum, { milliseconds }) => sum + milliseconds, 0) / 1000,
  };
}

function reason(rates: number, selectionSets: readonly string[], seed: number): string {
  if (rates === 1) return "the only one given";
  return `the highest mean F1 on ${selectionSets.join(" and ")} of ${rates} rates, seed ${seed}`;
}

function spreads(runs: readonly RunSummary[]): ModeSummary["overSeeds"] {
  const sets = Object.keys(runs[0].scores);
  return Object.fromEntries(
    sets.map((set) => {
      const scores = runs.map((run) => run.scores[set]);
      return [
        set,
        {
          f1: spread(scores.map(({ byRule }) => byRule.wrong.f1)),
          auroc: spread(scores.map(({ auroc }) => auroc)),
          accuracy: spread(scores.map(({ byRule }) => byRule.wrong.accuracy)),
        },
      ];
    }),
  );
}

/** The summary as Markdown tables: one a set with every run and the constant answers, then mean ± deviation where there are seeds. */
export function summaryTables(summary: SftSummary): string {
  const modes = Object.entries(summary.modes);
  const parts = Object.entries(summary.constants).map(([set, constant]) => {
    const rows = modes.flatMap(([mode, { runs }]) =>
      runs.flatMap(({ seed, scores }) =>
        scores[set] === undefined ? [] : [{ name: `${mode}, seed ${seed}`, scores: scores[set] }],
      ),
    );
    const floors = [
      { name: "always harmful", scores: constant.harmful },
      { name: "always safe", scores: constant.safe },
    ];
    return `${printable(set)}\n\n${scoreTable([...rows, ...floors])}`;
  });
  const body = modes.flatMap(([mode, { overSeeds }]) =>
    Object.entries(overSeeds).map(([set, { f1, auroc, accuracy }]) => [`${mode}, ${set}`, f1, auroc, accuracy] as const),
  );
  const lines = body.map(([name, ...values]) => [name, ...values.map(spreadText)]);
  if (summary.seeds.length > 1)
    parts.push(
      `mean ± deviation over seeds ${summary.seeds.join(", ")}\n\n${markdownTable(["", "F1", "AUROC", "accuracy"], lines)}`,
    );
  for (const { set, reason } of summary.leftOut) parts.push(printable(`${set} was left out: ${reason}`));
  for (const [mode, { learningRate, why }] of modes) parts.push(printable(`${mode}: learning rate ${learningRate}, ${why}`));
  return parts.join("\n\n");
}
