/** The stages of a reproduction on a tiny model: run once whole, looked at again, begun with other settings, and without what they need. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { chosenCells } from "../../src/experiments/distillation-cells.js";
import { duration } from "../../src/experiments/plan.js";
import { planOf, runStages, type StageResult } from "../../src/experiments/reproduce.js";
import {
  openStages,
  reproduction,
  runFolders,
  STAGES,
  type Reproduction,
  type StageName,
} from "../../src/experiments/reproduce-stages.js";
import { resultsTable } from "../../src/experiments/reproduce-table.js";
import { readJson, writeJson } from "../../src/experiments/run-folder.js";
import { testRows, tracesBelow, writeSet, writeTestTraces } from "./distillation-traces.js";
import { startJudge, type FakeJudge } from "./planted.js";

process.env["OMP_NUM_THREADS"] = "1";

let folder: string;
let root: string;
let judge: FakeJudge;
let what: Reproduction;
let results: readonly StageResult[];

const open = (
  names: readonly StageName[] = STAGES,
  change: Partial<Reproduction> = {},
  where = root,
  named: string | null = null,
) => openStages({ ...what, ...change }, "smoke", where, names, named);

beforeAll(async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  folder = mkdtempSync(join(tmpdir(), "reproduce-"));
  root = join(folder, "runs");
  judge = await startJudge();
  const set = writeSet(join(folder, "rows.jsonl"), testRows(8));
  const test = writeSet(join(folder, "test.jsonl"), testRows(4, 5));
  writeTestTraces(tracesBelow(folder), "ann", set, testRows(8));
  const sets = { trainSet: set, selectionSets: [set], testSets: [test] };
  const preset = reproduction("smoke", "22");
  what = {
    sft: { ...preset.sft, ...sets, validationSet: set, learningRates: [1e-2], classificationLearningRates: [1e-2], epochs: 20 },
    dpo: { ...preset.dpo, ...sets, judge: judge.spec, pairSets: ["wrong_only"], epochs: 1 },
    grpo: { ...preset.grpo, ...sets, judge: judge.spec, rewards: ["label_intent"], steps: 1, maxNewTokens: 16 },
    distillation: {
      ...{ ...preset.distillation, ...sets, validationSet: set, traces: tracesBelow(folder), teachers: ["ann", "bob"] },
      ...{ conditions: ["no_intent"], trainRows: 4, validationRows: 2, testRows: 2, maxNewTokens: 4 },
    },
    cells: [],
  };
  results = await runStages(await open(), { fresh: false });
}, 240_000);
afterAll(() => {
  vi.restoreAllMocks();
  judge.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("reproduction", () => {
  it("cuts the small size to what npm start has time for, as beginnings of the whole presets, and sets seeds everywhere", () => {
    const { sft, dpo, grpo, distillation, cells } = reproduction("small", "1,2");
    expect(dpo.pairSets).toEqual(["wrong_only", "judge_bad_only"]);
    expect(grpo.rewards).toEqual(["label_intent"]);
    expect(chosenCells(distillation, cells).map(({ condition }) => condition)).toEqual(distillation.conditions);
    for (const { seeds } of [sft, dpo, grpo]) expect(seeds).toEqual([1, 2]);
    expect(reproduction("paper").grpo.rewards).toEqual(["label_intent", "label_only"]);
    expect(() => reproduction("small", "1,x")).toThrow(/seeds is "1,x"/);
  });
});

describe("stages", () => {
  it("run in the folders of `run`, one on the other, and leave out cells without traces", async () => {
    expect(results.map(({ name, state, reason }) => [name, state, reason])).toEqual(STAGES.map((name) => [name, "done", null]));
    expect(Object.values(runFolders(root, "smoke"))).toEqual(
      ["sft", "dpo", "distillation", "grpo"].map((name) => join(root, `${name}-smoke`)),
    );
    const plan = planOf(await open());
    expect(plan.map(({ state }) => state)).toEqual(STAGES.map(() => "done"));
    expect(plan.flatMap(({ parts }) => parts).every(({ done }) => done)).toBe(true);
    expect(plan[2].reason).toMatch(/by bob/);
    expect(plan[2].what).toBe("1 cell; seed 22");
    const table = resultsTable(runFolders(root, "smoke"));
    for (const name of [
      "SFT, generation",
      "SFT, classification",
      "tiny-random distilled from ann, no intent",
      "GRPO, label + intent",
    ]) {
      const line = table.split("\n").find((row) => row.includes(name))!;
      // Every model has the time of a single request.
      expect(line.trim()).toMatch(/[\d.]+ *\|$/);
    }
  });

  it("know what they took, so that more seeds are told by them, and keep what is done", async () => {
    const longer = { ...what.sft, seeds: [22, 42] };
    const [sft] = planOf(await open(["sft"], { sft: longer }));
    expect(sft.state).toBe("part");
    expect(sft.parts.map(({ done }) => done)).toEqual([true, false, true, false]);
    for (const { done, seconds, expected } of sft.parts) {
      expect(expected).toBeNull();
      if (done) expect(seconds).toBeGreaterThan(0);
    }
    expect(duration(sft.parts[0].seconds!)).toMatch(/s$/);
  });

  it("go on with the seeds that a folder was begun with, where those are more", async () => {
    const file = join(runFolders(root, "smoke").dpo, "config.json");
    const before = readJson(file) as object;
    try {
      writeJson(file, { ...before, seeds: [22, 42] });
      const [, dpo] = planOf(await open(["sft", "dpo"]));
      expect(dpo.what).toBe("LE-DPO; seeds 22, 42");
      expect(dpo.state).toBe("part");
      expect(dpo.reason).toBeNull();
    } finally {
      writeJson(file, before);
    }
  });

  it("say before they run that a folder is of other settings", async () => {
    const [grpo] = planOf(await open(["grpo"], { grpo: { ...what.grpo, learningRate: 0.5 } }));
    expect(grpo.reason).toMatch(/grpo-smoke is of other settings \(learningRate was 0\.001 and is 0\.5\); --fresh begins anew/);
  });

  it("say what to run first", async () => {
    const empty = join(folder, "empty");
    const reasons = async (names: readonly StageName[], change: Partial<Reproduction> = {}) =>
      planOf(await open(names, change, empty)).map(({ state, reason }) => `${state}: ${reason}`);
    const [dpo, grpo, latency] = await reasons(["dpo", "grpo", "latency"]);
    for (const reason of [dpo, grpo, latency])
      expect(reason).toMatch(/^left out: it needs sft first: npx true-intents reproduce --preset smoke --only sft/);
    expect(await reasons(["sft", "dpo"])).toEqual(["left: null", "left: null"]);
    expect(await reasons(["dpo"], { dpo: { ...what.dpo, seeds: [22, 7] } })).toEqual([
      expect.stringContaining("--only sft --seeds 22,7 ("),
    ]);
    const seeds = (of: readonly [number, ...number[]]) => ({
      dpo: { ...what.dpo, seeds: of },
      grpo: { ...what.grpo, seeds: [22, 5] as const },
    });
    for (const reason of await reasons(["dpo", "grpo", "latency"], seeds([22, 7]))) expect(reason).toContain(" --seeds 22,7,5");
    // Where GRPO does not start from SFT, its seeds are no matter.
    const alone = seeds([22]);
    expect(await reasons(["dpo"], { ...alone, grpo: { ...alone.grpo, start: "instruct" } })).toEqual([
      expect.stringContaining("--only sft ("),
    ]);
  });

  it.each([
    ["../my-runs", "../my-runs"],
    ["it's mine", String.raw`'it'\''s mine'`],
  ])("name the folder %j in a command as it was named", async (named, word) => {
    const [dpo] = planOf(await open(["dpo"], {}, join(folder, "empty"), named));
    expect(dpo.reason).toContain(`--only sft --out ${word} (`);
  });

  it("say which data and traces are not at hand", async () => {
    const empty = join(folder, "empty");
    const reasons = async (names: readonly StageName[], change: Partial<Reproduction> = {}) =>
      planOf(await open(names, change, empty)).map(({ state, reason }) => `${state}: ${reason}`);
    const traceless = { ...what.distillation, traces: empty };
    expect(await reasons(["distillation"], { distillation: traceless })).toEqual([
      expect.stringMatching(/^left out: traces of .* by ann/),
    ]);
    const gone = { ...what.sft, trainSet: "aims-train" };
    if (process.env["TRUE_INTENTS_DATA"] === undefined)
      expect(await reasons(["sft", "dpo"], { sft: gone })).toEqual([
        expect.stringMatching(/^left out: aims is not available/),
        "left out: it goes on from sft, which is left out",
      ]);
  });

  it("fail cell by cell, and begin a part of a grid anew though the folder is of other settings", async () => {
    const change = { distillation: { ...what.distillation, maxLength: 16 } };
    const failed = await runStages(await open(["distillation"], change), { fresh: true });
    expect(failed[0]).toMatchObject({ state: "failed", error: { name: "CellsFailedError" } });
    expect(failed[0].reason).toMatch(/^ann -> tiny-random, no_intent: no train row fits 16 tokens/);
  });
});
