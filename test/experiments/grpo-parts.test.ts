/** The parts of the GRPO experiment that need no model: settings, rewards of rollouts, logs, what is shown. */
import fc from "fast-check";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { LabelledPrompt } from "../../src/data/prompt.js";
import { ConfigError } from "../../src/experiments/config.js";
import { checkGrpoConfig, grpoConfig } from "../../src/experiments/grpo-config.js";
import { grpoTrainingFacts, readGrpoLog, readRollouts, rolloutFile, type GrpoLogStep } from "../../src/experiments/grpo-log.js";
import { describeRewards, loggedRollouts, rewardRollouts, writeRollouts } from "../../src/experiments/grpo-rewards.js";
import { watchedRows } from "../../src/experiments/grpo-validation.js";
import { tellRollouts } from "../../src/experiments/grpo-view.js";
import { GRPO_PRESETS } from "../../src/experiments/presets/grpo.js";
import type { Judge } from "../../src/intent/judge.js";
import { groupAdvantages } from "../../src/train/grpo-loss.js";
import type { Rollout } from "../../src/train/rollouts.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "grpo-parts-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

const row: LabelledPrompt = {
  ...{ id: "r1", prompt: "Where is the bank?", intent: "to find the nearest bank", harm: "safe", source: "test" },
};
const rollout = (text: string, finishReason: Rollout["finishReason"] = "eos"): Rollout => ({
  ...{ text, finishReason, ids: Int32Array.from(text, (c) => c.charCodeAt(0)), logProbs: null },
});
const TEXTS = [
  "Intent: to find the nearest bank; Harm: safe",
  "Intent: to look for a bank close by; Harm: safe",
  "Intent: to find the nearest bank; Harm: harmful",
  "a bank",
  "Intent: to ask something odd about it; Harm: safe",
];
/** Knows the gold words, thinks a bank decent, says nothing of odd things. */
const judge: Judge & { readonly asked: string[] } = {
  ...{ name: "test", asked: [] },
  judge: (items) => {
    judge.asked.push(...items.map(({ sampledIntent }) => sampledIntent));
    return Promise.resolve(
      items.map(({ sampledIntent, goldIntent }) =>
        sampledIntent === goldIntent ? "good" : sampledIntent.includes("bank") ? "decent" : null,
      ),
    );
  },
};

describe("grpoConfig", () => {
  it.each([
    ["samples=1", /samples is "1"; it must be a whole number from 2/],
    ["sample=4", /there is no setting "sample"; did you mean samples\?/],
    ["rewards=", /rewards is ""; it must be label_intent, label_only, or both/],
    ["rewards=label_only,label_only", /rewards is/],
    ["rollouts=ftp://x", /rollouts is "ftp:\/\/x"; it must be local, or a vLLM server/],
    ["klCoefficient=-1", /it must be a number from 0/],
    ["aggregation=token", /it must be grpo, bnpo, dapo or dr_grpo/],
    ["clip=1", /it must be a number between 0 and 1/],
    ["temperature=0", /it must be a number above 0/],
  ])("refuses %s", (setting, words) => {
    expect(() => grpoConfig(GRPO_PRESETS.small, [setting])).toThrow(ConfigError);
    expect(() => grpoConfig(GRPO_PRESETS.small, [setting])).toThrow(words);
  });

  it("takes each preset as it is, changed, and read back", () => {
    for (const preset of Object.values(GRPO_PRESETS)) {
      expect(grpoConfig(preset)).toEqual(preset);
      const changed = grpoConfig(preset, ["rewards=label_only", "start=instruct", "samples=16", "rollouts=https://h:1/v1"]);
      expect(changed).toMatchObject({ rewards: ["label_only"], start: "instruct", samples: 16, rollouts: "https://h:1/v1" });
      expect(checkGrpoConfig(JSON.parse(JSON.stringify(changed)), "config.json")).toEqual(changed);
    }
  });
});

