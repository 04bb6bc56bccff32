/** The DPO experiment on a tiny model that was taught intents, and asked about rows whose annotators mean something else. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { dpoConfig, type DpoConfig } from "../../src/experiments/dpo-config.js";
import { dpoTables, type DpoSummary } from "../../src/experiments/dpo-summary.js";
import { runDpo } from "../../src/experiments/dpo.js";
import { DPO_PRESETS } from "../../src/experiments/presets/dpo.js";
import { RunFolderError } from "../../src/experiments/run-folder.js";
import { readPairs } from "../../src/intent/pairs-file.js";
import { adapterHash } from "../../src/experiments/evaluation.js";
import { contents } from "./folders.js";
import { HARM, plantSft, startJudge, type FakeJudge, type Intent } from "./planted.js";

// A tiny model is no faster on more threads, and much slower where other programs want the cores.
process.env["OMP_NUM_THREADS"] = "1";

/** What the annotators say of each prompt; SFT is taught every intent for every prompt, so that the verdict has to come from the intent. */
const GOLD: Readonly<Record<string, Intent>> = { apple: "to ask", brick: "to harm", cloud: "to sing", drum: "to steal" };

let folder: string;
let out: string;
let judge: FakeJudge;
let config: DpoConfig;
let summary: DpoSummary;

