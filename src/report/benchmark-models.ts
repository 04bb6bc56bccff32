/** Everything that was measured here, from all kinds of experiments, for the tables beside the paper's. */
import { findBaselines } from "./baseline-runs.js";
import { findEvaluations } from "./benchmark-evaluations.js";
import { findDistillation } from "./distillation-runs.js";
import { findDpo } from "./dpo-runs.js";
import { findRun, type Found } from "./experiment-folder.js";
import { findGrpo } from "./grpo-runs.js";
import { baselineModel, distilledModels, trainedModels, tunedModels, type MeasuredModel } from "./measured-models.js";
import { readExperiment } from "./runs.js";

export interface BenchmarkModels {
  /** Fine-tuned, trained further, only asked. */
  readonly models: readonly MeasuredModel[];
  /** The cells of a distillation grid, which are many. */
  readonly distilled: readonly MeasuredModel[];
  /** Where each kind was found, or how to make it, a line each. */
  readonly origins: string;
}

/** Names of the experiments' folders below `results/runs` and `results/recorded`, or paths. */
export type BenchmarkFolders = Readonly<Record<"sft" | "dpo" | "grpo" | "distillation", string>>;

/**
 * The user's own runs where they are finished, else the recorded ones, else none; and all baselines and evaluations.
 * @throws DataFormatError or RunFolderError if what is there is damaged
 */
export function findBenchmarkModels(names: BenchmarkFolders, results?: string): BenchmarkModels {
  const command = (experiment: string): string => `npx true-intents run ${experiment} --preset small`;
  const sft = findRun(names.sft, command("sft"), readExperiment, results);
  const dpo = findDpo(names.dpo, command("dpo"), results);
  const grpo = findGrpo(names.grpo, command("grpo"), results);
  const grid = findDistillation(names.distillation, command("distillation"), results);
  const baselines = findBaselines(results).map((baseline) => baselineModel(baseline));
  const evaluations = findEvaluations(results);
  const line = (what: string, { origin }: Found<unknown>): string => `${what}: ${origin.split("\n")[0]}`;
  const asked =
    baselines.length + evaluations.length === 0
      ? "none yet; npx true-intents baseline and npx true-intents evaluate make some."
      : `${baselines.length} and ${evaluations.length}.`;
  return {
    models: [
      ...(sft.run === null ? [] : tunedModels(sft.run)),
      ...trainedModels(dpo.run, grpo.run),
      ...baselines,
      ...evaluations,
    ],
    distilled: grid.run === null ? [] : distilledModels(grid.run),
    origins: [
      line("SFT", sft),
      line("DPO", dpo),
      line("GRPO", grpo),
      line("Distillation", grid),
      `Baselines and single evaluations: ${asked}`,
    ].join("\n\n"),
  };
}
