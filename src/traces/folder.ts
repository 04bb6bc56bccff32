/**
 * Where traces lie: `FOLDER/TEACHER/SET.jsonl` with its header beside it, in a run folder as in `data/traces`, where those are kept that the
 * small experiment trains on.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DataUnavailableError } from "../data/errors.js";
import { fileName } from "../file-name.js";
import { readTraceHeader, readTraces, type Trace, type TraceHeader } from "./trace.js";

/** Traces of our own open set by two small teachers, in the repository. */
export const RECORDED_TRACES = fileURLToPath(new URL("../../data/traces", import.meta.url));

/** The model in the name of an engine, fit for a folder: "llama:qwen2.5-coder-1.5b-instruct" -> "qwen2.5-coder-1.5b-instruct". */
export function teacherName(engine: string): string {
  const model = /^https?:/i.test(engine) ? engine.slice(engine.indexOf("#") + 1) : engine.replace(/^\w+:/, "");
  return fileName(model.replace(/[/\\]+$/, "").replace(/^.*[/\\](?=.*\.gguf$)/i, ""));
}

/** @param teacher an engine's or model's name */
export function traceFile(folder: string, teacher: string, set: string): string {
  return join(folder, teacherName(teacher), `${fileName(set)}.jsonl`);
}

export interface TraceSet {
  readonly header: TraceHeader;
  readonly traces: readonly Trace[];
}

/**
 * A teacher's traces of a set, whatever their status ({@link trainable} picks those to train on).
 * @param folder a run folder of `run traces`, or {@link RECORDED_TRACES}
 * @throws DataUnavailableError if there are none; DataFormatError naming file, line and field
 */
export function loadTraces(folder: string, teacher: string, set: string): TraceSet {
  const file = traceFile(folder, teacher, set);
  if (!existsSync(file))
    throw new DataUnavailableError(
      `traces of ${set} by ${teacherName(teacher)}`,
      `there is no ${file}`,
      `Make them: true-intents run traces --teacher ${teacher}`,
    );
  return { header: readTraceHeader(file), traces: readTraces(file) };
}
