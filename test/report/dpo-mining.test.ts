import { rmSync } from "node:fs";
import { join } from "node:path";
import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import type { LabelledPrompt } from "../../src/data/prompt.js";
import { DISPLAY, type Displayable } from "../../src/report/display.js";
import { judgeFigure, judgeTable, judgeText } from "../../src/report/dpo-judge.js";
import { miningText, outcomeTable, pairTable, reasonBars } from "../../src/report/dpo-mining.js";
import { readDpo, type DpoRecord } from "../../src/report/dpo-runs.js";
import { figureSvg } from "../../src/report/figure.js";
import { minedSample, writeDpo } from "./dpo-folder.js";
import { said } from "./run-folder.js";

const HOSTILE = `</table><script>alert(1)</script>\u001b[31m\u202e<img src=x onerror=a()>`;
const row = (i: number, more: Partial<LabelledPrompt> = {}): LabelledPrompt => ({
  ...{ id: `r${i}`, prompt: `How do I mend a bicycle, part ${i}?`, intent: `To mend part ${i} of a bicycle`, harm: "safe" },
  ...{ theme: "everyday", level: "completely_safe", source: "test" },
  ...more,
});
const rows = [
  row(0),
  row(1, { harm: "harmful", level: "uncertain_harmful" }),
  row(2, { theme: "fraud", harm: "harmful", level: "completely_harmful", prompt: HOSTILE }),
  row(3, { theme: HOSTILE }),
];
const first = [
  minedSample(rows[0], 0, "label_error", "To sell a bicycle"),
  minedSample(rows[0], 1, "label_error", "To steal a bicycle"),
  minedSample(rows[1], 0, "judge_bad", "To read the news"),
  minedSample(rows[1], 1, "judge_good", "To mend part 1"),
  minedSample(rows[2], 0, "label_error", HOSTILE),
  minedSample(rows[2], 1, "unparsed", ""),
  minedSample(rows[3], 0, "judge_decent", "To talk of bicycles"),
  minedSample(rows[3], 1, "judge_good", "To mend part 3"),
];
const second = [minedSample(rows[0], 0, "judge_bad", "To cook"), minedSample(rows[0], 1, "judge_good", "To mend part 0")];

const made = async (trainSet: string): Promise<DpoRecord> => {
  const sets = [{ name: "one", rows: [] }];
  const runs = [22, 42].map((seed) => ({ condition: "sft" as const, seed, predictions: { one: said([]) } }));
  const config = { trainSet, selectionSets: ["other"], testSets: ["one"] };
  return readDpo(await writeDpo({ sets, runs, samples: { 22: first, 42: second }, config }));
};
const experiment = await made("sample-train");

const parser = new new JSDOM().window.DOMParser();
const page = (shown: Displayable): Document => parser.parseFromString(String(shown[DISPLAY]()["text/html"]), "text/html");
const cells = (shown: Displayable): string[][] =>
  [...page(shown).querySelectorAll("tbody tr")].map((line) => [...line.children].map((cell) => cell.textContent ?? ""));

describe("what mining found", () => {
  it("is counted by outcome and seed, with shares of all samples", () => {
    const table = outcomeTable(experiment) as Record<string, unknown>[];
    expect(table).toEqual([
      { outcome: "label error", "seed 22": 3, "seed 42": 0, "of all samples": "30.0%" },
      { outcome: "right label, judge: bad", "seed 22": 1, "seed 42": 1, "of all samples": "20.0%" },
      { outcome: "right label, judge: decent", "seed 22": 1, "seed 42": 0, "of all samples": "10.0%" },
      { outcome: "right label, judge: good", "seed 22": 2, "seed 42": 1, "of all samples": "30.0%" },
      { outcome: "no intent in the answer", "seed 22": 1, "seed 42": 0, "of all samples": "10.0%" },
    ]);
    expect(miningText(experiment)).toMatch(
      /^Seed 22: 8 samples of 4 prompts \(sample-train, temperature 0.8\).*\nSeed 42: 2 samples/,
    );
  });

  it("is drawn by level and theme over all seeds, hostile themes as text", async () => {
    const data = (by: "theme" | "level") => reasonBars(experiment, by).data as { name: string; x: number[]; y: string[] }[];
    const [errors, bad] = data("level");
    expect(errors.y).toEqual(["completely harmful (2)", "uncertain harmful (2)", "completely safe (6)"]);
    expect(errors.x).toEqual([0.5, 0, 2 / 6]);
    expect(bad.x).toEqual([0, 0.5, 1 / 6]);
    // Everyday: two label errors and two bad ones of six samples; the others one of two each.
    expect(data("theme")[0].y[0]).toBe("everyday (6)");
    const few = reasonBars(experiment, "theme", 1);
    expect((few.data as { y: string[] }[])[0].y).toEqual(["everyday (6)"]);
    expect(JSON.stringify(few.layout)).toContain("the 1 with the most samples of 3");
    const svg = await figureSvg(reasonBars(experiment, "theme"));
    expect(svg).not.toMatch(/<script|<img/);
    expect(svg).toContain("script");
  });
});

