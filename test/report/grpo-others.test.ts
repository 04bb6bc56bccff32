import { beforeAll, describe, expect, it } from "vitest";
import { DISPLAY } from "../../src/report/display.js";
import type { CellRecord, DistillationRecord, FoundDistillation } from "../../src/report/distillation-runs.js";
import { readDpo, type FoundDpo } from "../../src/report/dpo-runs.js";
import { againstOthers, allScores, otherModels, othersParts } from "../../src/report/grpo-others.js";
import { trainedModels } from "../../src/report/measured-models.js";
import { pointsOf } from "../../src/report/pareto-points.js";
import { readGrpo, type GrpoRecord } from "../../src/report/grpo-runs.js";
import { fakeLog, writeDpo } from "./dpo-folder.js";
import { writeGrpo } from "./grpo-folder.js";
import { config, faithful, made, sets } from "./grpo-made.js";
import { said } from "./run-folder.js";

const missing = { origin: "There is none.\nUntil then this page shows the paper's numbers alone.", run: null };

/** F1 of label + intent is 1, of LE-DPO 0.8, of the distilled model that validation prefers 0.5. */
let grpo: GrpoRecord;
let dpo: FoundDpo;
beforeAll(async () => {
  const tests = { ...config, testSets: ["one", "two"] };
  grpo = readGrpo(await writeGrpo({ sets, config: tests, runs: [made("start", 22, [0, 1]), made("label_intent", 22, [])] }));
  const predictions = (wrong: readonly number[]) => ({
    check: faithful(said(wrong)),
    one: faithful(said(wrong)),
    two: said(wrong),
  });
  const runs = [
    { condition: "sft" as const, seed: 22, predictions: predictions([0, 1]) },
    { condition: "wrong_only" as const, seed: 22, predictions: predictions([0]), log: fakeLog(2, [0.5]) },
  ];
  dpo = { origin: "A run.", run: readDpo(await writeDpo({ sets, config: tests, samples: {}, runs })) };
});

const cell = (condition: CellRecord["condition"], validationF1: number | null, wrong: readonly number[]): CellRecord => ({
  ...{ teacher: "big", student: "small", condition, state: "done", reason: null, traces: 10, learningRate: 1e-3 },
  runs: [22, 42].map((seed) => ({
    ...{ seed, folder: "", maxNewTokens: 8, loss: 1, validationF1 },
    predictions: new Map([["one", said(wrong)]]),
  })),
});
const distilled = (cells: readonly CellRecord[]): FoundDistillation => {
  const run: DistillationRecord = {
    ...{ folder: "", models: new Map(), seeds: [22, 42], learningRates: [1e-3], validationSets: [], testSets: ["one"] },
    ...{ cells, leftOut: [], unseenSets: [] },
  };
  return { origin: "A grid.", run };
};

