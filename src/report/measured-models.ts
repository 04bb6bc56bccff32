/** Every model that was measured here, whatever trained it or none did: its name, and what each of its seeds said of each set. */
import { join } from "node:path";
import type { Prediction } from "../evaluate/predictions.js";
import { FORMATS, runFolder } from "../experiments/sft-run.js";
import { STUDENT_FORMATS } from "../prompts/distillation.js";
import { GRPO_FORMATS } from "../prompts/grpo.js";
import { SFT_GENERATION, type OutputFormat } from "../prompts/sft.js";
import type { BaselineRecord } from "./baseline-runs.js";
import type { ConditionRuns } from "./conditions.js";
import { CONDITION_NAMES } from "./distillation-names.js";
import { doneCell, type DistillationRecord } from "./distillation-runs.js";
import { CONDITION_NAMES as DPO_NAMES } from "./dpo-names.js";
import { conditionsOf, runsOf, setsSeen, type DpoRecord } from "./dpo-runs.js";
import { named, rewardsOf, testsSeen, trainedRuns, type GrpoRecord } from "./grpo-runs.js";
import { chosenRuns, modesOf, predictionsOf, type ExperimentRecord } from "./runs.js";

/** Where a run keeps its adapter. */
const ADAPTER = "adapter";

export interface MeasuredModel {
  readonly name: string;
  /** Drawn apart: the cells of a distillation grid, and what was not trained (baselines). */
  readonly group: "measured here" | "distilled here" | "only asked here";
  readonly sets: readonly string[];
  /** What the seeds said of each set, in the order of `sets`; a set that some seed did not see has none. */
  readonly runs: readonly (readonly (readonly Prediction[])[])[];
  /** What it takes to ask the first seed's model again; absent where none was trained. */
  readonly trained?: TrainedModel;
}

export interface TrainedModel {
  /** The experiment's folder. */
  readonly experiment: string;
  /** The model under the adapter: catalogue name, hub id or path. */
  readonly base: string;
  /** PEFT folder, of which recorded experiments have none. */
  readonly adapter: string;
  readonly format: OutputFormat;
}

/** One a mode of an SFT experiment: its chosen runs. */
export function tunedModels(experiment: ExperimentRecord): MeasuredModel[] {
  const sets = experiment.testSets;
  return modesOf(experiment).map((mode) => ({
    ...{ name: `${experiment.model} SFT, ${mode}`, group: "measured here", sets },
    runs: sets.map((set) => predictionsOf(experiment, mode, set)),
    trained: {
      ...{ experiment: experiment.folder, base: experiment.model, format: FORMATS[mode] },
      adapter: join(experiment.folder, runFolder(chosenRuns(experiment, mode)[0]), ADAPTER),
    },
  }));
}

/** One a condition that DPO or GRPO made of a model, as far as there are such runs; over the test sets that all of its runs saw. */
export function trainedModels(dpo: DpoRecord | null, grpo: GrpoRecord | null): MeasuredModel[] {
  const model = (
    { folder: experiment, model: base }: DpoRecord | GrpoRecord,
    sets: readonly string[],
    { name, runs }: ConditionRuns,
    { folder }: { readonly folder: string },
    format: OutputFormat,
  ): MeasuredModel => ({
    ...{ name: `${base} ${name}`, group: "measured here", sets },
    runs: sets.map((set) => runs.map(({ predictions }) => predictions.get(set)!)),
    trained: { experiment, base, adapter: join(folder, ADAPTER), format },
  });
  const byPreference = (run: DpoRecord): MeasuredModel[] =>
    conditionsOf(run)
      .filter((condition) => condition !== "sft")
      .map((condition) => {
        const runs = runsOf(run, condition);
        return model(run, setsSeen(run), { name: DPO_NAMES[condition], runs }, runs[0], SFT_GENERATION);
      });
  const byReward = (run: GrpoRecord): MeasuredModel[] =>
    rewardsOf(run).map((reward) =>
      model(run, testsSeen(run), named(run, reward), trainedRuns(run, reward)[0], GRPO_FORMATS[run.format]),
    );
  return [...(dpo === null ? [] : byPreference(dpo)), ...(grpo === null ? [] : byReward(grpo))];
}

/** One a cell of the grid that is done. */
export function distilledModels(run: DistillationRecord): MeasuredModel[] {
  return run.cells.flatMap(({ teacher, student, condition }) => {
    const cell = doneCell(run, teacher, student, condition);
    if (cell === null) return [];
    const { folder, maxNewTokens } = cell.runs[0];
    const format = { ...STUDENT_FORMATS[condition], maxNewTokens };
    const base = run.models.get(student)!;
    const name = `${student} distilled from ${teacher}, ${CONDITION_NAMES[condition]}`;
    return [
      {
        ...{ name, group: "distilled here", sets: run.testSets },
        runs: run.testSets.map((set) => cell.said(set)),
        trained: { experiment: run.folder, base, adapter: join(folder, ADAPTER), format },
      },
    ];
  });
}

/** A model that was only asked, in one form. @param sets default: all that it saw */
export function baselineModel(
  baseline: BaselineRecord,
  sets: readonly string[] = [...baseline.predictions.keys()],
): MeasuredModel {
  const runs = sets.map((set) => {
    const said = baseline.predictions.get(set) ?? [];
    return said.length === 0 ? [] : [said];
  });
  return { name: `${baseline.model}, ${baseline.form}`, group: "only asked here", sets, runs };
}
