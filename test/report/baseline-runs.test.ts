/** Baselines of a results folder as points: which are found, and their numbers by hand. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runBaseline } from "../../src/experiments/baseline.js";
import { LLAMA_GUARD_3 } from "../../src/prompts/guards/llama-guard.js";
import { QWEN3GUARD } from "../../src/prompts/guards/qwen3guard.js";
import { baselinePoints, baselineRequestPoints, findBaselines } from "../../src/report/baseline-runs.js";
import { paretoFigure } from "../../src/report/pareto.js";
import { scriptedEngine } from "../experiments/scripted-engine.js";

let results: string;
beforeAll(async () => {
  results = mkdtempSync(join(tmpdir(), "results-"));
  const rows = Array.from({ length: 8 }, (_, i) => ({
    ...{ id: `r${i}`, prompt: `question ${i}`, intent: null, source: "test" },
    harm: i < 4 ? ("harmful" as const) : ("safe" as const),
  }));
  const sets = ["a", "b"].map((name) => ({ name, rows }));
  // Three hits and one unparsed answer; no false alarm.
  const engine = scriptedEngine((text) => (text.endsWith("3") ? "hm" : Number(text.at(-1)) < 4 ? "unsafe" : "safe"));
  const runs = join(results, "runs");
  await runBaseline(engine, LLAMA_GUARD_3, sets, join(runs, "guards", "llama-guard-3"), { latency: true });
  await runBaseline(
    scriptedEngine(() => "Safety: Unsafe"),
    QWEN3GUARD,
    sets.slice(0, 1),
    join(results, "recorded", "qwen"),
  );
  // Own runs come before recorded ones; unfinished and other folders are passed over.
  cpSync(join(results, "recorded", "qwen"), join(runs, "qwen"), { recursive: true });
  cpSync(join(results, "recorded", "qwen"), join(runs, "unfinished"), { recursive: true });
  rmSync(join(runs, "unfinished", "summary.json"));
  // What an ablation took for labels is no baseline of its own.
  cpSync(join(results, "recorded", "qwen"), join(runs, "ablations", "labels"), { recursive: true });
  mkdirSync(join(runs, "sft"));
  writeFileSync(join(runs, "sft", "summary.json"), '{"model": "m", "modes": {}}');
});
afterAll(() => rmSync(results, { recursive: true }));

describe("findBaselines", () => {
  it("finds finished baselines, one of a name", () => {
    const found = findBaselines(results);
    expect(found.map(({ folder }) => folder)).toEqual([
      join(results, "runs", "guards", "llama-guard-3"),
      join(results, "runs", "qwen"),
    ]);
    expect([...found[0].predictions.keys()]).toEqual(["a", "b"]);
  });

  it("leaves out a set that was begun and not ended, which no summary tells of", () => {
    const file = join(results, "runs", "guards", "llama-guard-3", "predictions", "b.jsonl");
    const whole = readFileSync(file, "utf8");
    writeFileSync(file, whole.split("\n").slice(0, 3).join("\n") + "\n");
    expect([...findBaselines(results)[0].predictions.keys()]).toEqual(["a"]);
    writeFileSync(file, whole);
  });

  it("says which file is damaged", () => {
    const damaged = join(results, "runs", "damaged");
    mkdirSync(damaged);
    writeFileSync(join(damaged, "summary.json"), '{"kind": "baseline", "model": 3}');
    expect(() => findBaselines(results)).toThrow(/damaged\/summary\.json/);
    rmSync(damaged, { recursive: true });
  });

  it("finds none where there are no results", () => expect(findBaselines(join(results, "nowhere"))).toEqual([]));
});

describe("baselinePoints", () => {
  it("draws those that saw every set", () => {
    const [point, ...more] = baselinePoints(findBaselines(results), ["a", "b"]);
    expect(more).toEqual([]);
    expect(point).toMatchObject({ model: "scripted, llama-guard-3", group: "only asked here", sets: "a, b", unparsed: 1 / 8 });
    expect(point.score).toBeCloseTo(6 / 7, 12);
    expect(point.tokensPerPrompt).toBeCloseTo((3 * 6 + 2 + 4 * 4) / 8, 12);
    expect(point.interval!.low).toBeLessThan(point.score);
    expect(JSON.stringify(paretoFigure([point]))).toContain("llama-guard-3");
    expect(baselinePoints(findBaselines(results), ["a"]).map(({ model }) => model)).toHaveLength(2);
    expect(baselinePoints(findBaselines(results), [])).toEqual([]);
  });

  it("puts those that were timed at the time of a single request", () => {
    const points = baselineRequestPoints(findBaselines(results), ["a"]);
    expect(points).toHaveLength(1);
    expect(points[0].millisecondsPerPrompt).toBe(findBaselines(results)[0].single!.milliseconds);
  });
});
