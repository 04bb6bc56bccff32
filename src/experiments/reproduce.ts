/**
 * A reproduction: the experiments one after the other, each in its own run folder, where it goes on with what is there. A stage that fails is
 * told and does not stop those that do not need it; one whose input is not at hand is left out.
 */
import { DataUnavailableError } from "../data/errors.js";
import { planLine, planText, type Part, type PlannedStage } from "./reproduce-plan.js";
import { duration } from "./plan.js";
import { say } from "./progress.js";

/** Something that a stage needs is not on this machine, and the others can do without it. */
export class MissingInputError extends Error {
  override readonly name = "MissingInputError";
}

export interface StageOptions {
  readonly fresh: boolean;
  readonly signal?: AbortSignal;
}

/** Where a stage stands. */
export interface StageLook {
  readonly parts: readonly Part[];
  /** Its results are whole. */
  readonly finished: boolean;
  readonly begun: boolean;
  /** What it needs and what is not there; it cannot be run. */
  readonly missing: string | null;
  /** What will stop it, though it can be tried. */
  readonly warning: string | null;
}

export interface Stage {
  readonly name: string;
  /** What it does, in a few words. */
  readonly what: string;
  /** Stages that have to be done before it, where they are asked for too. */
  readonly after: readonly string[];
  readonly look: () => StageLook;
  /** @throws MissingInputError or DataUnavailableError: the stage is left out */
  readonly run: (options: StageOptions) => Promise<void>;
}

export interface StageResult {
  readonly name: string;
  readonly state: "done" | "failed" | "left out";
  /** Null if it is done. */
  readonly reason: string | null;
  /** What a failed stage threw. */
  readonly error: unknown;
}

/**
 * Runs the stages in their order. Shows the plan before them and at the end, and a line of it before each.
 * @param fresh begin each anew
 * @throws the signal's reason
 */
export async function runStages(stages: readonly Stage[], { fresh, signal }: StageOptions): Promise<readonly StageResult[]> {
  const results = new Map<string, StageResult>();
  const plan = (): PlannedStage[] => planOf(stages, results, fresh);
  say(`\n${planText(plan())}`);
  for (const stage of stages) {
    signal?.throwIfAborted();
    const missing = inTheWay(stage, [...results.values()]) ?? stage.look().missing;
    if (missing === null) say(`\n${stage.name}: begins (${stage.what}); ${planLine(plan())}\n`);
    const result = missing === null ? await runStage(stage, { fresh, ...(signal && { signal }) }) : leftOut(stage, missing);
    results.set(stage.name, result);
    if (result.reason !== null) say(`\n${stage.name} ${result.state === "failed" ? "failed" : "is left out"}: ${result.reason}`);
  }
  say(`\n${planText(plan())}`);
  return [...results.values()];
}

/** Where the stages stand, without running anything; "left out" are those that cannot be run. */
export function planOf(
  stages: readonly Stage[],
  results: ReadonlyMap<string, StageResult> = new Map(),
  fresh = false,
): PlannedStage[] {
  const plan: PlannedStage[] = [];
  for (const stage of stages) plan.push(planned(stage, results.get(stage.name) ?? null, plan, fresh));
  return plan;
}

async function runStage(stage: Stage, options: StageOptions): Promise<StageResult> {
  const started = performance.now();
  try {
    await stage.run(options);
  } catch (error) {
    options.signal?.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof DataUnavailableError || error instanceof MissingInputError) return leftOut(stage, reason);
    return { name: stage.name, state: "failed", reason, error };
  }
  say(`\n${stage.name}: done, ${duration((performance.now() - started) / 1000)}`);
  return { name: stage.name, state: "done", reason: null, error: null };
}

function leftOut({ name }: Stage, reason: string): StageResult {
  return { name, state: "left out", reason, error: null };
}

/** What cannot be waited for: a stage that this one goes on from failed or is left out. */
function inTheWay({ after }: Stage, others: readonly Pick<PlannedStage, "name" | "state">[]): string | null {
  const needed = others.find(({ name, state }) => after.includes(name) && (state === "failed" || state === "left out"));
  return needed === undefined
    ? null
    : `it goes on from ${needed.name}, which is ${needed.state === "failed" ? "not done" : "left out"}`;
}

function planned(stage: Stage, result: StageResult | null, before: readonly PlannedStage[], fresh: boolean): PlannedStage {
  const { name, what } = stage;
  const { parts, finished, begun, missing, warning } = stage.look();
  if (result !== null) return { name, what, parts, state: result.state, reason: result.reason };
  const reason = inTheWay(stage, before) ?? missing;
  if (reason !== null) return { name, what, parts, state: "left out", reason };
  if (fresh) return { name, what, parts: parts.map((part) => ({ ...part, done: false })), state: "left", reason: null };
  const whole = finished && parts.every(({ done }) => done);
  return { name, what, parts, state: whole ? "done" : begun ? "part" : "left", reason: warning };
}
