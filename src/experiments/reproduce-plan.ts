/** The plan of a reproduction: which stages are done, begun or left, and how long what is left will take. */
import { markdownTable, printable } from "../evaluate/table.js";
import { duration } from "./plan.js";

/** A piece of a stage that takes its time by itself: a training with its evaluation, the mining of pairs. */
export interface Part {
  /** Parts of one kind take about as long as each other. */
  readonly kind: string;
  readonly done: boolean;
  /** What it took, if it is done and that is known. */
  readonly seconds: number | null;
  /** What it takes on two quiet cores; null where nobody has measured it. */
  readonly expected: number | null;
}

export type StageState = "done" | "part" | "left" | "failed" | "left out";

/** A stage as the plan shows it. */
export interface PlannedStage {
  readonly name: string;
  readonly what: string;
  readonly state: StageState;
  /** Why it failed or is left out, or what stands in its way; null where there is nothing to say. */
  readonly reason: string | null;
  readonly parts: readonly Part[];
}

/**
 * What a part takes on this machine: the mean of the parts of its kind that are done; else what is expected, as many times slower or faster
 * as the parts done were. Null where neither is known.
 */
export function secondsOf({ kind, expected }: Part, plan: readonly PlannedStage[]): number | null {
  const known = plan.flatMap(({ parts }) => parts).filter((part) => part.done && part.seconds !== null);
  const sum = (parts: readonly Part[], of: "seconds" | "expected"): number =>
    parts.reduce((total, part) => total + (part[of] ?? 0), 0);
  const alike = known.filter((part) => part.kind === kind);
  if (alike.length > 0) return sum(alike, "seconds") / alike.length;
  const both = known.filter((part) => part.expected !== null && part.expected > 0);
  const pace = both.length === 0 ? 1 : sum(both, "seconds") / sum(both, "expected");
  return expected === null ? null : expected * pace;
}

/** What the parts that are left of stages that can be run will take, and of how many parts nobody can tell yet. */
export function timeLeft(plan: readonly PlannedStage[]): { readonly seconds: number; readonly unknown: number } {
  const left = plan.filter(({ state }) => state === "part" || state === "left").flatMap(({ parts }) => parts);
  const times = left.filter(({ done }) => !done).map((part) => secondsOf(part, plan));
  return {
    seconds: times.reduce<number>((total, seconds) => total + (seconds ?? 0), 0),
    unknown: times.filter((seconds) => seconds === null).length,
  };
}

/** "2 of 6 stages done, 1 failed; about 33 min left" */
export function planLine(plan: readonly PlannedStage[]): string {
  const count = (state: StageState): number => plan.filter((stage) => stage.state === state).length;
  const states = [`${count("done")} of ${plan.length} stages done`];
  for (const state of ["failed", "left out"] as const) if (count(state) > 0) states.push(`${count(state)} ${state}`);
  const { seconds, unknown } = timeLeft(plan);
  const times = seconds > 0 ? [`about ${duration(seconds)} left`] : [];
  if (unknown > 0) times.push(`${unknown} part${unknown === 1 ? "" : "s"} whose time nobody has measured`);
  return times.length === 0 ? states.join(", ") : `${states.join(", ")}; ${times.join(" and ")}`;
}

/** The plan as a table, a line a stage, what there is to say of them, then {@link planLine}. */
export function planText(plan: readonly PlannedStage[]): string {
  const lines = plan.map((stage) => [stage.name, stage.what, stateText(stage), timeText(stage, plan)]);
  const reasons = plan.flatMap(({ name, reason }) => (reason === null ? [] : [`${name}: ${printable(reason)}`]));
  return [markdownTable(["stage", "what", "state", "time"], lines, [0, 1, 2]), ...reasons, planLine(plan)].join("\n\n");
}

function stateText({ state, parts }: PlannedStage): string {
  const done = parts.filter((part) => part.done).length;
  return state === "part" && parts.length > 1 ? `${done} of ${parts.length} done` : state === "part" ? "begun" : state;
}

/** What it took where it is done, "~" what is left of it where it is not. */
function timeText({ state, parts }: PlannedStage, plan: readonly PlannedStage[]): string {
  if (state === "failed" || state === "left out") return "";
  if (state === "done") {
    const known = parts.flatMap(({ seconds }) => (seconds === null ? [] : [seconds]));
    return known.length < parts.length ? "" : duration(known.reduce((total, seconds) => total + seconds, 0));
  }
  const times = parts.filter(({ done }) => !done).map((part) => secondsOf(part, plan));
  return times.includes(null) ? "?" : `~ ${duration(times.reduce<number>((total, seconds) => total + seconds!, 0))}`;
}
