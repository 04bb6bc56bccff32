/** Which cells a grid has and is asked for, what is said of them, which rows they learn, and settings that are refused. */
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError } from "../../src/experiments/config.js";
import { cellFolder, cellsOf, checkFolders, chosenCells } from "../../src/experiments/distillation-cells.js";
import { checkDistillationConfig, distillationConfig } from "../../src/experiments/distillation-config.js";
import { needsText } from "../../src/experiments/distillation-needs.js";
import {
  markDone,
  markFailed,
  planLine,
  planText,
  readPlan,
  timeLeft,
  type PlannedCell,
} from "../../src/experiments/distillation-plan.js";
import { duration } from "../../src/experiments/plan.js";
import { commonRows, teacherRows } from "../../src/experiments/distillation-traces.js";
import { DISTILLATION_PRESETS } from "../../src/experiments/presets/distillation.js";
import { CONDITIONS } from "../../src/prompts/distillation.js";
import { loadTraces } from "../../src/traces/folder.js";
import type { Trace } from "../../src/traces/trace.js";
import { testRows, writeTestTraces } from "./distillation-traces.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plan-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const config = distillationConfig({ ...DISTILLATION_PRESETS.small, teachers: ["a", "b"], students: ["s", "org/t"] });

describe("chosenCells", () => {
  it("takes the cells that fit any of the filters, in the grid's order", () => {
    expect(chosenCells(config)).toEqual(cellsOf(config));
    expect(chosenCells(config)).toHaveLength(12);
    expect(chosenCells(config, ["teacher=b , student=org/t"]).map(cellFolder)).toEqual(
      CONDITIONS.map((condition) => join("cells", "b", "org_t", condition)),
    );
    expect(chosenCells(config, ["condition=no_intent", "teacher=a,student=s"])).toHaveLength(3 + 3);
  });

  it.each([
    ["teacher", /must be like teacher=NAME/],
    ["model=a", /must be like teacher=NAME/],
    ["teacher=a,teacher=b", /says teacher twice; give --only once more/],
    ["condition=human", /no condition "human"; did you mean human_intent\?/],
    ["student=zzzzzzzzz", /no student "zzzzzzzzz"; there are s, org\/t/],
    ["student=a\u202eb", /no student "a b"/],
    ["student=\u001b[31m", /no student " \[31m"/],
  ])("refuses %j", (only, message) => {
    expect(() => chosenCells(config, [only])).toThrow(message);
    expect(() => chosenCells(config, [only])).toThrow(ConfigError);
  });

  it("refuses two models that would share a folder", () => {
    expect(() => checkFolders(config)).not.toThrow();
    expect(() => checkFolders({ ...config, students: ["org/t", "org_t"] })).toThrow("org/t and org_t would share a folder");
  });
});