describe("other experiments' models", () => {
  it("are DPO's conditions and the distilled model that validation prefers", () => {
    // The first has the best tests, the second the best validation.
    const grid = distilled([cell("no_intent", 0.6, []), cell("human_intent", 0.7, [0, 1]), cell("synthetic_intent", null, [])]);
    const { models, notes } = otherModels(grpo, dpo, grid);
    expect(models.map(({ name }) => name)).toEqual(["LE-DPO", "distilled, human intent (big → small, best of 2 on validation)"]);
    expect(notes).toEqual(["DPO: A run.", "Distillation: A grid."]);
    const table = allScores(grpo, { models, notes }) as Record<string, string>[];
    expect(table.map((row) => [row["set"], row["model"].split(",")[0], row["F1"]])).toEqual([
      ["one", "SFT", "0.500"],
      ["one", "GRPO", "1.000"],
      ["one", "LE-DPO", "0.800"],
      ["one", "distilled", "0.500 ± 0.000"],
      ["two", "SFT", "0.500"],
      ["two", "GRPO", "1.000"],
      ["two", "LE-DPO", "0.800"],
    ]);
  });

  it("are compared on the sets that both saw, whatever their seeds", () => {
    const { models, notes } = otherModels(grpo, dpo, distilled([cell("human_intent", 0.7, [0, 1])]));
    const { compared, notes: left } = againstOthers(grpo, { models, notes });
    expect(left).toEqual([]);
    expect(compared.map(({ name, comparison }) => [name, comparison.sets.map(({ set }) => set)])).toEqual([
      ["GRPO, label + intent, less LE-DPO", ["one", "two"]],
      ["GRPO, label + intent, less distilled, human intent (big → small)", ["one"]],
    ]);
    expect(
      compared.map(
        ({
          comparison: {
            sets: [one],
          },
        }) => [one.f1!.first, one.f1!.second],
      ),
    ).toEqual([
      [expect.closeTo(0.8), 1],
      [expect.closeTo(0.5), 1],
    ]);
    const parts = othersParts({ compared, notes: left });
    expect(parts.map((part) => DISPLAY in part)).toEqual([false, true]);
  });

  it("are named where they are missing, with what makes them", () => {
    const none = otherModels(grpo, missing, missing);
    expect(none.models).toEqual([]);
    expect(none.notes).toEqual([
      ...["DPO: nothing to compare. There is none.", "Distillation: nothing to compare. There is none."],
    ]);
    expect(othersParts(againstOthers(grpo, none))).toEqual([]);
    expect(otherModels(grpo, dpo, distilled([cell("no_intent", null, [])])).models.length).toBe(1);
  });

  it("have SFT among them if GRPO did not start from it", async () => {
    const runs = [made("start", 22, [0]), made("label_only", 22, [])];
    const instruct = readGrpo(await writeGrpo({ sets, config: { ...config, start: "instruct" }, runs }));
    expect(otherModels(instruct, dpo, missing).models.map(({ name }) => name)).toEqual(["SFT", "LE-DPO"]);
  });

  it("are not compared on other prompts, or on no set in common", () => {
    const other = said([]).map((row) => ({ ...row, id: `other ${row.id}` }));
    const model = (set: string) => ({
      name: "another",
      runs: [{ seed: 1, predictions: new Map([[set, other]]), intents: {}, errors: {} }],
    });
    const mismatch = againstOthers(grpo, { models: [model("one")], notes: [] });
    expect(mismatch.compared).toEqual([]);
    expect(mismatch.notes[0]).toMatch(/^GRPO, label \+ intent is not compared with another, which answered other prompts: .*p0/);
    expect(othersParts(mismatch).length).toBe(1);
    expect(againstOthers(grpo, { models: [model("elsewhere")], notes: [] }).notes).toEqual(["another: no test set in common."]);
  });
});

describe("the Pareto figure", () => {
  it("has a point a condition that was trained, over the test sets, with time and tokens a prompt", () => {
    const points = pointsOf(trainedModels(dpo.run, grpo));
    expect(points.map(({ model, score }) => [model, score])).toEqual([
      [`${dpo.run!.model} LE-DPO`, expect.closeTo(0.8)],
      [`${grpo.model} GRPO, label + intent`, 1],
    ]);
    // Every made-up answer has two tokens in ten milliseconds.
    expect(points[1]).toMatchObject({
      ...{ group: "measured here", sets: "one, two", millisecondsPerPrompt: 10, tokensPerPrompt: 2, unparsed: 0 },
    });
    expect(points[0].interval!.low).toBeLessThan(0.8);
    expect(pointsOf(trainedModels(null, null))).toEqual([]);
  });

  it("has none of an experiment without tests", async () => {
    const runs = [made("start", 22, []), made("label_only", 22, [])];
    const run = readGrpo(await writeGrpo({ sets, config: { ...config, testSets: [] }, runs }));
    expect(pointsOf(trainedModels(null, run))).toEqual([]);
  });
});
