/**
 * Ablations of the training data (paper section 1.4): whether it matters who labelled the prompts, how many there are, and whether a broader
 * set is mixed in. Every arm is an SFT experiment on other rows, with the same recipe, tests and seeds.
 *
 * Differs from the paper here: the student learns by SFT, not from a teacher's reasoning; draws keep the shares of theme and label; prompts of
 * the validation and test sets are kept out of what is added.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { markdownTable } from "../evaluate/table.js";
import { ARMS, armsOf, chosenAblations, type Arm, type Arms } from "./ablations-arms.js";
import { armConfig, checkAblationsConfig, type AblationsConfig } from "./ablations-config.js";
import { LABELS } from "./ablations-labels.js";
import {
  armEffects,
  summariseAblations,
  summariseArm,
  type AblationsSummary,
  type ArmDone,
  type ArmEffect,
} from "./ablations-summary.js";
import { describeEnvironment } from "./environment.js";
import { openFolder } from "./experiment.js";
import { ENVIRONMENT, pinData } from "./pinned-data.js";
import { isDue, markPartDone, markPartFailed, partState, stateCells, summaryLine, type PlannedPart } from "./plan.js";
import { say } from "./progress.js";
import { writeJson } from "./run-folder.js";
import { runSft } from "./sft.js";

export interface AblationsOptions {
  /** Removes what an earlier run left: the arms that are asked for, or with all of them everything. */
  readonly fresh?: boolean;
  /** Run these alone: "source", "scale", "mix". Default: all. */
  readonly only?: readonly string[];
  readonly signal?: AbortSignal;
}

interface PlannedArm extends PlannedPart {
  readonly arm: Arm;
  /** Seconds of its training and of its evaluation, once it is done. */
  parts: { readonly training: number; readonly evaluation: number } | null;
}

const WORDS = { parts: "arms", unknown: "not measured yet" };
const runSchema = z.looseObject({
  seed: z.number(),
  training: z.looseObject({ seconds: z.number() }),
  evaluationSeconds: z.number(),
});
const doneSchema = z.looseObject({ seconds: z.number(), allRuns: z.array(runSchema) });

/**
 * Runs the arms in the folder `out`, or goes on with them there: what is trained or predicted is not done again. An arm that fails is noted
 * with its reason and does not stop the others; the next run tries it again.
 * @throws ConfigError; FolderLockedError; RunFolderError if the folder is of another config or data; DataUnavailableError if the annotated or
 * validation rows are not at hand; the signal's reason.
 */
export async function runAblations(
  config: AblationsConfig,
  out: string,
  { fresh = false, only = [], signal }: AblationsOptions = {},
): Promise<AblationsSummary> {
  const wanted = chosenAblations(only);
  const made = await armsOf(config, out);
  for (const { set, reason } of made.leftOut) say(`${set} is left out: ${reason}`);
  const folder = openFolder(config, out, checkAblationsConfig, made.sets, [ARMS, LABELS], {
    fresh: fresh && only.length === 0,
    ...(signal && { signal }),
  });
  try {
    if (fresh)
      for (const arm of made.arms.filter((one) => isWanted(one, wanted)))
        rmSync(join(out, ARMS, arm.name), { recursive: true, force: true });
    writeJson(join(out, ENVIRONMENT), { ...describeEnvironment(null), ...pinData(out, made.sets) });
    const plan = readPlan(config, made, out, wanted);
    say(planText(plan));
    const done = new Map<string, ArmDone>();
    let effects: ArmEffect[] = [];
    const summarise = (): AblationsSummary => {
      effects = armEffects(out, inPlan(plan, done), made.tests, effects);
      const arms = plan.map(({ arm, state, reason }) =>
        summariseArm(arm, { state, reason }, done.get(arm.name) ?? null, made.tests),
      );
      const summary = summariseAblations(config, arms, effects, made.tests, made.leftOut);
      writeJson(join(out, "summary.json"), summary);
      return summary;
    };
    const run = async (part: PlannedArm): Promise<void> => {
      const { arm } = part;
      const place = join(out, ARMS, arm.name);
      try {
        const { rows, labels } = await arm.load(signal);
        const { modes, epochs } = arm;
        const train = { name: arm.name, rows };
        const summary = await runSft(armConfig(config, { trainSet: arm.name, modes, epochs }), place, {
          train,
          ...(signal && { signal }),
        });
        markPartDone(part, place, summary.seconds);
        part.parts = partsOf(summary);
        const harmful = rows.filter(({ harm }) => harm === "harmful").length;
        done.set(arm.name, { rows: { train: rows.length, harmful }, labels, summary });
      } catch (error) {
        if (signal?.aborted) throw error;
        markPartFailed(part, place, error instanceof Error ? error.message : String(error));
        say(`${arm.name}: failed: ${part.reason}`);
      }
    };
    // What was done in an earlier run is only read, and before anything else: a summary that is written on the way has it too.
    for (const part of plan.filter(({ state }) => state === "done")) await run(part);
    for (const part of plan.filter(isDue)) {
      part.state = "running";
      say(`\n${part.arm.name} (${part.arm.what}): begins; ${planLine(plan)}`);
      await run(part);
      summarise();
    }
    say(`\n${planText(plan)}`);
    return summarise();
  } finally {
    folder.close();
  }
}

