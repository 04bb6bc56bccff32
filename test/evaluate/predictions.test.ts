import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DataFormatError } from "../../src/data/errors.js";
import { openPredictions, readPredictions, type Prediction } from "../../src/evaluate/predictions.js";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "true-intents-"));
  file = join(folder, "predictions", "set.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true }));

function prediction(id: string, more: Partial<Prediction> = {}): Prediction {
  return { id, gold: "safe", harm: "unparsed", intent: null, harmfulProbability: 0.25, newTokens: 3, milliseconds: 1.5, ...more };
}

describe("a file of predictions", () => {
  it("gives back what was written, line breaks and all", () => {
    const rows = [
      prediction("a", { prompt: "line\nbreak \u2028 ü 🙂", intent: 'To "quote"' }),
      prediction("b", { harmfulProbability: null }),
    ];
    const writer = openPredictions(file);
    for (const row of rows) writer.append(row);
    writer.close();
    writer.close();
    expect(readPredictions(file)).toEqual(rows);
  });

  it("goes on where a killed run stopped: a cut line is removed and its prompt runs again", () => {
    const first = openPredictions(file);
    first.append(prediction("a"));
    first.close();
    appendFileSync(file, '{"id":"b","gold":"sa');
    expect(() => readPredictions(file)).toThrow(/line 2.*cut off/);
    const second = openPredictions(file);
    expect(second.previous.map((p) => p.id)).toEqual(["a"]);
    second.append(prediction("b"));
    second.close();
    expect(readPredictions(file).map((p) => p.id)).toEqual(["a", "b"]);
  });

  it("refuses an id twice, in the run and across runs, and writes nothing then", () => {
    const first = openPredictions(file);
    first.append(prediction("a"));
    expect(() => first.append(prediction("a"))).toThrow(DataFormatError);
    first.close();
    const second = openPredictions(file);
    expect(() => second.append(prediction("a"))).toThrow(/"a" was already written/);
    second.close();
    expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(1);
  });

  it("refuses numbers that JSON would turn into null, and probabilities out of range", () => {
    const writer = openPredictions(file);
    expect(() => writer.append(prediction("a", { milliseconds: Number.NaN }))).toThrow(/milliseconds/);
    for (const harmfulProbability of [1.5, Number.NaN]) {
      expect(() => writer.append(prediction("a", { harmfulProbability }))).toThrow(/harmfulProbability/);
    }
    writer.close();
    expect(readFileSync(file, "utf8")).toBe("");
  });

  it("names file, line and field of what is wrong on disk", () => {
    openPredictions(file).close();
    writeFileSync(file, `${JSON.stringify(prediction("a"))}\n${JSON.stringify({ ...prediction("b"), gold: "unsafe" })}\n`);
    expect(() => readPredictions(file)).toThrow(/set\.jsonl, line 2, field "gold"/);
    expect(() => openPredictions(file)).toThrow(/line 2, field "gold"/);
  });
});