beforeAll(async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  let gold: string;
  ({ folder, gold } = await plantSft(GOLD));
  judge = await startJudge();
  config = dpoConfig({
    ...DPO_PRESETS.smoke,
    ...{
      sft: "../sft",
      seeds: [22],
      limit: 0,
      samples: 12,
      topP: 0.8,
      judge: judge.spec,
      trainSet: gold,
      selectionSets: [gold],
      testSets: [],
    },
    ...{ pairSets: ["wrong_only", "judge_bad_only", "curriculum"], maxPairs: 6, epochs: 4, learningRate: 3e-3 },
  });
  out = join(folder, "dpo");
  summary = await runDpo(config, out);
}, 240_000);
afterAll(() => {
  vi.restoreAllMocks();
  judge.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("runDpo", () => {
  it("mines the errors that the annotators' rows show up", () => {
    const { counts } = summary.mining["22"];
    expect(counts.all.samples).toBe(48);
    expect(counts.all.rows).toBe(4);
    const pairs = readPairs(join(out, "runs", "seed-22", "pairs.jsonl"));
    for (const { prompt, goldIntent, sampledIntent, relabelledHarm, reason, judgeVerdict } of pairs) {
      expect(goldIntent).toBe(GOLD[prompt]);
      expect(sampledIntent).not.toBe(goldIntent);
      expect([reason, judgeVerdict]).toEqual(
        relabelledHarm === HARM[GOLD[prompt]] ? ["judge_bad", "bad"] : ["label_error", null],
      );
    }
    const { label_error, judge_bad, equals_gold } = counts.all.outcomes;
    expect(pairs.filter(({ reason }) => reason === "label_error")).toHaveLength(label_error);
    expect(pairs.filter(({ reason }) => reason === "judge_bad")).toHaveLength(judge_bad);
    for (const outcome of [label_error, judge_bad, equals_gold]) expect(outcome).toBeGreaterThan(3);
    expect(Object.values(counts.all.outcomes).reduce((sum, count) => sum + count)).toBe(48);
  });

  it("trains on pairs that are balanced, cut, and say what they are", () => {
    const pairs = readPairs(join(out, "runs", "seed-22", "wrong_only", "pairs.jsonl"));
    expect(pairs).toHaveLength(6);
    expect(pairs.filter(({ goldHarm }) => goldHarm === "safe")).toHaveLength(3);
    for (const { prompt, chosen, rejected, sampledIntent, relabelledHarm, reason } of pairs) {
      expect(reason).toBe("label_error");
      expect(chosen).toBe(`Intent: ${GOLD[prompt]}; Harm: ${HARM[GOLD[prompt]]}`);
      expect(rejected).toBe(`Intent: ${sampledIntent}; Harm: ${relabelledHarm}`);
      expect(relabelledHarm).not.toBe(HARM[GOLD[prompt]]);
    }
  });

  it("moves the model to the annotators' side, and says so", () => {
    const f1 = (condition: string): number => Object.values(summary.overSeeds[condition])[0].f1.mean!;
    expect(f1("sft")).toBeLessThan(1);
    expect(f1("wrong_only")).toBeGreaterThan(f1("sft"));
    const run = summary.runs.find(({ condition }) => condition === "wrong_only")!;
    expect(run.training!.rewardMargin).toBeGreaterThan(0);
    expect(run.training!.rewardAccuracy).toBeGreaterThan(0.8);
    expect(run.training!.validationF1).toHaveLength(config.epochs);
    const [comparison] = summary.againstSft["wrong_only"].sets;
    expect(comparison.f1!.difference.estimate).toBeCloseTo(f1("wrong_only") - f1("sft"), 10);
    expect(dpoTables(summary)).toContain("wrong_only");
  });

  it("goes on in the curriculum from LE-DPO's adapter, held to the SFT model", () => {
    const read = (condition: string, file: string): string => readFileSync(join(out, "runs", "seed-22", condition, file), "utf8");
    const [alone, after] = ["judge_bad_only", "curriculum"].map((condition) => ({
      pairs: readPairs(join(out, "runs", "seed-22", condition, "pairs.jsonl")),
      reference: read(condition, "reference.json"),
      first: JSON.parse(read(condition, "log.jsonl").split("\n", 1)[0]) as { rewardMargin: number },
    }));
    expect(after.pairs).toEqual(alone.pairs);
    expect(after.reference).toBe(alone.reference);
    // Before its first step a policy that is the reference has no margin.
    expect(Math.abs(alone.first.rewardMargin)).toBeLessThan(1e-4);
    expect(Math.abs(after.first.rewardMargin)).toBeGreaterThan(0.01);
    expect(JSON.parse(read("curriculum", "config.json"))).toMatchObject({
      startSha256: adapterHash(join(out, "runs", "seed-22", "wrong_only", "adapter")),
      referenceSha256: adapterHash(join(folder, "sft", "generation", "best", "adapter")),
    });
  });

  it("leaves out nothing and starts from the SFT adapter", () => {
    expect(summary.skipped).toEqual([]);
    const stored = JSON.parse(readFileSync(join(out, "runs", "seed-22", "wrong_only", "config.json"), "utf8")) as object;
    const start = join(folder, "sft", "generation", "best", "adapter");
    expect(stored).toMatchObject({ model: "tiny-random", mode: "generation", startSha256: adapterHash(start) });
  });

  it("asks, trains and predicts nothing again, and ends in the same bytes after it was stopped", async () => {
    const before = judge.asked.length;
    const whole = contents(out);
    expect(await runDpo(config, out)).toEqual(summary);
    expect(judge.asked.length).toBe(before);

    // Stopped in the middle of the second condition, again and again.
    const stopped = join(folder, "stopped");
    for (let stops = 0; stops < 4; stops++) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("stop")), 300 + 400 * stops);
      await runDpo({ ...config, checkpointSeconds: 0 }, stopped, { signal: controller.signal }).catch(() => undefined);
    }
    await runDpo({ ...config, checkpointSeconds: 0 }, stopped);
    const again = contents(stopped);
    const files = [...whole.keys()].filter((file) => /adapter|log\.jsonl|predictions|pairs\.jsonl/.test(file));
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) expect(again.get(file) === whole.get(file), file).toBe(true);
  });

  it("leaves out what cannot be balanced, and what would go on from it", async () => {
    const safe = join(folder, "safe.jsonl");
    const rows = readFileSync(config.trainSet, "utf8").split("\n");
    writeFileSync(safe, rows.filter((line) => line.includes('"safe"')).join("\n"));
    const { skipped, runs } = await runDpo(
      { ...config, trainSet: safe, pairSets: ["wrong_only", "curriculum"] },
      join(folder, "one-class"),
    );
    expect(skipped.map(({ condition, reason }) => [condition, reason])).toEqual([
      ["wrong_only", expect.stringContaining("are of safe gold harm")],
      ["curriculum", "it goes on from wrong_only, which was left out"],
    ]);
    expect(runs.map(({ condition }) => condition)).toEqual(["sft"]);
  });

  it("says what to run first", async () => {
    await expect(runDpo({ ...config, sft: "../nowhere" }, join(folder, "x"))).rejects.toThrow(
      /run it first: true-intents run sft/,
    );
    await expect(runDpo({ ...config, seeds: [7] }, join(folder, "x"))).rejects.toThrow(
      new RunFolderError(
        join(folder, "sft"),
        "has no adapter of seed 7 (it has 22); run sft with --set seeds=…, or set seeds=22",
      ),
    );
    await expect(runDpo({ ...config, model: "other" }, join(folder, "x"))).rejects.toThrow(/is of the model tiny-random/);
  });
});