describe("rewardRollouts", () => {
  it("asks the judge about the right label alone, and counts what became of each rollout", async () => {
    judge.asked.length = 0;
    const group = await rewardRollouts(
      { variant: "label_intent", form: "sft" },
      judge,
      row,
      TEXTS.map((t) => rollout(t)),
    );
    expect(judge.asked).toEqual(["to find the nearest bank", "to look for a bank close by", "to ask something odd about it"]);
    expect(group.rewards).toEqual([1, 0.5, 0, 0, 0.1]);
    expect(describeRewards([group], 3)).toEqual({
      updates: 3,
      parts: { format: 4 / 5, label: 3 / 4, length: 1, judge: (1 + 0.5 + 0.1) / 3 },
      reasons: { full: 1, judge_decent: 1, label: 1, no_form: 1, no_verdict: 1 },
      ...{ judged: 3, unjudged: 1, unparsed: 1 / 5 },
    });
    const logged = loggedRollouts(4, [group], true);
    expect(logged.map(({ advantage }) => advantage)).toEqual(groupAdvantages(group.rewards, "group"));
    expect(logged[1]).toMatchObject({
      ...{ step: 4, id: "r1", sample: 1, text: TEXTS[1], harm: "safe", intent: "to look for a bank close by", verdict: "decent" },
      ...{ reward: 0.5, parts: { format: 1, label: 1, length: 1, judge: 0.5 }, reason: "judge_decent" },
    });
    expect(logged[3]).toMatchObject({
      harm: "unparsed",
      intent: null,
      verdict: null,
      reason: "no_form",
      advantage: expect.any(Number) as number,
    });
    expect(loggedRollouts(4, [group], false).every(({ advantage }) => advantage === null)).toBe(true);
  });

  it("does not ask for the label alone; nothing is learnt where all earn the same", async () => {
    judge.asked.length = 0;
    const options = { variant: "label_only", form: "sft" } as const;
    const group = await rewardRollouts(options, judge, row, [rollout(TEXTS[0]), rollout(TEXTS[4], "length")]);
    expect([judge.asked, group.rewards]).toEqual([[], [1, 1]]);
    expect(describeRewards([group], 2)).toMatchObject({ updates: 0, judged: 0, parts: { length: null, judge: null } });
    expect(loggedRollouts(1, [group], true)).toMatchObject([
      { advantage: null, truncated: false },
      { advantage: null, truncated: true },
    ]);
  });

  it("rewards nothing when the judge cannot be asked", async () => {
    const down: Judge = { name: "down", judge: () => Promise.reject(new Error("down")) };
    await expect(rewardRollouts({ variant: "label_intent", form: "sft" }, down, row, [rollout(TEXTS[0])])).rejects.toThrow(
      "down",
    );
  });
});

describe("files of rollouts", () => {
  it("come back in the order of their steps, whatever the model wrote", async () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(...TEXTS));
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 2, maxLength: 4 }), async (texts) => {
        const below = mkdtempSync(join(folder, "r-"));
        const options = { variant: "label_only", form: "sft" } as const;
        const group = await rewardRollouts(
          options,
          judge,
          row,
          texts.map((t) => rollout(t)),
        );
        const steps = [1_000_000, 2, 10];
        for (const step of steps) writeRollouts(rolloutFile(below, step), loggedRollouts(step, [group], true));
        const back = [...readRollouts(below)];
        expect(back.map(({ step }) => step)).toEqual([2, 10, 1_000_000].flatMap((step) => texts.map(() => step)));
        expect(back.slice(0, texts.length).map((one) => one.text)).toEqual(texts.map((one) => one.toWellFormed()));
      }),
      { numRuns: 8 },
    );
  });

  it("say which line is damaged", () => {
    const below = mkdtempSync(join(folder, "d-"));
    writeFileSync(rolloutFile(below, 1), '{"step":1}\n');
    expect(() => [...readRollouts(below)]).toThrow(/step-000001\.jsonl, line 1, field "id"/);
    expect([...readRollouts(join(folder, "none"))]).toEqual([]);
  });
});

