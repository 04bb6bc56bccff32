/** The GRPO experiment on a tiny model that was taught intents, rewarded for those that the rows want. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { adapterHash } from "../../src/experiments/evaluation.js";
import type { GrpoConfig } from "../../src/experiments/grpo-config.js";
import { readGrpoLog, readRollouts, type GrpoLog, type LoggedRollout } from "../../src/experiments/grpo-log.js";
import { grpoTables, type GrpoSummary } from "../../src/experiments/grpo-summary.js";
import { runGrpo } from "../../src/experiments/grpo.js";
import { groupBy } from "../../src/group-by.js";
import { RunFolderError } from "../../src/experiments/run-folder.js";
import { groupAdvantages } from "../../src/train/grpo-loss.js";
import { GOLD, harmOf, plant } from "./grpo-planted.js";
import { startJudge, type FakeJudge } from "./planted.js";

// A tiny model is no faster on more threads, and much slower where other programs want the cores.
process.env["OMP_NUM_THREADS"] = "1";

let folder: string;
let out: string;
let judge: FakeJudge;
let config: GrpoConfig;
let summary: GrpoSummary;
let log: GrpoLog;
let rollouts: LoggedRollout[];
const run = (reward = "label_intent"): string => join(out, "runs", "seed-22", reward);

beforeAll(async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  judge = await startJudge();
  const planted = await plant();
  folder = planted.folder;
  config = { ...planted.config, judge: judge.spec, rewards: ["label_intent", "label_only"] };
  out = join(folder, "grpo");
  summary = await runGrpo(config, out);
  log = readGrpoLog(join(run(), "log.jsonl"));
  rollouts = [...readRollouts(join(run(), "rollouts"))];
}, 240_000);
afterAll(() => {
  vi.restoreAllMocks();
  judge.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("runGrpo", () => {
  it("raises the reward, and moves the model to the annotators' labels and intents", () => {
    const { first, last, keptStep } = summary.runs.find(({ condition }) => condition === "label_intent")!.training!;
    expect(keptStep).toBeGreaterThan(0);
    expect(last.reward).toBeGreaterThan(first.reward + 0.3);
    const set = Object.keys(summary.overSeeds["start"])[0];
    const of = (condition: string) => summary.overSeeds[condition][set];
    expect(of("label_intent").f1.mean!).toBeGreaterThan(of("start").f1.mean!);
    expect(of("label_intent").intentCosine.mean!).toBeGreaterThan(of("start").intentCosine.mean!);
    const { f1 } = summary.againstStart["label_intent"].sets[0];
    expect(f1!.difference.estimate).toBeCloseTo(of("label_intent").f1.mean! - of("start").f1.mean!, 10);
    expect(summary.intentAgainstLabel!.sets[0].prompts).toBe(4);
    expect(grpoTables(summary)).toContain("label_only, seed 22");
  });

  it("writes every rollout with what its reward came from", () => {
    expect(rollouts).toHaveLength(10 * 4 * 8);
    const groups = groupBy(rollouts, ({ step, id }) => `${step} ${id}`);
    for (const group of groups.values()) {
      const rewards = group.map(({ reward }) => reward);
      const advantages = groupAdvantages(rewards, "group");
      const skipped = new Set(rewards).size === 1;
      group.forEach(({ advantage }, i) => expect(advantage).toEqual(skipped ? null : advantages[i]));
    }
    for (const { prompt, gold, text, harm, intent, verdict, reward, parts, reason } of rollouts) {
      expect(gold).toEqual({ harm: harmOf(prompt), intent: GOLD[prompt] });
      expect(parts.format === 0).toBe(harm === "unparsed");
      if (intent !== null) expect(text).toContain(intent);
      if (harm !== gold.harm) expect([reward, verdict, parts.judge]).toEqual([0, null, null]);
      else expect(reward).toBeCloseTo(parts.format * parts.label! * parts.length! * parts.judge!, 12);
      if (reason === "full") expect([intent, verdict, reward]).toEqual([GOLD[prompt], "good", 1]);
      if (verdict === "bad") expect([intent === GOLD[prompt], parts.judge]).toEqual([false, 0.1]);
    }
  });

  it("logs each step as the rollouts have it", () => {
    expect(log.steps.map(({ step }) => step)).toEqual(Array.from({ length: 10 }, (_, i) => i + 1));
    for (const step of log.steps) {
      const own = rollouts.filter((rollout) => rollout.step === step.step);
      const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(step.reward).toBeCloseTo(mean(own.map(({ reward }) => reward)), 10);
      expect(step.unparsed).toBe(mean(own.map(({ parts }) => Number(parts.format === 0))));
      expect(step.truncated).toBe(mean(own.map(({ truncated }) => Number(truncated))));
      expect(step.parts.label).toBeCloseTo(mean(own.flatMap(({ parts }) => parts.label ?? [])), 10);
      expect(step.judged).toBe(own.filter(({ verdict }) => verdict !== null).length);
      expect(Object.values(step.reasons).reduce((sum, count) => sum + count)).toBe(step.rollouts);
      const groups = groupBy(own, ({ id }) => id);
      const equal = [...groups.values()].filter((group) => new Set(group.map(({ reward }) => reward)).size === 1).length;
      expect([step.groups, step.skippedGroups, step.updates]).toEqual([4, equal, equal === 4 ? 0 : 2]);
    }
    expect(log.steps[0].samplingDifference).toBeLessThan(1e-3);
    expect(log.steps.at(-1)!.kl).toBeGreaterThan(0);
  });

  it("asks the judge only where its verdict counts, and for the label alone not at all", () => {
    expect(judge.asked.length).toBeGreaterThan(0);
    const alone = readGrpoLog(join(run("label_only"), "log.jsonl")).steps;
    for (const { judged, parts } of alone) expect([judged, parts.judge, parts.length]).toEqual([0, null, null]);
    for (const { harm, gold, verdict } of rollouts) if (verdict !== null) expect(harm).toBe(gold.harm);
  });

  it("validates at the start, every few steps and at the end, keeps the best adapter, and watches the same prompts", () => {
    expect(log.validations.map(({ step }) => step)).toEqual([0, 4, 8, 10]);
    const best = Math.max(...log.validations.map(({ f1 }) => f1));
    const { keptStep } = summary.runs.find(({ condition }) => condition === "label_intent")!.training!;
    expect(log.validations.find(({ f1 }) => f1 === best)!.step).toBe(keptStep);
    // The kept adapter is what was validated there.
    const [set] = Object.keys(summary.overSeeds["label_intent"]);
    expect(summary.overSeeds["label_intent"][set].f1.mean).toBeCloseTo(best, 10);
    expect(Object.values(log.validations.find(({ step }) => step === keptStep)!.sets)[0].intentCosine).toBeCloseTo(
      summary.overSeeds["label_intent"][set].intentCosine.mean!,
      5,
    );
    const watched = [...readRollouts(join(run(), "watched"))];
    expect(watched).toHaveLength(4 * config.watched * config.samples);
    const prompts = [...groupBy(watched, ({ step }) => step).values()].map((own) => [...new Set(own.map(({ id }) => id))]);
    for (const ids of prompts) expect(ids).toEqual(prompts[0]);
  });

  it("starts from the SFT adapter, and does nothing a second time", async () => {
    const stored = JSON.parse(readFileSync(join(run(), "config.json"), "utf8")) as object;
    const start = join(folder, "sft", "generation", "best", "adapter");
    expect(stored).toMatchObject({ model: "tiny-random", mode: "generation", startSha256: adapterHash(start) });
    expect(existsSync(join(run(), "checkpoints"))).toBe(false);
    expect(readdirSync(join(run(), "rollouts"))).toHaveLength(10);
    const before = judge.asked.length;
    expect(await runGrpo(config, out)).toEqual(summary);
    expect(judge.asked.length).toBe(before);
  });

  it("keeps no prediction of a start that was trained anew", async () => {
    const [own, sft] = [join(folder, "own"), join(folder, "own-sft")];
    cpSync(join(folder, "sft"), sft, { recursive: true, verbatimSymlinks: true });
    const one = { ...config, sft: "../own-sft", rewards: ["label_only"], steps: 1, validateEvery: 1, watched: 0 } as const;
    await runGrpo(one, own);
    // As a stop before training leaves it.
    rmSync(join(own, "runs", "seed-22", "label_only"), { recursive: true });
    const adapter = join(sft, "generation", "lr-0.01", "seed-22", "adapter", "adapter_model.safetensors");
    const other = readFileSync(adapter);
    other[other.length - 1] ^= 1;
    writeFileSync(adapter, other);
    await expect(runGrpo(one, own)).rejects.toThrow(/seed-22: began from another adapter/);
  });

  it("says what to run first, and which field of a folder differs", async () => {
    await expect(runGrpo({ ...config, sft: "../nowhere" }, join(folder, "x"))).rejects.toThrow(
      /run it first: true-intents run sft/,
    );
    await expect(runGrpo({ ...config, seeds: [7] }, join(folder, "x"))).rejects.toThrow(RunFolderError);
    await expect(runGrpo({ ...config, samples: 4 }, out)).rejects.toThrow(/samples was 8 and is 4/);
  });

  it("starts from the model as it is, once for all seeds, with fresh adapters held to the model alone", async () => {
    const alone = { ...config, start: "instruct", sft: "../nowhere", seeds: [1, 2], rewards: ["label_only"] } as const;
    const found = await runGrpo({ ...alone, steps: 1, validateEvery: 1, judge: "embedding" }, join(folder, "instruct"));
    expect(found.runs.map((one) => [one.condition, one.seed, one.folder])).toEqual([
      ["start", 1, join("runs", "start")],
      ["label_only", 1, join("runs", "seed-1", "label_only")],
      ["start", 2, join("runs", "start")],
      ["label_only", 2, join("runs", "seed-2", "label_only")],
    ]);
    const stored = JSON.parse(
      readFileSync(join(folder, "instruct", "runs", "seed-1", "label_only", "config.json"), "utf8"),
    ) as object;
    expect(stored).toMatchObject({ start: "instruct", r: config.r, loraAlpha: config.loraAlpha, startSha256: null });
  });

  it("asks for reasoning in the chat template, and reads answers in that form alone", async () => {
    const reasoning = { ...config, format: "reasoning", rewards: ["label_only"], steps: 1, maxNewTokens: 32 } as const;
    await expect(runGrpo(reasoning, join(folder, "chat"))).rejects.toThrow(/does not fit into 256 tokens/);
    const found = await runGrpo({ ...reasoning, maxPromptTokens: 2000 }, join(folder, "chat-long"));
    expect(found.format).toBe("reasoning");
    // It was taught the short form, which earns nothing here.
    const [step] = readGrpoLog(join(folder, "chat-long", "runs", "seed-22", "label_only", "log.jsonl")).steps;
    expect(step).toMatchObject({ reward: 0, unparsed: 1, reasons: { no_form: 32 }, updates: 0, skippedGroups: 4 });
  });
});
