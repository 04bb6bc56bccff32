/**
 * A model that was not trained here as a classifier: any engine, asked in a zero-shot form or in a guard model's own. Predictions, scores,
 * intervals and latency in a folder like that of an evaluation; a second run goes on with it. Answers are kept as they were written
 * (`answers/`), so that nothing is paid for twice.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import { cachedEngine } from "../engines/cache.js";
import type { EngineCounts } from "../engines/counts.js";
import type { Engine } from "../engines/engine.js";
import { timeRequests, type RequestLatency } from "../evaluate/latency.js";
import { readPredictions, type Prediction } from "../evaluate/predictions.js";
import { reportMean, reportSet, type MeanReport, type SetReport } from "../evaluate/set-report.js";
import { lockFolder } from "../folder-lock.js";
import { writeFileAtomic } from "../model/weights/atomic-file.js";
import type { BaselineForm } from "../prompts/baseline-form.js";
import { withoutControlTokens } from "../prompts/untrusted.js";
import { answerKind, askAll, askSet, BaselineError, requestFor, type AnswerKind, type FailedRequest } from "./baseline-set.js";
import { describeEnvironment } from "./environment.js";
import { compareIntents } from "./evaluation.js";
import { ENVIRONMENT, pinData } from "./pinned-data.js";
import { say, showWork } from "./progress.js";
import { claimFolder, clearFolder, predictionFile, readJson, removeTemporaries, writeJson } from "./run-folder.js";
import type { NamedSet } from "./sets.js";

export interface BaselineSummary {
  readonly kind: "baseline";
  /** The engine's name for people. */
  readonly model: string;
  readonly form: string;
  readonly answers: AnswerKind;
  readonly engine: Engine["identity"];
  readonly environment: Readonly<Record<string, unknown>>;
  /** sha256 of each set's rows. */
  readonly data: Readonly<Record<string, string>>;
  readonly sets: Readonly<Record<string, SetReport>>;
  readonly mean: MeanReport;
  /** Single requests; null if they were not asked for. */
  readonly latency: RequestLatency | null;
  /** Of this process alone. */
  readonly counts: EngineCounts;
  /** Prompts without an answer, by set; they count as unparsed. */
  readonly failures: Readonly<Record<string, readonly FailedRequest[]>>;
  readonly notes: readonly string[];
}

/**
 * Asks an engine about every prompt of the sets, into the folder `out`, or goes on with what is there: no prompt is asked about twice, save
 * those whose requests failed in passing. The engine stays the caller's.
 * @throws BaselineError if the engine cannot be asked in this form, or answers nothing; FolderLockedError; RunFolderError naming the field in
 * which the folder is of another baseline, or a set whose rows changed; what the engine throws
 */
export async function runBaseline(
  engine: Engine,
  form: BaselineForm,
  sets: readonly NamedSet[],
  out: string,
  options: { readonly latency?: boolean; readonly fresh?: boolean; readonly signal?: AbortSignal } = {},
): Promise<BaselineSummary> {
  const { latency = false, fresh = false, signal } = options;
  if (form.spellsControlTokens === true && engine.identity["engine"] !== "server")
    throw new BaselineError(
      `${form.name} is asked in raw text with control tokens, which only a server reads as such: use an OpenAI-compatible server, not ${engine.name}`,
    );
  const unlock = lockFolder(out);
  try {
    if (fresh) clearFolder(out, ["answers", FAILURES]);
    const answers = answerKind(engine, form);
    const identity = engine.identity;
    const config = { kind: "baseline", model: engine.name, engine: identity, form: form.name, answers, question: question(form) };
    if (claimFolder(out, config)) say(`${out}: going on with what is there`);
    removeTemporaries(join(out, "predictions"));
    const pinned = pinData(out, sets);
    const environment = { ...describeEnvironment(null), ...pinned };
    writeJson(join(out, ENVIRONMENT), environment);

    const failures = readFailures(out);
    const { predictions, counts } = await askSets(engine, form, sets, out, failures, signal);
    const said = sets.map((set, i) => ({ ...set, predictions: predictions[i] }));
    const { intents, notes } = await compareIntents(said, signal);
    const summary: BaselineSummary = {
      kind: "baseline",
      model: engine.name,
      form: form.name,
      answers,
      engine: identity,
      environment,
      data: Object.fromEntries(sets.map(({ name }) => [name, pinned.data[name]])),
      sets: Object.fromEntries(said.map(({ name, rows, predictions }, i) => [name, reportSet(rows, predictions, intents[i])])),
      mean: reportMean(said),
      latency: latency ? await measureEngine(engine, form, sets, signal) : null,
      counts,
      failures: Object.fromEntries(sets.flatMap(({ name }) => (failures.has(name) ? [[name, failures.get(name)!]] : []))),
      notes: [...notes, ...notesOn(sets, predictions, failures, answers)],
    };
    writeJson(join(out, "summary.json"), summary);
    return summary;
  } finally {
    unlock();
  }
}

/** Another wording is another baseline. */
function question(form: BaselineForm): string {
  const { input, schema = null, choice, maxNewTokens } = form;
  const asked = [input("a\n{b}"), schema, choice === undefined ? null : [choice.input("a\n{b}"), choice.words], maxNewTokens];
  return createHash("sha256").update(JSON.stringify(asked)).digest("hex");
}