describe("the plan", () => {
  const out = (): string => mkdtempSync(join(folder, "out-"));
  const finished = (seconds: number, seeds: readonly number[] = config.seeds) => ({
    ...{ state: "done", seconds, runs: seeds.map((seed) => ({ seed })) },
  });
  const at = (plan: readonly PlannedCell[], i: number): PlannedCell => plan[i];

  it("reads what is done, failed and left from the cells' folders", () => {
    const where = out();
    const plan = readPlan(config, where, cellsOf(config));
    expect(plan.every(({ state }) => state === "left")).toBe(true);
    mkdirSync(join(where, cellFolder(at(plan, 0))), { recursive: true });
    markDone(at(plan, 0), where, finished(100));
    markFailed(at(plan, 1), where, "no room");
    expect(readPlan(config, where, cellsOf(config))).toEqual(plan);
    expect(plan.slice(0, 3).map(({ state, seconds, reason }) => [state, seconds, reason])).toEqual([
      ["done", 100, null],
      ["failed", null, "no room"],
      ["left", null, null],
    ]);
    // A cell fails after all, then succeeds.
    markFailed(at(plan, 0), where, "lost");
    mkdirSync(join(where, cellFolder(at(plan, 1))), { recursive: true });
    markDone(at(plan, 1), where, finished(50));
    expect(readPlan(config, where, cellsOf(config)).slice(0, 2)).toEqual(plan.slice(0, 2));
    writeFileSync(join(where, cellFolder(at(plan, 1)), "summary.json"), "{ damaged");
    expect(readPlan(config, where, cellsOf(config))[1].state).toBe("left");
  });

  it("takes a cell that has no run of an added seed for left", () => {
    const where = out();
    const plan = readPlan(config, where, cellsOf(config));
    for (const [i, seeds] of [[22], [22, 42], [42]].entries()) {
      mkdirSync(join(where, cellFolder(at(plan, i))), { recursive: true });
      markDone(at(plan, i), where, finished(100, seeds));
    }
    const states = (seeds: readonly [number, ...number[]]) =>
      readPlan({ ...config, seeds }, where, cellsOf(config)).map(({ state }) => state);
    expect(states([22]).slice(0, 4)).toEqual(["done", "done", "left", "left"]);
    expect(states([22, 42]).slice(0, 4)).toEqual(["left", "done", "left", "left"]);
  });

  it("estimates by what cells of the same student took, and says of how many it cannot", () => {
    const where = out();
    const plan = readPlan(config, where, chosenCells(config, ["teacher=a"]));
    expect(planLine(plan)).toBe("0 of 12 cells done, 6 left, 6 not asked for: 6 of students not measured yet");
    Object.assign(at(plan, 0), { state: "done", seconds: 600 });
    Object.assign(at(plan, 1), { state: "done", seconds: 720 });
    Object.assign(at(plan, 2), { state: "failed", reason: "why" });
    expect(timeLeft(plan)).toEqual({ seconds: 660, unknown: 3 });
    expect(planLine(plan)).toBe(
      "2 of 12 cells done, 1 failed, 3 left, 6 not asked for: about 11 min and 3 of students not measured yet",
    );
    const text = planText(plan);
    expect(text).toMatch(/\| a +\| s +\| no_intent +\| done +\| +10 min \|/);
    expect(text).toMatch(/\| failed: why +\| +~ 11 min \|/);
    expect(text).toMatch(/\| left, not asked for +\| +\? \|/);
  });

  it.each([
    [45, "45 s"],
    [100, "2 min"],
    [9000, "2.5 h"],
  ])("says %d seconds as %s", (seconds, text) => expect(duration(seconds)).toBe(text));

  it("says what the paper's models need, by hub id", () => {
    const text = needsText(DISTILLATION_PRESETS.paper);
    for (const hub of [
      "openai/gpt-oss-120b",
      "Qwen/Qwen3-32B",
      "RedHatAI/gemma-3-27b-it-quantized.w4a16",
      "meta-llama/Llama-3.1-8B-Instruct",
    ])
      expect(text).toContain(hub);
    expect(text).toContain("36 cells, 144 trainings of at most 5 epochs");
    expect(text).toMatch(/gpt-oss-120b +\|.*OpenAI-compatible server with about 82 GB/);
    expect(text).toMatch(/llama-3.1-8b-instruct +\|.*about 24 GB of memory.*licence/);
  });
});