describe("the pairs explorer", () => {
  it("shows one pair a prompt with all that is known of it, hostile text as text", () => {
    const shown = pairTable(experiment, "label_error");
    const document = page(shown);
    expect(document.querySelectorAll("script, img")).toHaveLength(0);
    expect(document.querySelectorAll("table")).toHaveLength(1);
    expect(document.querySelector("caption")?.textContent).toBe("label error: 2 of 3 pairs of 2 prompts, seed 22");
    const lines = cells(shown);
    expect(lines[0].slice(0, 3)).toEqual([rows[0].prompt, "everyday", "completely safe"]);
    expect(lines[0]).toContain("Intent: To mend part 0 of a bicycle; Harm: safe");
    expect(lines[0]).toContain("Intent: To steal a bicycle; Harm: harmful");
    expect(lines[0].at(-1)).toBe("alone, the intent is labelled harmful; the prompt is safe");
    expect(lines[1][0]).toContain("<script>alert(1)</script>\\u001b[31m\\u202e");
    expect(shown[DISPLAY]()["text/plain"]).not.toMatch(/[\u001b\u202e]/);
  });

  it("is filtered by reason, seed and theme, and spread evenly", async () => {
    expect(cells(pairTable(experiment, "judge_bad", { seed: 42 }))[0]).toContain("Intent: To cook; Harm: safe");
    expect(cells(pairTable(experiment, "judge_bad"))[0].at(-1)).toBe("the label is right, but the judge calls the intent bad");
    expect(cells(pairTable(experiment, "label_error", { theme: "fraud" })).length).toBe(1);
    expect(pairTable(experiment, "judge_bad", { theme: "none" })[DISPLAY]()["text/plain"]).toContain("0 pairs of 0 prompts");
    const many = Array.from({ length: 20 }, (_, i) => minedSample(row(i), 0, "judge_bad", "To go away"));
    const sets = [{ name: "one", rows: [] }];
    const runs = [{ condition: "sft" as const, seed: 22, predictions: {} }];
    const run = readDpo(await writeDpo({ sets, runs, samples: { 22: many }, config: { trainSet: "sample-train" } }));
    const spread = cells(pairTable(run, "judge_bad", { limit: 4 }));
    expect(spread.map(([prompt]) => prompt)).toEqual([0, 5, 10, 15].map((i) => row(i).prompt));
  });

  it("copies no prompt and no gold intent of a public set, but those of a file of the user's own", async () => {
    for (const set of ["aims-train", "wildguardmix"]) {
      const withheld = pairTable(await made(set), "label_error");
      const text = JSON.stringify(withheld[DISPLAY]());
      expect(text).not.toContain("bicycle, part");
      expect(text).not.toContain("To mend");
      expect(cells(withheld)[0].slice(0, 4)).toEqual(["r0", "everyday", "completely safe", "safe"]);
      expect(text).toContain(`prompts of ${set} are not copied`);
    }
    expect(cells(pairTable(await made("my/own-train.csv"), "label_error"))[0][0]).toBe(rows[0].prompt);
  });

  it("says so where a run came without its pairs", async () => {
    const run = await made("sample-train");
    rmSync(join(run.folder, "runs", "seed-22", "pairs.jsonl"));
    expect(pairTable(run, "label_error")[DISPLAY]()["text/plain"]).toContain("The pairs of seed 22 were not kept");
  });
});

describe("the judge beside annotators", () => {
  it("is right where it accepts pairs of one prompt and refuses others", () => {
    const table = judgeTable(experiment) as Record<string, unknown>[];
    // The made-up judge: "To fix a bike …" begins alike, "To buy bread" does not; shuffled ones neither.
    expect(table).toEqual([
      {
        ...{ set: "sample", pairs: "two annotators, one prompt", wanted: "good or decent", items: 2 },
        good: 1,
        decent: 1,
        bad: 0,
        none: 0,
        right: "1.000",
      },
      {
        ...{ set: "sample", pairs: "different prompts", wanted: "bad", items: 2 },
        good: 0,
        decent: 2,
        bad: 0,
        none: 0,
        right: "0.000",
      },
    ]);
    const data = judgeFigure(experiment).data as { name: string; x: number[] }[];
    expect(data.map(({ name, x }) => [name, x])).toEqual([
      ["good", [0.5, 0]],
      ["decent", [0.5, 1]],
    ]);
    // One of the two pairs is above both shuffled ones, the other ties with them: (1 + 1 + 0.5 + 0.5) / 4.
    expect(judgeText(experiment)).toContain("different prompts 0.750 (95% interval");
  });
});