async function askSets(
  engine: Engine,
  form: BaselineForm,
  sets: readonly NamedSet[],
  out: string,
  failures: Map<string, readonly FailedRequest[]>,
  signal?: AbortSignal,
): Promise<{ predictions: Prediction[][]; counts: EngineCounts }> {
  // The engine is closed by whoever opened it.
  const cache = cachedEngine({ ...engine, close: () => Promise.resolve() }, join(out, "answers"));
  try {
    const predictions: Prediction[][] = [];
    let warm = false;
    for (const { name, rows } of sets) {
      const file = predictionFile(out, name);
      const known = forgetFailures(file, failures.get(name) ?? []);
      if (!warm && known < rows.length) {
        await warmUp(engine, form, rows[0].prompt, signal);
        warm = true;
      }
      const started = performance.now();
      const progress = showWork(`${form.name}: ${name}`, rows.length, known);
      try {
        const asked = await askSet(answerKind(engine, form) === "choice" ? engine : cache, form, rows, file, {
          ...(signal && { signal }),
          onFailures: (failed, asked) => {
            const lasting = (failures.get(name) ?? []).filter(({ id }) => !asked.has(id));
            failures.set(name, [...lasting, ...failed]);
            if (failures.get(name)!.length === 0) failures.delete(name);
            writeJson(join(out, FAILURES), Object.fromEntries(failures));
          },
          onProgress: (done) =>
            progress.update(done, `${((performance.now() - started) / (done - known)).toFixed(0)} ms a prompt`),
        });
        predictions.push(asked);
      } finally {
        progress.stop();
      }
    }
    return { predictions, counts: cache.counts() };
  } finally {
    await cache.close();
  }
}

/** Loads the model, so that its loading does not count as the first prompt's time. What goes wrong here goes wrong again soon. */
async function warmUp(engine: Engine, form: BaselineForm, prompt: string, signal?: AbortSignal): Promise<void> {
  if (answerKind(engine, form) === "choice") return;
  const request = { ...requestFor(engine, form, prompt), maxNewTokens: 1 };
  const outcomes = engine.complete([request], signal === undefined ? {} : { signal });
  while (!((await outcomes.next()).done ?? false));
}

const FAILURES = "failures.json";
const failuresSchema = z.record(
  z.string(),
  z.array(z.strictObject({ id: z.string(), reason: z.string(), retryable: z.boolean() })),
);

/** Requests of an earlier run that failed, by set. @throws DataFormatError for a damaged file */
export function readFailures(out: string): Map<string, readonly FailedRequest[]> {
  const file = join(out, FAILURES);
  return new Map(existsSync(file) ? Object.entries(checkRow(failuresSchema, readJson(file), file, 0)) : []);
}

/** Takes out of a file of predictions the unparsed ones of requests that may be asked again. Returns how many are left. */
function forgetFailures(file: string, failed: readonly FailedRequest[]): number {
  if (!existsSync(file)) return 0;
  const again = new Set(failed.filter(({ retryable }) => retryable).map(({ id }) => id));
  let before: Prediction[];
  try {
    before = readPredictions(file);
  } catch {
    // Cut off, or not ours: whoever opens it for writing sees to that.
    return 0;
  }
  const kept = before.filter(({ id }) => !again.has(id));
  if (kept.length < before.length) {
    const lines = kept.map((prediction) => `${JSON.stringify(prediction)}\n`).join("");
    writeFileAtomic(file, (append) => append(Buffer.from(lines)));
  }
  return kept.length;
}

function measureEngine(
  engine: Engine,
  form: BaselineForm,
  sets: readonly NamedSet[],
  signal?: AbortSignal,
): Promise<RequestLatency | null> {
  const request = async (prompt: string): Promise<number> => {
    let tokens = 0;
    for await (const outcome of askAll(engine, form, [prompt], signal)) {
      if (outcome.kind === "failed")
        throw new BaselineError(`${engine.name} failed while it was timed: ${outcome.failure.reason}`);
      tokens += outcome.said.newTokens;
    }
    return tokens;
  };
  return timeRequests(
    sets.flatMap(({ rows }) => rows),
    request,
    signal === undefined ? {} : { signal },
  );
}

function notesOn(
  sets: readonly NamedSet[],
  predictions: readonly (readonly Prediction[])[],
  failures: ReadonlyMap<string, readonly FailedRequest[]>,
  answers: AnswerKind,
): string[] {
  const notes: string[] = [];
  for (const { name } of sets) {
    const failed = failures.get(name) ?? [];
    const again = failed.filter(({ retryable }) => retryable).length;
    if (failed.length > 0)
      notes.push(
        `${name}: ${failed.length} requests failed and count as unparsed (${failed[0].reason})` +
          (again > 0 ? `; the same command asks ${again} of them again` : ""),
      );
  }
  const escaped = sets.flatMap(({ rows }) => rows).filter(({ prompt }) => withoutControlTokens(prompt) !== prompt).length;
  if (escaped > 0)
    notes.push(`${escaped} prompts spell control tokens of a model and were asked about with a space inside of them`);
  const untimed = predictions.flat().filter(({ milliseconds }) => milliseconds === 0).length;
  if (untimed > 0)
    notes.push(
      `${untimed} prompts have no time of their own, because they failed or their answers were there before; they do not count in it`,
    );
  const said = predictions.flat().filter(({ harm }) => harm !== "unparsed");
  if (answers !== "choice" && said.length > 0 && said.every(({ newTokens }) => newTokens === 0))
    notes.push("the server does not count tokens: 0 stands for what is not known");
  return notes;
}
