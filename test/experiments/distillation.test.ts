/** The distillation grid on a tiny model and traces that the test writes: run, stopped, gone on with, failing, and asked for in part. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { cellFolder } from "../../src/experiments/distillation-cells.js";
import { distillationConfig, type DistillationConfig } from "../../src/experiments/distillation-config.js";
import { distillationTables, type DistillationSummary } from "../../src/experiments/distillation-summary.js";
import { runDistillation, showPlan } from "../../src/experiments/distillation.js";
import { DISTILLATION_PRESETS } from "../../src/experiments/presets/distillation.js";
import { predictionFile } from "../../src/experiments/run-folder.js";
import { readPredictions } from "../../src/evaluate/predictions.js";
import { CONDITIONS } from "../../src/prompts/distillation.js";
import { testRows, tracesBelow, writeSet, writeTestTraces } from "./distillation-traces.js";
import { contents } from "./folders.js";

process.env["OMP_NUM_THREADS"] = "1";

let folder: string;
let config: DistillationConfig;
let summary: DistillationSummary;
let test: string;
let said = "";

beforeAll(async () => {
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
  folder = mkdtempSync(join(tmpdir(), "distillation-"));
  const [train, validation] = [join(folder, "train.jsonl"), join(folder, "validation.jsonl")];
  writeSet(train, testRows(8));
  writeSet(validation, testRows(4, 20));
  test = writeSet(join(folder, "test.jsonl"), testRows(4, 40));
  for (const teacher of ["ann", "bob"]) {
    writeTestTraces(tracesBelow(folder), teacher, train, testRows(8));
    writeTestTraces(tracesBelow(folder), teacher, validation, testRows(4, 20));
  }
  config = distillationConfig({
    ...DISTILLATION_PRESETS.smoke,
    ...{ teachers: ["ann", "bob"], traces: tracesBelow(folder), trainSet: train, validationSet: validation },
    ...{
      selectionSets: [validation],
      testSets: [test],
      trainRows: 6,
      validationRows: 3,
      testRows: 4,
      epochs: 2,
      maxNewTokens: 8,
    },
    ...{ learningRates: [1e-2], seeds: [22], checkpointSeconds: 1e4 },
  });
  summary = await runDistillation(config, join(folder, "grid"));
}, 240_000);
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const states = ({ cells }: DistillationSummary): string[] => cells.map(({ state }) => state);
const small = (changes: Partial<DistillationConfig>): DistillationConfig =>
  distillationConfig({ ...config, teachers: ["ann"], conditions: ["no_intent"], trainRows: 4, epochs: 1, ...changes });

describe("runDistillation", () => {
  it("trains and evaluates every cell in a folder of its own", () => {
    expect(summary.cells.map(({ teacher, student, condition }) => [teacher, student, condition])).toEqual(
      ["ann", "bob"].flatMap((teacher) => CONDITIONS.map((condition) => [teacher, "tiny-random", condition])),
    );
    for (const { state, rows, runs, sweep, learningRate, seconds } of summary.cells) {
      expect([state, learningRate, rows]).toEqual(["done", 1e-2, { train: 6, validation: 3 }]);
      expect(seconds).toBeGreaterThan(0);
      expect(sweep).toEqual(runs);
      const [{ folder: below, training, sets }] = runs;
      expect(training.validationLosses).toHaveLength(2);
      expect(training.tokensUnshared).toBeGreaterThan(1.3 * training.tokens);
      expect(Object.keys(sets)).toEqual([config.validationSet, test]);
      const at = join(folder, "grid", below);
      for (const file of ["config.json", "environment.json", "log.jsonl", "manifest.json", "adapter/adapter_model.safetensors"])
        expect(existsSync(join(at, file)), file).toBe(true);
      expect(existsSync(join(at, "checkpoints"))).toBe(false);
      const predictions = readPredictions(predictionFile(at, test));
      expect(predictions.map(({ id }) => id)).toEqual(testRows(4, 40).map(({ id }) => id));
      expect(sets[test].scores.count).toBe(4);
      expect(sets[test].throughput.tokensPerPrompt).toBeGreaterThan(0);
      expect(sets[test].throughput.millisecondsPerPrompt).toBeGreaterThan(0);
      expect(sets[test].unparsedRate).toBe(predictions.filter(({ harm }) => harm === "unparsed").length / 4);
    }
    expect(JSON.parse(readFileSync(join(folder, "grid", "summary.json"), "utf8"))).toEqual(summary);
  });

  it("compares each condition with an intent to reasoning alone, on the same prompts", () => {
    expect(summary.effects.map(({ teacher, condition }) => [teacher, condition])).toEqual(
      ["ann", "bob"].flatMap((teacher) => ["synthetic_intent", "human_intent"].map((condition) => [teacher, condition])),
    );
    for (const { comparison } of summary.effects) {
      expect(comparison.sets.map(({ set, prompts }) => [set, prompts])).toEqual([[test, 4]]);
      expect(comparison.sets[0].mcnemar).not.toBeNull();
    }
    expect(distillationTables(summary)).toContain("With an intent, less no_intent");
  });

  it("says how many tokens sharing the system prompt has saved", () => {
    const [computed, whole] = [/computed (\d+) tokens/, /rows have (\d+),/].map((one) =>
      Number(one.exec(distillationTables(summary))![1]),
    );
    const trained = summary.cells.map(({ runs }) => runs[0].training);
    expect(computed).toBe(trained.reduce((sum, { tokens }) => sum + tokens, 0));
    expect(whole).toBe(trained.reduce((sum, { tokensUnshared }) => sum + tokensUnshared, 0));
    expect(whole).toBeGreaterThan(1.3 * computed);
  });

  it("shows the plan before and while it runs, and loads the student once", () => {
    expect(said).toMatch(/\| ann +\| tiny-random \| no_intent +\| left +\|/);
    expect(said).toContain("0 of 6 cells done, 6 left: 6 of students not measured yet");
    expect(said).toMatch(/bob -> tiny-random, human_intent: begins; 5 of 6 cells done, 1 left: about \d+ s/);
    expect(said.match(/tiny-random: loaded/g)).toHaveLength(1);
  });

  it("does nothing twice, and opens no model for it", async () => {
    const before = contents(join(folder, "grid"));
    said = "";
    expect(await runDistillation(config, join(folder, "grid"))).toEqual(summary);
    expect(said).not.toContain("loaded");
    expect(contents(join(folder, "grid"))).toEqual(before);
  });

  it("ends in the same bytes after it was stopped anywhere", async () => {
    const out = join(folder, "stopped");
    const often = { ...config, conditions: ["no_intent", "human_intent"], checkpointSeconds: 0 } as const;
    for (let stops = 0; stops < 4; stops++) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("stop")), 150 + 350 * stops);
      await runDistillation(often, out, { signal: controller.signal }).catch((error: unknown) =>
        expect((error as Error).message).toBe("stop"),
      );
    }
    const gone = await runDistillation(often, out);
    expect(new Set(states(gone))).toEqual(new Set(["done"]));
    const whole = contents(join(folder, "grid"));
    const again = contents(out);
    const files = [...again.keys()].filter((file) => /adapter|log\.jsonl|predictions/.test(file));
    expect(files).toHaveLength(4 * 5);
    for (const file of files) expect(again.get(file) === whole.get(file), file).toBe(true);
  });

  it("goes on after a cell failed, says why, and tries it again", async () => {
    const out = join(folder, "failing");
    const failing = small({ teachers: ["cat", "ann"], students: ["tiny-random", "./nowhere"] });
    said = "";
    const first = await runDistillation(failing, out);
    expect(states(first)).toEqual(["failed", "failed", "done", "failed"]);
    expect(first.cells[0].reason).toMatch(
      /^traces of .*train\.jsonl by cat is not available: there is no .*run traces --teacher cat/,
    );
    expect(first.cells[3].reason).toMatch(/nowhere/);
    expect(first.cells[0]).toMatchObject({ runs: [], seconds: null, learningRate: null });
    expect(said).toContain("cat -> tiny-random, no_intent: failed: traces of");
    expect(distillationTables(first)).toContain("cat -> tiny-random, no_intent failed: traces of");
    expect(showPlan(failing, out)).toMatch(/1 of 4 cells done, 3 failed, 0 left/);

    writeTestTraces(tracesBelow(folder), "cat", config.trainSet, testRows(8));
    writeTestTraces(tracesBelow(folder), "cat", config.validationSet, testRows(4, 20));
    const second = await runDistillation(failing, out);
    expect(states(second)).toEqual(["done", "failed", "done", "failed"]);
    expect(existsSync(join(out, cellFolder(second.cells[0]), "failure.json"))).toBe(false);
  });

  it("notes a cell whose traces have changed, and trains nothing on the others", async () => {
    const out = join(folder, "changed");
    const own = small({ teachers: ["dan"] });
    for (const [set, rows] of [
      [own.trainSet, testRows(8)],
      [own.validationSet, testRows(4, 20)],
    ] as const)
      writeTestTraces(tracesBelow(folder), "dan", set, rows);
    expect(states(await runDistillation(own, out))).toEqual(["done"]);
    writeTestTraces(tracesBelow(folder), "dan", own.trainSet, testRows(8), () => ({ reasoning: "Other words." }));
    const [{ state, reason }] = (await runDistillation(own, out)).cells;
    expect(state).toBe("failed");
    expect(reason).toMatch(/rowsSha256 was .* --fresh to begin anew/);
    expect(states(await runDistillation(own, out, { fresh: true }))).toEqual(["done"]);
  });

  it("runs the cells that are asked for, keeps what is done, and begins only those anew", async () => {
    const out = join(folder, "only");
    const two = small({ teachers: ["ann", "bob"] });
    const one = await runDistillation(two, out, { only: ["teacher=bob"] });
    expect(states(one)).toEqual(["left", "done"]);
    expect(showPlan(two, out, ["teacher=bob"])).toContain("1 of 2 cells done, 0 left, 1 not asked for");
    const both = await runDistillation(two, out, { only: ["teacher=ann,condition=no_intent"] });
    expect(states(both)).toEqual(["done", "done"]);
    expect(both.cells[1]).toEqual(one.cells[1]);
    const log = (teacher: string): string =>
      readFileSync(join(out, "cells", teacher, "tiny-random", "no_intent", "lr-0.01", "seed-22", "log.jsonl"), "utf8");
    const [ann, bob] = [log("ann"), log("bob")];
    await runDistillation(two, out, { only: ["teacher=ann"], fresh: true });
    expect(log("bob")).toBe(bob);
    expect(log("ann")).not.toBe(ann);
  });

  it("trains added seeds in the cells that are asked for alone", async () => {
    const out = join(folder, "seeds");
    const grid = small({ teachers: ["ann", "bob"] });
    await runDistillation(grid, out);
    const more = { ...grid, seeds: [22, 42] } as const;
    expect(showPlan(more, out)).toContain("0 of 2 cells done, 2 left");
    expect(states(await runDistillation(more, out, { only: ["teacher=ann"] }))).toEqual(["done", "left"]);
    const trained = (teacher: string): string[] =>
      readdirSync(join(out, "cells", teacher, "tiny-random", "no_intent", "lr-0.01"));
    expect([trained("ann"), trained("bob")]).toEqual([["seed-22", "seed-42"], ["seed-22"]]);
    const both = await runDistillation(more, out);
    expect(both.cells.map(({ state, runs }) => [state, runs.length])).toEqual([
      ["done", 2],
      ["done", 2],
    ]);
  });

  it("chooses the rate by validation F1, then runs the other seeds at it; tests are for the chosen rate alone", async () => {
    const swept = await runDistillation(small({ learningRates: [1e-2, 1e-4], seeds: [22, 42] }), join(folder, "sweep"));
    const [{ sweep, runs, learningRate }] = swept.cells;
    expect(sweep.map((run) => [run.learningRate, run.seed])).toEqual([
      [1e-2, 22],
      [1e-4, 22],
    ]);
    expect(runs.map((run) => [run.learningRate, run.seed])).toEqual([
      [learningRate, 22],
      [learningRate, 42],
    ]);
    const rank = ({ validationF1, training }: (typeof sweep)[number]) => [validationF1 ?? -1, -training.bestLoss!] as const;
    const [best, other] = sweep.toSorted((a, b) => rank(b)[0] - rank(a)[0] || rank(b)[1] - rank(a)[1]);
    expect(best.learningRate).toBe(learningRate);
    expect(Object.keys(other.sets)).toEqual([config.validationSet]);
    expect(Object.keys(best.sets)).toEqual([config.validationSet, test]);
    expect(other.testF1).toBeNull();
  });

  it("stops early when the loss on validation traces no longer falls, and keeps the best epoch", async () => {
    // With such a rate the second epoch is worse than the first.
    const [{ runs }] = (await runDistillation(small({ learningRates: [0.5], epochs: 8, patience: 1 }), join(folder, "early")))
      .cells;
    const { validationLosses, epochs, bestEpoch } = runs[0].training;
    expect(epochs).toBeLessThan(8);
    expect(validationLosses).toHaveLength(epochs);
    expect(validationLosses.at(-1)).toBeGreaterThanOrEqual(validationLosses[bestEpoch!]);
    expect(epochs - 1 - bestEpoch!).toBe(1);
  });

  it("leaves out a test set that is not at hand, and says so", async () => {
    vi.stubEnv("TRUE_INTENTS_DATA", join(folder, "no data"));
    vi.stubEnv("TRUE_INTENTS_CACHE", join(folder, "no cache"));
    const left = await runDistillation(small({ testSets: [test, "aims-test"] }), join(folder, "left-out"));
    vi.unstubAllEnvs();
    expect(left.leftOut.map(({ set }) => set)).toEqual(["aims-test"]);
    expect(states(left)).toEqual(["done"]);
    expect(distillationTables(left)).toContain("aims-test was left out");
  });

  it("refuses a folder that another config began", async () => {
    await expect(runDistillation({ ...config, epochs: 3 }, join(folder, "grid"))).rejects.toThrow(/epochs was 2 and is 3/);
    writeFileSync(join(folder, "grid", "config.json"), JSON.stringify({ ...config, patience: -1 }));
    await expect(runDistillation(config, join(folder, "grid"))).rejects.toThrow(/patience must be a whole number of epochs/);
  });
});
