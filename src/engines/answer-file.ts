/**
 * Answers on disk: JSON Lines, one answer a line under its key, written as they come. A kill costs the line that was being written, and a
 * damaged line its own answer, nothing else.
 */
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { z } from "zod";
import type { Answer } from "./engine.js";

const count = z.int().nonnegative().nullable();
const schema = z.strictObject({
  key: z.string().regex(/^[0-9a-f]{64}$/),
  text: z.string(),
  finishReason: z.enum(["stop", "length"]),
  promptTokens: count,
  completionTokens: count,
});

export interface AnswerFile {
  readonly answers: ReadonlyMap<string, Answer>;
  /** Numbers of the lines, from 1, that hold no answer. They were left as they are. */
  readonly damaged: readonly number[];
  /** Writes an answer; the first under a key stays. @throws the system's error if it cannot be written: nothing of it is then in the file */
  add(key: string, answer: Answer): void;
  /** Makes sure that everything is on the disk. Closing twice is harmless. */
  close(): void;
}

/** Opens a file of answers, or makes it. A last line without its line break was cut off by a kill and is removed. */
export function openAnswers(file: string): AnswerFile {
  const answers = new Map<string, Answer>();
  const damaged: number[] = [];
  let size = 0;
  if (existsSync(file)) {
    let number = 0;
    for (const line of wholeLines(file)) {
      number++;
      size += line.length + 1;
      const row = parseLine(line);
      if (row === null) damaged.push(number);
      else if (!answers.has(row.key)) answers.set(row.key, row.answer);
    }
  }
  const descriptor = openSync(file, "a");
  let open = true;
  try {
    ftruncateSync(descriptor, size);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return {
    answers,
    damaged,
    add(key, answer) {
      if (answers.has(key)) return;
      const { text, finishReason, promptTokens, completionTokens } = answer;
      const line = Buffer.from(`${JSON.stringify({ key, text, finishReason, promptTokens, completionTokens })}\n`);
      try {
        for (let written = 0; written < line.length;) written += writeSync(descriptor, line, written);
      } catch (error) {
        ftruncateSync(descriptor, size);
        throw error;
      }
      size += line.length;
      answers.set(key, answer);
    },
    close() {
      if (!open) return;
      open = false;
      try {
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    },
  };
}

function parseLine(line: Buffer): { key: string; answer: Answer } | null {
  try {
    const { key, ...answer } = schema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line)));
    return { key, answer: { kind: "answer", ...answer } };
  } catch {
    return null;
  }
}

/** A file's lines without their ends, the last one only if it has one. Read in pieces: a file may be longer than a string. */
function* wholeLines(file: string): Generator<Buffer> {
  const descriptor = openSync(file, "r");
  try {
    const piece = Buffer.alloc(1 << 20);
    let rest: Buffer[] = [];
    for (;;) {
      const count = readSync(descriptor, piece);
      if (count === 0) return;
      let start = 0;
      for (;;) {
        const end = piece.subarray(0, count).indexOf(0x0a, start);
        if (end < 0) break;
        yield Buffer.concat([...rest, piece.subarray(start, end)]);
        rest = [];
        start = end + 1;
      }
      rest.push(Buffer.from(piece.subarray(start, count)));
    }
  } finally {
    closeSync(descriptor);
  }
}
