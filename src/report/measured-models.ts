/** Every model that was measured here, whatever trained it or none did: its name, and what each of its seeds said of each set. */
import type { Prediction } from "../evaluate/predictions.js";
import type { BaselineRecord } from "./baseline-runs.js";
import type { ConditionRuns } from "./conditions.js";
import { CONDITION_NAMES } from "./distillation-names.js";
import { doneCell, type DistillationRecord } from "./distillation-runs.js";
import { CONDITION_NAMES as DPO_NAMES } from "./dpo-names.js";
import { conditionsOf, runsOf, setsSeen, type DpoRecord } from "./dpo-runs.js";
import { named, rewardsOf, testsSeen, type GrpoRecord } from "./grpo-runs.js";
import { modesOf, predictionsOf, type ExperimentRecord } from "./runs.js";

export interface MeasuredModel {
  readonly name: string;
  /** The cells of a distillation grid are many, and are drawn apart. */
  readonly group: "measured here" | "distilled here";
  readonly sets: readonly string[];
  /** What the seeds said of each set, in the order of `sets`; a set that some seed did not see has none. */
  readonly runs: readonly (readonly (readonly Prediction[])[])[];
}

/** One a mode of an SFT experiment: its chosen runs. */
export function tunedModels(experiment: ExperimentRecord): MeasuredModel[] {
  const sets = experiment.testSets;
  return modesOf(experiment).map((mode) => ({
    ...{ name: `${experiment.model} SFT, ${mode}`, group: "measured here", sets },
    runs: sets.map((set) => predictionsOf(experiment, mode, set)),
  }));
}

/** One a condition that DPO or GRPO made of a model, as far as there are such runs; over the test sets that all of its runs saw. */
export function trainedModels(dpo: DpoRecord | null, grpo: GrpoRecord | null): MeasuredModel[] {
  const model = (base: string, sets: readonly string[], { name, runs }: ConditionRuns): MeasuredModel => ({
    ...{ name: `${base} ${name}`, group: "measured here", sets },
    runs: sets.map((set) => runs.map(({ predictions }) => predictions.get(set)!)),
  });
  const byPreference = (run: DpoRecord): MeasuredModel[] =>
    conditionsOf(run)
      .filter((condition) => condition !== "sft")
      .map((condition) => model(run.model, setsSeen(run), { name: DPO_NAMES[condition], runs: runsOf(run, condition) }));
  const byReward = (run: GrpoRecord): MeasuredModel[] =>
    rewardsOf(run).map((reward) => model(run.model, testsSeen(run), named(run, reward)));
  return [...(dpo === null ? [] : byPreference(dpo)), ...(grpo === null ? [] : byReward(grpo))];
}

/** One a cell of the grid that is done. */
export function distilledModels(run: DistillationRecord): MeasuredModel[] {
  return run.cells.flatMap(({ teacher, student, condition }) => {
    const cell = doneCell(run, teacher, student, condition);
    if (cell === null) return [];
    const name = `${student} distilled from ${teacher}, ${CONDITION_NAMES[condition]}`;
    return [{ name, group: "distilled here", sets: run.testSets, runs: run.testSets.map((set) => cell.said(set)) }];
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
  return { name: `${baseline.model}, ${baseline.form}`, group: "measured here", sets, runs };
}
