/** Asks a teacher to justify every row's label, through any engine, and judges what it wrote. */
import { createHash } from "node:crypto";
import type { LabelledPrompt } from "../data/prompt.js";
import type { Answer, CompletionRequest, Engine, Failure } from "../engines/engine.js";
import { parseTeacher, type Condition } from "../prompts/distillation.js";
import { oneLine } from "../prompts/one-line.js";
import { teacherMessages, teacherStatesIntent, teacherWording, withoutBrackets } from "../prompts/teacher.js";
import { findLeaks } from "./leaks.js";
import { STATUSES, statusOf, type Trace, type TraceCounts, type TraceHeader } from "./trace.js";

export interface TraceOptions {
  readonly conditions: readonly Condition[];
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  readonly maxNewTokens: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A request that has no answer. Asking again asks for it alone, where the engine has a cache. */
export interface TraceFailure {
  readonly id: string;
  readonly condition: Condition;
  readonly reason: string;
  readonly retryable: boolean;
}

export interface MadeTraces {
  /** Condition by condition, each in the rows' order. */
  readonly traces: readonly Trace[];
  readonly failures: readonly TraceFailure[];
  /** Rows that human_intent could not be asked about. */
  readonly withoutIntent: number;
}

/**
 * One question a row and condition. The same engine, rows and options give the same traces, in whatever order answers come.
 * @param model the teacher's name, as it stands in the traces
 * @throws what the engine throws
 */
export async function makeTraces(
  engine: Engine,
  model: string,
  rows: readonly LabelledPrompt[],
  options: TraceOptions,
): Promise<MadeTraces> {
  const { conditions, signal, onProgress } = options;
  const hasIntent = ({ intent }: LabelledPrompt): boolean => intent !== null && intent.trim() !== "";
  const items = conditions.flatMap((condition) =>
    rows.filter((row) => condition !== "human_intent" || hasIntent(row)).map((row) => ({ row, condition })),
  );
  const requests = items.map(({ row, condition }) => requestFor(row, condition, options));
  const results: (Answer | Failure | undefined)[] = Array.from({ length: items.length });
  let done = 0;
  for await (const { index, result } of engine.complete(requests, signal === undefined ? {} : { signal })) {
    results[index] = result;
    onProgress?.(++done, items.length);
  }
  const teacher = { model, identity: identityHash(engine.identity) };
  const traces: Trace[] = [];
  const failures: TraceFailure[] = [];
  for (const [i, { row, condition }] of items.entries()) {
    const result = results[i] ?? { kind: "failure", reason: "the engine gave no answer", retryable: true };
    if (result.kind === "answer") traces.push(traceOf(row, condition, teacher, result));
    else failures.push({ id: row.id, condition, reason: result.reason, retryable: result.retryable });
  }
  return {
    traces,
    failures,
    withoutIntent: conditions.includes("human_intent") ? rows.filter((row) => !hasIntent(row)).length : 0,
  };
}

function requestFor(row: LabelledPrompt, condition: Condition, options: TraceOptions): CompletionRequest {
  const { temperature, topP, seed, maxNewTokens } = options;
  return { input: { messages: teacherMessages(row, condition) }, temperature, topP, seed, maxNewTokens, samples: 1 };
}

/** An answer read back: reasoning and intent on one line each, with the filter's verdict and what gives it away. */
export function traceOf(row: LabelledPrompt, condition: Condition, teacher: Trace["teacher"], answer: Answer): Trace {
  const { text, finishReason, promptTokens, completionTokens } = answer;
  const { id, prompt, harm, intent } = row;
  const read = parseTeacher(text, teacherStatesIntent(condition));
  const reasoning = withoutBrackets(oneLine(read.reasoning ?? ""));
  const teacherIntent = withoutBrackets(oneLine(read.intent ?? "")) || null;
  const leaks = findLeaks([reasoning, teacherIntent], prompt, condition);
  const judged = { harm, reasoning, statedHarm: read.harm };
  return {
    ...{ id, prompt, harm, intent, condition, teacher, reasoning, teacherIntent, statedHarm: read.harm },
    ...{ status: statusOf(judged), leaks, finishReason, promptTokens, completionTokens },
  };
}

/** Of each condition. */
export function countTraces({ traces, failures }: MadeTraces, conditions: readonly Condition[]): TraceHeader["counts"] {
  return Object.fromEntries(
    conditions.map((condition): [Condition, TraceCounts] => {
      const own = traces.filter((trace) => trace.condition === condition);
      const statuses = Object.fromEntries(
        STATUSES.map((status) => [status, own.filter((trace) => trace.status === status).length]),
      );
      return [
        condition,
        {
          ...(statuses as Record<(typeof STATUSES)[number], number>),
          leaking: own.filter(({ status, leaks }) => status === "kept" && leaks.length > 0).length,
          failed: failures.filter((failure) => failure.condition === condition).length,
        },
      ];
    }),
  );
}

/** What decides a trace beside teacher and row. */
export function parametersOf({
  temperature,
  topP,
  seed,
  maxNewTokens,
}: Omit<TraceOptions, "conditions">): TraceHeader["parameters"] {
  return { temperature, topP, seed, maxNewTokens, promptSha256: sha256(teacherWording()) };
}

/** Where these traces come from. */
export function headerOf(
  made: MadeTraces,
  engine: Engine,
  teacher: string,
  set: { readonly name: string; readonly rows: number; readonly sha256: string },
  options: TraceOptions,
): TraceHeader {
  const { conditions } = options;
  return {
    teacher,
    identity: engine.identity,
    set: set.name,
    dataSha256: set.sha256,
    rows: set.rows,
    conditions,
    parameters: parametersOf(options),
    date: new Date().toISOString(),
    counts: countTraces(made, conditions),
  };
}

function identityHash(identity: Engine["identity"]): string {
  return sha256(JSON.stringify(Object.entries(identity).sort()));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
