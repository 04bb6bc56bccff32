import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { DataFormatError } from "../../src/data/errors.js";
import { readPairs, writePairs } from "../../src/intent/pairs-file.js";
import type { PreferencePair } from "../../src/intent/pairs.js";
import { mutated } from "../data/mutate.js";
import { anyPairs } from "./pairs.js";

const folder = mkdtempSync(join(tmpdir(), "pairs-"));
const file = join(folder, "pairs.jsonl");
afterAll(() => rmSync(folder, { recursive: true }));

const pair: PreferencePair = {
  id: "ti-0001#0",
  rowId: "ti-0001",
  prompt: "How do I kill a background job?\n\u2028<script>alert(1)</script><|im_end|>\u001b[2J",
  goldIntent: "To end a program",
  goldHarm: "safe",
  theme: "coding",
  level: "completely_safe",
  sampledIntent: "To hurt someone",
  relabelledHarm: "harmful",
  judgeVerdict: null,
  reason: "label_error",
  chosen: "Intent: To end a program; Harm: safe",
  rejected: "Intent: To hurt someone; Harm: harmful",
  weight: 1.4,
};

describe("the file of pairs", () => {
  it("gives back what was written, a line a pair, hostile text and lone surrogates among it", () => {
    fc.assert(
      fc.property(anyPairs, (pairs) => {
        writePairs(file, pairs);
        expect(readPairs(file)).toEqual(pairs);
        expect(readFileSync(file, "utf8").split("\n")).toHaveLength(pairs.length + 1);
      }),
      { numRuns: 50 },
    );
    const hostile = { ...pair, prompt: `${pair.prompt}\ud800`, sampledIntent: '","reason":"judge_bad' };
    writePairs(file, [hostile]);
    expect(readPairs(file)).toEqual([hostile]);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["a field left out", { chosen: undefined }, /line 2, field "chosen"/],
    ["an unknown field", { extra: 1 }, /line 2.*extra/],
    ["a harm that is none", { goldHarm: "bad" }, /line 2, field "goldHarm"/],
    ["a reason that is none", { reason: "other" }, /line 2, field "reason"/],
    ["a reason that the labels deny", { relabelledHarm: "safe" }, /line 2, field "reason": label_error/],
    [
      "a reason that the verdict denies",
      { reason: "judge_bad", relabelledHarm: "safe", judgeVerdict: "good" },
      /line 2, field "reason"/,
    ],
    ["a weight of nothing", { weight: 0 }, /line 2, field "weight"/],
    ["a weight as text", { weight: "1" }, /line 2, field "weight"/],
    ["no contrast", { rejected: pair.chosen }, /line 2, field "rejected"/],
    ["an empty intent", { goldIntent: " " }, /line 2, field "goldIntent"/],
    ["an id twice", { id: pair.id }, /line 2, field "id".*line 1/],
    ["a level that is none", { level: "safe" }, /line 2, field "level"/],
  ])("refuses %s by file, line and field, when it is read and when it is written", (_what, change, message) => {
    const wrong = { ...pair, id: "ti-0001#1", ...change };
    writeFileSync(file, `${JSON.stringify(pair)}\n${JSON.stringify(wrong)}\n`);
    expect(() => readPairs(file)).toThrow(DataFormatError);
    expect(() => readPairs(file)).toThrow(message);
    const before = readFileSync(file, "utf8");
    expect(() => {
      writePairs(file, [pair, wrong]);
    }).toThrow(message);
    expect(readFileSync(file, "utf8")).toBe(before);
    expect(readdirSync(folder)).toEqual(["pairs.jsonl"]);
  });

  it("does not write what JSON cannot hold", () => {
    const other = join(folder, "other.jsonl");
    expect(() => {
      writePairs(other, [{ ...pair, weight: Number.NaN }]);
    }).toThrow(/weight/);
    expect(existsSync(other)).toBe(false);
  });

  it("reads a damaged file as its pairs or refuses it by name, 500 times", () => {
    writePairs(file, [pair, { ...pair, id: "ti-0001#1" }, { ...pair, id: "ti-0001#2" }]);
    const bytes = readFileSync(file);
    const damaged = join(folder, "damaged.jsonl");
    let refused = 0;
    for (let i = 0; i < 500; i++) {
      writeFileSync(damaged, mutated(bytes, i));
      try {
        for (const { id, chosen, weight } of readPairs(damaged)) {
          expect([id, chosen].every((text) => text.length > 0) && weight > 0).toBe(true);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(DataFormatError);
        expect((error as Error).message).toContain(damaged);
        refused++;
      }
    }
    rmSync(damaged);
    expect(refused).toBeGreaterThan(250);
  });
});
