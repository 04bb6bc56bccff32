/** One set through one engine in one form: predictions go to disk as they come, and what is there already is not asked again. */
import type { LabelledPrompt } from "../data/prompt.js";
import type { CompletionRequest, Engine, Failure } from "../engines/engine.js";
import { canScore, type ScoringEngine } from "../engines/scoring.js";
import { checkPrevious } from "../evaluate/evaluate-set.js";
import { openPredictions, type Prediction } from "../evaluate/predictions.js";
import type { BaselineForm } from "../prompts/baseline-form.js";

/** What became of a prompt: a prediction, or no answer. */
export type Outcome =
  | {
      readonly index: number;
      readonly kind: "said";
      readonly said: Omit<Prediction, "id" | "gold" | "milliseconds">;
      /** Its share of the time of those that were computed with it; 0 for an answer from before; null: since the last outcome. */
      readonly milliseconds: number | null;
    }
  | { readonly index: number; readonly kind: "failed"; readonly failure: Failure };

/** A prompt without an answer. It counts as unparsed. */
export interface FailedRequest {
  readonly id: string;
  readonly reason: string;
  /** Whether the same command asks again. */
  readonly retryable: boolean;
}

/** How an engine is kept to a verdict: it chooses between two words, writes what a schema allows, or writes what it likes. */
export type AnswerKind = "choice" | "schema" | "free";

export function answerKind(engine: Engine, form: BaselineForm): AnswerKind {
  if (form.choice !== undefined && canScore(engine)) return "choice";
  return form.schema !== undefined && engine.canConstrain ? "schema" : "free";
}

/** Greedy, one sample. */
export function requestFor(engine: Engine, form: BaselineForm, prompt: string): CompletionRequest {
  return {
    input: form.input(prompt),
    maxNewTokens: form.maxNewTokens,
    temperature: 0,
    topP: 1,
    samples: 1,
    seed: 0,
    ...(answerKind(engine, form) === "schema" && form.schema !== undefined && { schema: form.schema }),
  };
}

/** Exactly one outcome a prompt, in any order. */
export async function* askAll(
  engine: Engine,
  form: BaselineForm,
  prompts: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<Outcome> {
  const options = signal === undefined ? {} : { signal };
  if (form.choice !== undefined && canScore(engine)) {
    yield* chooseAll(engine, form.choice, prompts, options);
    return;
  }
  const pending = new Set(prompts.keys());
  const requests = prompts.map((prompt) => requestFor(engine, form, prompt));
  for await (const { index, result, cached = false } of engine.complete(requests, options)) {
    pending.delete(index);
    if (result.kind === "failure") yield { index, kind: "failed", failure: result };
    else {
      const { harm, intent } = form.parse(result.text);
      // Servers may count nothing; the summary says so.
      const said = { harm, intent, harmfulProbability: null, newTokens: result.completionTokens ?? 0 };
      yield { index, kind: "said", said, milliseconds: cached ? 0 : null };
    }
  }
  for (const index of pending)
    yield { index, kind: "failed", failure: { kind: "failure", reason: "the engine gave no answer", retryable: true } };
}

async function* chooseAll(
  engine: ScoringEngine,
  { input, words }: NonNullable<BaselineForm["choice"]>,
  prompts: readonly string[],
  options: { readonly signal?: AbortSignal },
): AsyncGenerator<Outcome> {
  const inputs = prompts.map(input);
  for await (const { index, result } of engine.prefer(inputs, [words.harmful, words.safe], options)) {
    if (result.kind === "failure") yield { index, kind: "failed", failure: result };
    else {
      const harm = result.probability >= 0.5 ? "harmful" : "safe";
      // One pass over the prompt: nothing is generated.
      const said = { harm, intent: null, harmfulProbability: result.probability, newTokens: 0 } as const;
      yield { index, kind: "said", said, milliseconds: result.milliseconds };
    }
  }
}

/** Share of a set's requests that may fail in passing and count as unparsed until they are asked again; with more there are no scores. */
const MOST_FAILED = 0.05;

/** An engine that cannot be asked, or that leaves too much without an answer. What was answered before is kept. */
export class BaselineError extends Error {
  override readonly name = "BaselineError";
}

/**
 * Asks about the rows that `file` has no prediction for. A row whose request failed gets none until all others are done; then it is unparsed,
 * and `onFailures` has been told of it before, with all that were asked about now.
 * @returns one prediction a row, in the set's order
 * @throws BaselineError; PredictionMismatchError or DataFormatError for a file that is not of the set; what the engine throws
 */
export async function askSet(
  engine: Engine,
  form: BaselineForm,
  rows: readonly LabelledPrompt[],
  file: string,
  options: {
    readonly signal?: AbortSignal;
    readonly onFailures: (failed: readonly FailedRequest[], asked: ReadonlySet<string>) => void;
    readonly onProgress?: (done: number) => void;
  },
): Promise<Prediction[]> {
  const writer = openPredictions(file);
  try {
    checkPrevious(writer.previous, rows, file);
    const byId = new Map(writer.previous.map((prediction) => [prediction.id, prediction]));
    const left = rows.filter(({ id }) => !byId.has(id));
    const failed: FailedRequest[] = [];
    let before = performance.now();
    const write = (row: LabelledPrompt, said: Omit<Prediction, "id" | "gold" | "milliseconds">, known: number | null): void => {
      const now = performance.now();
      const prediction = { id: row.id, gold: row.harm, ...said, milliseconds: known ?? now - before };
      before = now;
      writer.append(prediction);
      byId.set(row.id, prediction);
      options.onProgress?.(byId.size);
    };
    const prompts = left.map(({ prompt }) => prompt);
    for await (const outcome of askAll(engine, form, prompts, options.signal)) {
      const row = left[outcome.index];
      if (outcome.kind === "said") write(row, outcome.said, outcome.milliseconds);
      else {
        const { reason, retryable, hopeless } = outcome.failure;
        if (hopeless === true) throw new BaselineError(`${engine.name}: ${reason}; what was answered is kept`);
        failed.push({ id: row.id, reason, retryable });
      }
    }
    if (failed.length > 0 && failed.length === rows.length)
      throw new BaselineError(`${engine.name} answered none of ${rows.length} requests: ${failed[0].reason}`);
    options.onFailures(failed, new Set(left.map(({ id }) => id)));
    const again = failed.filter(({ retryable }) => retryable);
    if (again.length > MOST_FAILED * rows.length)
      throw new BaselineError(
        `${engine.name}: ${again.length} of ${rows.length} requests failed (${again[0].reason}); what was answered is kept, the same command asks for the rest`,
      );
    const unparsed = { harm: "unparsed", intent: null, harmfulProbability: null, newTokens: 0 } as const;
    const byRow = new Map(rows.map((row) => [row.id, row]));
    for (const { id } of failed) write(byRow.get(id)!, unparsed, 0);
    return rows.map(({ id }) => byId.get(id)!);
  } finally {
    writer.close();
  }
}