/** Where the arms stand, what is left, and which cannot be had, without running anything. */
export async function showAblationsPlan(config: AblationsConfig, out: string, only: readonly string[] = []): Promise<string> {
  const wanted = chosenAblations(only);
  const made = await armsOf(config, out);
  const missing = made.leftOut.map(({ set, reason }) => `left out: ${set}: ${reason}`);
  return [planText(readPlan(config, made, out, wanted)), ...missing].join("\n\n");
}

/** The arms that are done, in the plan's order. */
function inPlan(plan: readonly PlannedArm[], done: ReadonlyMap<string, ArmDone>): Map<string, ArmDone> {
  return new Map(plan.flatMap(({ arm }) => (done.has(arm.name) ? [[arm.name, done.get(arm.name)!] as const] : [])));
}

function isWanted({ ablations }: Arm, wanted: readonly string[]): boolean {
  return ablations.some((ablation) => wanted.includes(ablation));
}

function readPlan({ seeds }: AblationsConfig, { arms }: Arms, out: string, wanted: readonly string[]): PlannedArm[] {
  return arms.map((arm): PlannedArm => {
    const { summary, ...standing } = partState(join(out, ARMS, arm.name), doneSchema, seeds, ({ allRuns }) => allRuns);
    return { arm, chosen: isWanted(arm, wanted), ...standing, parts: summary && partsOf(summary) };
  });
}

interface TimedRun {
  readonly training: { readonly seconds: number };
  readonly evaluationSeconds: number;
}

function partsOf({ allRuns }: { readonly allRuns: readonly TimedRun[] }): PlannedArm["parts"] {
  return {
    training: allRuns.reduce((sum, { training }) => sum + training.seconds, 0),
    evaluation: allRuns.reduce((sum, { evaluationSeconds }) => sum + evaluationSeconds, 0),
  };
}

/** By what training on a row and evaluating took in the arms that are done. */
function estimateBy(plan: readonly PlannedArm[]): (part: PlannedArm) => number | null {
  const work = ({ count, epochs, modes }: Arm): number => count * epochs * modes.length;
  const known = plan.filter(({ parts }) => parts !== null);
  if (known.length === 0) return () => null;
  const total = (of: (part: PlannedArm) => number): number => known.reduce((sum, part) => sum + of(part), 0);
  const perRow = total(({ parts }) => parts!.training) / total(({ arm }) => work(arm));
  const perMode = total(({ parts }) => parts!.evaluation) / total(({ arm }) => arm.modes.length);
  return ({ arm }) => perRow * work(arm) + perMode * arm.modes.length;
}

function planLine(plan: readonly PlannedArm[]): string {
  return summaryLine(plan, WORDS, estimateBy(plan));
}

function planText(plan: readonly PlannedArm[]): string {
  const estimate = estimateBy(plan);
  const lines = plan.map((part) => {
    const { name, ablations, count, epochs, modes } = part.arm;
    return [name, ablations.join(", "), String(count), String(epochs), modes.join(", "), ...stateCells(part, estimate)];
  });
  return `${markdownTable(["arm", "ablation", "rows", "epochs", "modes", "state", "time"], lines, [0, 1, 4, 5])}\n\n${planLine(plan)}`;
}