describe("the rows of a teacher", () => {
  const rows = testRows(10);
  const traces = (change?: (trace: Trace) => Partial<Trace>): Trace[] => {
    writeTestTraces(folder, "t", "set", rows, change);
    return [...loadTraces(folder, "t", "set").traces];
  };

  it("have no intent, the teacher's, or the annotator's, and the gold label", () => {
    const by = commonRows(traces(), CONDITIONS, 0);
    const [first, second, third] = CONDITIONS.map((condition) => by.get(condition)![0]);
    expect(first.answer).toBe("Reasoning: t sees breaking.\nPrompt harm: harmful");
    expect(second.answer).toBe("Reasoning: t sees breaking.\nIntent: To please t\nPrompt harm: harmful");
    expect(third.answer).toBe("Reasoning: t sees breaking.\nIntent: To apple\nPrompt harm: harmful");
    expect(first.messages.at(-1)).toEqual({ role: "user", content: "break the apple" });
    expect(second.messages).toEqual(third.messages);
  });

  it("are the same in every condition: what one of them does not keep, none has", () => {
    const gone: Record<string, Partial<Trace>> = {
      "row-1": { reasoning: "…" },
      "row-3": { statedHarm: "harmful" },
      "row-4": { leaks: ["the label"] },
      "row-7": { teacherIntent: null },
    };
    const kept = traces(({ id, condition }) => (condition === "synthetic_intent" ? (gone[id] ?? {}) : {}));
    const prompts = (limited: readonly (typeof CONDITIONS)[number][]) =>
      [...commonRows(kept, limited, 0).values()].map((all) => all.map(({ messages }) => messages.at(-1)!.content));
    const all = prompts(CONDITIONS);
    expect(all[0]).toHaveLength(6);
    expect(all[1]).toEqual(all[0]);
    expect(all[2]).toEqual(all[0]);
    expect(prompts(["no_intent", "human_intent"])[0]).toHaveLength(10);
  });

  it("are drawn by id: a smaller draw is part of a larger one, in the set's order", () => {
    const all = traces();
    const drawn = (limit: number): string[] =>
      commonRows(all, ["no_intent"], limit)
        .get("no_intent")!
        .map(({ messages }) => messages.at(-1)!.content);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 10 }), (a, b) => {
        const [few, many] = [drawn(Math.min(a, b)), drawn(Math.max(a, b))];
        expect(few).toHaveLength(Math.min(a, b));
        expect(many.filter((prompt) => few.includes(prompt))).toEqual(few);
        expect(drawn(0).filter((prompt) => many.includes(prompt))).toEqual(many);
      }),
    );
  });

  it("are asked for by the path of their folder; none that can be trained on is an error", () => {
    const own = { ...config, traces: folder, trainSet: "set", validationSet: "set", trainRows: 3, validationRows: 2 };
    traces();
    const { train, validation } = teacherRows(own, "t");
    expect([train.get("no_intent")!.length, validation.get("human_intent")!.length]).toEqual([3, 2]);
    traces(() => ({ statedHarm: "unparsed" }));
    expect(() => teacherRows(own, "t")).toThrow(/traces of t on set.*none of them can be trained on in all of no_intent/);
    expect(() => teacherRows(own, "nobody")).toThrow(/by nobody is not available: there is no/);
  });
});

describe("distillationConfig", () => {
  it("keeps the paper's recipe", () => {
    expect(DISTILLATION_PRESETS.paper).toMatchObject({
      ...{ r: 32, loraAlpha: 64, beta2: 0.98, weightDecay: 0, warmupRatio: 0.1, batchSize: 8, epochs: 5, patience: 1 },
      ...{ maxLength: 4096, maxNewTokens: 1024, learningRates: [1e-5, 2e-5, 5e-5, 1e-4] },
    });
    for (const preset of Object.values(DISTILLATION_PRESETS)) expect(checkDistillationConfig(preset, "x")).toEqual(preset);
  });

  it.each([
    ["conditions=none", /conditions is "none"; it must be some of no_intent, synthetic_intent, human_intent/],
    ["students=", /students is ""; it must be names, hub ids or paths of models/],
    ["teachers=a,a", /teachers is "a,a"/],
    ["testSets=sample-validation", /testSets is "sample-validation"; it must be names of data sets that choose nothing/],
    ["patience=-1", /patience is "-1"; it must be a whole number of epochs/],
    ["student=x", /there is no setting "student"; did you mean students\?/],
  ])("refuses %s", (setting, message) => {
    expect(() => distillationConfig(DISTILLATION_PRESETS.small, [setting])).toThrow(message);
  });
});
