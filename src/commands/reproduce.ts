import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { defineCommand } from "citty";
import { UsageError } from "../cli/arguments.js";
import { interruptSignal } from "../cli/interrupt.js";
import { closest } from "../closest.js";
import { getOpenSets } from "../data/sets.js";
import { printable } from "../evaluate/table.js";
import { reproductionNeeds } from "../experiments/reproduce-needs.js";
import { openStages, reproduction, runFolders, STAGES, type Preset, type StageName } from "../experiments/reproduce-stages.js";
import { planText } from "../experiments/reproduce-plan.js";
import { resultsTable, type ResultFolders } from "../experiments/reproduce-table.js";
import { MissingInputError, planOf, runStages, type Stage, type StageResult } from "../experiments/reproduce.js";
import { asUsage, presetOf, RUNS } from "./run-shared.js";

const PRESETS: Readonly<Record<Preset, Preset>> = { smoke: "smoke", small: "small", paper: "paper" };

export const reproduceFlags = {
  fresh: { type: "boolean", default: false, description: "Remove what is there and begin anew" },
  plan: {
    type: "boolean",
    default: false,
    description: "Show what is done, what is left and how long it takes, and run nothing",
  },
} as const;

export default defineCommand({
  meta: {
    name: "reproduce",
    description: "Run all experiments at a size, one after the other, and show their results in one table",
  },
  args: {
    preset: {
      type: "string",
      default: "small",
      description: "smoke (a minute or two), small (about 50 minutes on two cores) or paper (GPUs)",
    },
    only: { type: "string", description: `Some stages alone: ${STAGES.join(",")}`, valueHint: "STAGE,…" },
    seeds: { type: "string", description: "Of every experiment, such as 22,42,123 (default: the preset's)", valueHint: "N,…" },
    ...reproduceFlags,
    out: { type: "string", description: "Folder of the run folders (default: results/runs)", valueHint: "DIR" },
  },
  async run({ args }) {
    const preset = presetOf(PRESETS, args.preset);
    await reproduce({ ...args, preset, only: args.only === undefined ? null : stageNames(args.only), out: args.out ?? RUNS });
  },
});

export interface ReproduceRequest {
  readonly preset: Preset;
  /** Null: all stages, and one that has to be left out is no failure. */
  readonly only: readonly StageName[] | null;
  readonly seeds?: string | undefined;
  readonly fresh: boolean;
  readonly plan: boolean;
  readonly out: string;
  /** Stages after the experiments. */
  readonly more?: readonly Stage[];
}

/** Stages failed, or were asked for by name and left out; `--verbose` shows what they threw. */
export class StagesFailedError extends AggregateError {
  override readonly name = "StagesFailedError";
}

/**
 * Shows the plan, runs it under Ctrl-C, prints the table of results and where they are.
 * @throws StagesFailedError once everything else is done; UsageError for seeds that are none; the signal's reason
 */
export async function reproduce({ preset, only, seeds, fresh, plan, out, more = [] }: ReproduceRequest): Promise<void> {
  const what = asUsage(() => reproduction(preset, seeds));
  const root = resolve(out);
  const signal = interruptSignal();
  const { sft, dpo, distillation, grpo } = what;
  if (!plan)
    await getOpenSets(
      [sft, dpo, distillation, grpo].flatMap(({ selectionSets, testSets }) => [...selectionSets, ...testSets]),
      { signal },
    );
  if (preset === "paper") console.log(`${await reproductionNeeds(what)}\n`);
  const stages = [...(await openStages(what, preset, root, only ?? STAGES, root === RUNS ? null : out)), ...more];
  const now = planOf(stages, new Map(), fresh);
  if (plan) {
    console.log(planText(now));
    return;
  }
  if (now.every(({ state }) => state === "left out"))
    throw new MissingInputError(
      `nothing can be run. ${now.map(({ name, reason }) => `${name}: ${printable(reason ?? "")}`).join("\n")}`,
    );
  let results: readonly StageResult[];
  try {
    results = await runStages(stages, { fresh, signal });
  } catch (error) {
    if (signal.aborted)
      process.stderr.write("Stopped; what is done is kept. The same command goes on from there (without --fresh).\n");
    throw error;
  }
  const folders = runFolders(root, preset);
  const drawn = tableOf(folders);
  console.log(`\n${typeof drawn === "string" ? drawn : "The table of results cannot be drawn, see below."}\n`);
  const shown = Object.values(folders).filter((folder) => existsSync(join(folder, "summary.json")));
  if (shown.length > 0)
    console.log(
      `Predictions, logs and adapters: ${shown.map((folder) => printable(relative(process.cwd(), folder))).join(", ")}`,
    );
  told([...results, ...(typeof drawn === "string" ? [] : [notDrawn(drawn)])], only !== null);
}

/** The table, or what stands in its way. */
function tableOf(folders: ResultFolders): unknown {
  try {
    return resultsTable(folders);
  } catch (error) {
    return error;
  }
}

function notDrawn(error: unknown): StageResult {
  return { name: "the table", state: "failed", reason: error instanceof Error ? error.message : String(error), error };
}

function told(results: readonly StageResult[], byName: boolean): void {
  const bad = results.filter(({ state }) => state === "failed" || (byName && state === "left out"));
  const words = bad.map(
    ({ name, state, reason }) => `${name} ${state === "failed" ? "failed" : "was left out"}: ${printable(reason ?? "")}`,
  );
  if (bad.length > 0)
    throw new StagesFailedError(
      bad.flatMap(({ error }) => (error === null ? [] : [error])),
      words.join("\n"),
    );
}

function stageNames(text: string): StageName[] {
  return text.split(",").map((part) => {
    const name = STAGES.find((stage) => stage === part.trim());
    if (name !== undefined) return name;
    const similar = closest(part.trim(), STAGES);
    const hint = similar === null ? `there are ${STAGES.join(", ")}` : `did you mean ${similar}?`;
    throw new UsageError(`--only: there is no stage "${printable(part.trim())}"; ${hint}`);
  });
}