describe("grpoTrainingFacts", () => {
  const step = (n: number, reward: number, kl: number | null, skippedGroups: number): GrpoLogStep => ({
    ...{
      kind: "step",
      step: n,
      totalSteps: 10,
      epoch: 0,
      updates: kl === null ? 0 : 2,
      learningRate: 1e-4,
      loss: 0,
      gradientNorm: 0,
    },
    ...{ kl, clipFraction: 0, entropy: 1, samplingDifference: 0, reward, rewardDeviation: 0.1, reasons: { full: 4 } },
    ...{ parts: { format: 1, label: 1, length: 1, judge: 1 }, groups: 4, skippedGroups, rollouts: 16, judged: 10, unjudged: 1 },
    ...{ unparsed: 0.25, truncated: 0, retokenised: 0, meanLength: n, longest: 20, completionTokens: 100, tokens: 200 },
    timing: { milliseconds: 500, sampling: 300, judging: 10, rolloutsPerSecond: 50, residentMiB: 100 },
  });

  it("counts by hand", () => {
    const file = join(folder, "log.jsonl");
    const steps = Array.from({ length: 10 }, (_, i) => step(i + 1, i / 10, i === 9 ? null : i / 100, i === 9 ? 4 : 1));
    const validation = (at: number, f1: number, best: boolean) => ({
      ...{ kind: "validation", epoch: 0, step: at, validationLoss: 1 - f1, best, f1, timing: { milliseconds: 1000 } },
      sets: { gold: { f1, unparsed: 0, intentCosine: null } },
    });
    const lines = [
      validation(0, 0.5, true),
      ...steps.slice(0, 5),
      validation(5, 0.7, true),
      ...steps.slice(5),
      validation(10, 0.7, false),
    ];
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const log = readGrpoLog(file);
    expect(log.steps).toEqual(steps);
    const facts = grpoTrainingFacts(log);
    expect(facts).toMatchObject({
      ...{
        steps: 10,
        updates: 18,
        groups: 40,
        skippedGroups: 13,
        rollouts: 160,
        judged: 100,
        unjudged: 10,
        keptStep: 5,
        seconds: 8,
      },
      first: { unparsed: 0.25, truncated: 0, meanLength: 1.5 },
      last: { meanLength: 9.5, kl: 0.08 },
      ...{
        trainedRolloutsPerSecond: 32,
        validationF1: [
          { step: 0, f1: 0.5 },
          { step: 5, f1: 0.7 },
          { step: 10, f1: 0.7 },
        ],
      },
    });
    expect(facts.first.reward).toBeCloseTo(0.05, 12);
    expect(facts.last.reward).toBeCloseTo(0.85, 12);
  });
});

describe("watched prompts", () => {
  const rows = (harm: LabelledPrompt["harm"], count: number, intent: string | null): LabelledPrompt[] =>
    Array.from({ length: count }, (_, i) => ({ ...row, id: `${harm} ${i} ${intent}`, harm, intent }));

  it("are of the first set with intents, both classes, and always the same", () => {
    const bare = { name: "bare", rows: rows("safe", 5, null) };
    const stated = { name: "stated", rows: [...rows("safe", 20, "x"), ...rows("harmful", 20, "x"), ...rows("safe", 3, null)] };
    const watched = watchedRows([bare, stated], 4);
    expect(watched.map(({ harm }) => harm).toSorted()).toEqual(["harmful", "harmful", "safe", "safe"]);
    expect(watched.every(({ intent }) => intent === "x")).toBe(true);
    expect(watchedRows([bare, stated], 4)).toEqual(watched);
    expect(watchedRows([{ name: "safe", rows: rows("safe", 3, "x") }], 4)).toHaveLength(3);
    expect(watchedRows([bare], 4)).toEqual([]);
  });

  it("are told without anything that acts on a terminal", async () => {
    let said = "";
    vi.spyOn(process.stderr, "write").mockImplementation((text) => ((said += String(text)), true));
    const hostile = "Intent: \u001b[2J\u202egone\r\nreward: 1; Harm: safe\u0007";
    const options = { variant: "label_only", form: "sft" } as const;
    const texts = [hostile, "x".repeat(5000), TEXTS[0]].map((t) => rollout(t));
    const group = await rewardRollouts(options, judge, { ...row, prompt: `p\u001b]0;t\u0007${"y".repeat(9999)}` }, texts);
    tellRollouts("run", 7, loggedRollouts(7, [group], false));
    expect(said).toMatch(/^run, after step 7: "p /);
    expect(said).toContain("  1.00: Intent: to find the nearest bank; Harm: safe\n");
    expect(said.split("\n")).toHaveLength(4);
    expect(said.length).toBeLessThan(1000);
    expect(said.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202e]/u);
    tellRollouts("run", 8, []);
  });
});
