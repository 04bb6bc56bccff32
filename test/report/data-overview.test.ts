import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { LabelledPrompt } from "../../src/data/prompt.js";
import { loadSample } from "../../src/data/sample.js";
import { secondPairs } from "../../src/intent/annotated-pairs.js";
import { agreementTable } from "../../src/report/agreement-table.js";
import {
  contrastTable,
  countTable,
  lengthSummary,
  levelFigure,
  nearTable,
  overlapTable,
  sampleBars,
  sampleFrame,
} from "../../src/report/data-overview.js";

const row = (id: string, prompt: string, more: Partial<LabelledPrompt> = {}): LabelledPrompt => ({
  id,
  prompt,
  intent: null,
  harm: "safe",
  source: "test",
  ...more,
});
const set = (name: string, rows: readonly LabelledPrompt[]) => ({ name, rows, files: [], notes: [] });

const tea = row("1", "How long does green tea steep in hot water at home?", {
  harm: "safe",
  level: "completely_safe",
  intent: "To make tea",
});
const lock = row("2", "How do I open my neighbour's door lock quietly?", { harm: "harmful", level: "uncertain_harmful" });
const sets = [
  set("sample", [tea, lock]),
  set("other", [row("9", "how long does green  tea steep in hot water at HOME?"), row("8", "Name a river")]),
];

describe("sets", () => {
  it("are counted", () => {
    expect(countTable(sets).objects()).toEqual([
      { set: "sample", prompts: 2, harmful: 1, "share harmful": 0.5, "with an intent": 1 },
      { set: "other", prompts: 2, harmful: 0, "share harmful": 0, "with an intent": 0 },
    ]);
  });

  it("share prompts whatever their case and spacing, and nearly share them", () => {
    expect(overlapTable(sets)).toEqual([
      { set: "sample", sample: 2, other: 1 },
      { set: "other", sample: 1, other: 2 },
    ]);
    expect(nearTable(sets)).toEqual([
      { "our set and": "sample", pairs: 0, "largest share of words in common": null },
      { "our set and": "other", pairs: 1, "largest share of words in common": 1 },
    ]);
  });

  it("have shares of levels that add up, without those that have no levels", () => {
    const data = levelFigure(sets).data as { name: string; x: number[] }[];
    expect(data.map(({ name, x }) => [name, x])).toEqual([["sample", [0, 0.5, 0, 0.5]]]);
  });
});

describe("our set", () => {
  const sample = loadSample();
  const frame = sampleFrame(sample);

  it("is summarised by danfojs as by hand", () => {
    const summary = new Map(
      (lengthSummary(frame) as Record<string, number | string>[]).map((line) => [line[""], line["intent words"]]),
    );
    const lengths = frame.column("intent words").values as number[];
    expect(summary.get("count")).toBe(sample.length);
    expect(summary.get("max")).toBe(Math.max(...lengths));
    expect(summary.get("mean")).toBeCloseTo(lengths.reduce((sum, length) => sum + length, 0) / lengths.length);
  });

  it("is counted in bars, the largest first, each prompt once", () => {
    const data = sampleBars(frame, "language").data as { name: string; x: number[]; y: string[] }[];
    const totals = data[0].x.map((harmful, i) => harmful + data[1].x[i]);
    expect(totals.reduce((sum, count) => sum + count, 0)).toBe(sample.length);
    expect(totals).toEqual(totals.toSorted((a, b) => b - a));
    const without = sampleBars(frame, "language", ["en"]).data as { y: string[] }[];
    expect(without[0].y).not.toContain("en");
  });

  it("shows contrasts of both labels", () => {
    const shown = contrastTable(2, sample) as { level: string }[];
    expect(shown.length).toBeGreaterThanOrEqual(4);
    expect(shown.some(({ level }) => level.endsWith("harmful")) && shown.some(({ level }) => level.endsWith("safe"))).toBe(true);
  });
});

describe("agreement", () => {
  it("is counted over pairs of annotations of one text, beside the paper's", async () => {
    const [first] = sets[0].rows;
    const twice = set("aims", [
      first,
      { ...first, id: "1b", prompt: first.prompt.toUpperCase() },
      { ...lock, id: "2a" },
      { ...lock, id: "2b", harm: "safe" },
    ]);
    const [aims, ...others] = await agreementTable([twice], null);
    expect(aims).toMatchObject({ pairs: 2, prompts: 2, "raw agreement": 0.5, "cosine of intents": null });
    expect(others.filter(({ from }) => from === "published").length).toBe(6);
  });

  it("pairs a second annotation by id and refuses rows of no prompt", () => {
    const sample = loadSample().slice(0, 3);
    const file = join(mkdtempSync(join(tmpdir(), "second-")), "second.jsonl");
    const line = (id: string, level: string): string => `${JSON.stringify({ id, intent: "To learn something", level })}\n`;
    writeFileSync(file, line(sample[1].id, "uncertain_safe"));
    expect(secondPairs(file, sample).map(({ first, second }) => [first.prompt, first.label, second.label])).toEqual([
      [sample[1].id, sample[1].level, "uncertain_safe"],
    ]);
    writeFileSync(file, line("ti-9999", "uncertain_safe"));
    expect(() => secondPairs(file, sample)).toThrow(/line 1.*id.*ti-9999/);
    writeFileSync(file, line(sample[1].id, "dangerous"));
    expect(() => secondPairs(file, sample)).toThrow(/level/);
  });
});
