/** The JSONL file of preference pairs: one object a line, for people to read and for training to load. */
import { z } from "zod";
import { readJsonl } from "../data/jsonl.js";
import { LEVELS } from "../data/prompt.js";
import { checkRow, checkUniqueIds } from "../data/rows.js";
import { writeFileAtomic } from "../model/weights/atomic-file.js";
import { JUDGE_VERDICTS } from "./judge.js";
import type { PreferencePair } from "./pairs.js";

const harm = z.enum(["harmful", "safe"]);
const stated = z.string().refine((text) => text.trim() !== "", "must not be empty");

const schema = z
  .strictObject({
    id: z.string().min(1),
    rowId: z.string().min(1),
    prompt: z.string(),
    goldIntent: stated,
    goldHarm: harm,
    theme: z.string().exactOptional(),
    level: z.enum(LEVELS).exactOptional(),
    sampledIntent: stated,
    relabelledHarm: harm,
    judgeVerdict: z.enum(JUDGE_VERDICTS).nullable(),
    reason: z.enum(["label_error", "judge_bad", "judge_decent"]),
    chosen: stated,
    rejected: stated,
    weight: z.number().positive(),
  })
  .refine((pair) => (pair.reason === "label_error") === (pair.relabelledHarm !== pair.goldHarm), {
    path: ["reason"],
    message: "label_error is for a relabelledHarm that differs from goldHarm, and only for it",
  })
  .refine((pair) => pair.reason === "label_error" || pair.reason === `judge_${pair.judgeVerdict}`, {
    path: ["reason"],
    message: "does not fit judgeVerdict",
  })
  .refine((pair) => pair.chosen !== pair.rejected, { path: ["rejected"], message: "is the same as chosen" });

/**
 * Writes the file whole or not at all; one that was there is replaced.
 * @throws DataFormatError naming the pair (counted as its line) and field if one is not a pair or two have one id; nothing is written then
 */
export function writePairs(file: string, pairs: readonly PreferencePair[]): void {
  const rows = pairs.map((pair, i) => checkRow(schema, pair, file, i + 1));
  checkUniqueIds(
    rows.map(({ id }, i) => ({ line: i + 1, id })),
    file,
  );
  writeFileAtomic(file, (append) => {
    for (const row of rows) append(Buffer.from(`${JSON.stringify(row)}\n`));
  });
}

/** All pairs of a file, in order. @throws DataFormatError naming file, line and field, also for two lines with one id */
export function readPairs(file: string): PreferencePair[] {
  const rows = readJsonl(file, schema);
  checkUniqueIds(
    rows.map(({ line, row }) => ({ line, id: row.id })),
    file,
  );
  return rows.map(({ row }) => row);
}
