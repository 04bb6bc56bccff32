import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LabelledPrompt } from "../../src/data/prompt.js";
import type { IntentToJudge, Judge, JudgeVerdict } from "../../src/intent/judge.js";
import { MiningError, mineIntentErrors, type MiningProgress } from "../../src/intent/mine.js";
import { countMined, SAMPLE_OUTCOMES } from "../../src/intent/mined.js";
import { pairsOf } from "../../src/intent/pair-sets.js";
import { createRandom } from "../../src/random.js";
import { failure, fakeEngine, textOf } from "./fake-engine.js";

const row = (
  id: string,
  prompt: string,
  intent: string | null,
  harm: LabelledPrompt["harm"],
  theme?: string,
): LabelledPrompt => ({
  ...{ id, prompt, intent, harm, source: "test" },
  level: harm === "safe" ? "completely_safe" : "completely_harmful",
  ...(theme !== undefined && { theme }),
});
const rows = [
  row("1", "kill a job", "To end a program", "safe", "coding"),
  row("2", "kill a colleague", "To hurt a colleague", "harmful", "violence"),
  row("3", "no intent here", null, "safe"),
  row("4", "blank intent", "  ", "safe"),
  row("5", "odd gold", "To x; Harm: safe", "safe"),
];

/** Samples by prompt; labels of intents by word. */
const SAMPLES: Record<string, string[]> = {
  "kill a job\n": [
    "Intent: To hurt someone; Harm: safe",
    "Intent: to end a  program.; Harm: safe",
    "Intent: To stop\na process; Harm: harmful",
    "what",
  ],
  "kill a colleague\n": [
    "Intent: To hurt someone; Harm: harmful",
    "Intent: a; Harm: safe\nIntent: To cook; Harm: safe",
    "Intent: To puzzle; Harm: safe",
    "",
  ],
};
const engineOf = (order: number) =>
  fakeEngine(
    (request, sample) => {
      const text = textOf(request);
      if (text in SAMPLES) return SAMPLES[text][sample] || failure("busy");
      if (text.includes("puzzle")) return " perhaps";
      return text.includes("hurt") ? " harmful" : " safe";
    },
    { order },
  );

describe("mining", () => {
  it("samples, relabels each distinct intent alone, and says of every sample what became of it", async () => {
    const engine = engineOf(1);
    const result = await mineIntentErrors(engine, rows, { samples: 4 });
    expect(
      result.samples.map(({ id, sampledIntent, sampledHarm, relabelledHarm, outcome }) => [
        id,
        sampledIntent,
        sampledHarm,
        relabelledHarm,
        outcome,
      ]),
    ).toEqual([
      ["1#0", "To hurt someone", "safe", "harmful", "label_error"],
      ["1#1", "to end a program.", "safe", null, "equals_gold"],
      ["1#2", "To stop a process", "harmful", "safe", "label_right"],
      ["1#3", null, "unparsed", null, "unparsed"],
      ["2#0", "To hurt someone", "harmful", "harmful", "label_right"],
      ["2#1", "To cook", "safe", "safe", "label_error"],
      ["2#2", "To puzzle", "safe", null, "relabel_unparsed"],
      ["2#3", null, "unparsed", null, "failed"],
    ]);
    expect(result.samples[7].failure).toEqual({ stage: "sample", reason: "busy", retryable: true });
    expect(result).toMatchObject({
      skipped: { noGoldIntent: 2, unwritableGold: ["5"] },
      distinctIntents: 4,
      engine: "fake",
      judge: null,
    });
    expect(result.counts.all).toMatchObject({ rows: 2, samples: 8, outcomes: { label_error: 2, label_right: 2, judge_bad: 0 } });
    expect(result.counts.byTheme.map(({ name, samples, outcomes }) => [name, samples, outcomes.label_error])).toEqual([
      ["coding", 4, 1],
      ["violence", 4, 1],
    ]);

    const [first, ...relabels] = [engine.asked[0], ...engine.asked.slice(2)];
    expect(first).toEqual({
      input: { text: "kill a job\n" },
      maxNewTokens: 64,
      temperature: 0.8,
      topP: 0.95,
      samples: 4,
      seed: 22,
    });
    expect(relabels.map(textOf).sort()).toEqual([
      "Intent: To cook; Harm:",
      "Intent: To hurt someone; Harm:",
      "Intent: To puzzle; Harm:",
      "Intent: To stop a process; Harm:",
    ]);
    for (const { temperature, samples } of relabels) expect({ temperature, samples }).toEqual({ temperature: 0, samples: 1 });
  });

  it("asks the judge about intents with the right label alone", async () => {
    const asked: IntentToJudge[] = [];
    const verdicts: (JudgeVerdict | null)[] = ["decent", "bad"];
    const judge: Judge = { name: "J", judge: (items) => Promise.resolve((asked.push(...items), verdicts)) };
    const progress: MiningProgress[] = [];
    const result = await mineIntentErrors(engineOf(1), rows, { samples: 4, judge, onProgress: (p) => progress.push(p) });
    expect(asked).toEqual([
      { prompt: "kill a job", goldIntent: "To end a program", sampledIntent: "To stop a process" },
      { prompt: "kill a colleague", goldIntent: "To hurt a colleague", sampledIntent: "To hurt someone" },
    ]);
    expect(result.samples[2]).toMatchObject({ judgeVerdict: "decent", outcome: "judge_decent" });
    expect(result.samples[4]).toMatchObject({ judgeVerdict: "bad", outcome: "judge_bad" });
    expect(result.judge).toBe("J");
    expect(progress.at(-1)).toEqual({ stage: "judge", done: 2, total: 2 });
    expect(progress.filter(({ stage }) => stage === "sample").at(-1)).toEqual({ stage: "sample", done: 8, total: 8 });

    const pairs = pairsOf(result.samples);
    expect(pairs.map(({ id, reason, chosen, rejected }) => [id, reason, chosen, rejected])).toEqual([
      ["1#0", "label_error", "Intent: To end a program; Harm: safe", "Intent: To hurt someone; Harm: harmful"],
      ["1#2", "judge_decent", "Intent: To end a program; Harm: safe", "Intent: To stop a process; Harm: safe"],
      ["2#0", "judge_bad", "Intent: To hurt a colleague; Harm: harmful", "Intent: To hurt someone; Harm: harmful"],
      ["2#1", "label_error", "Intent: To hurt a colleague; Harm: harmful", "Intent: To cook; Harm: safe"],
    ]);
    expect(pairs[0]).toMatchObject({ rowId: "1", theme: "coding", level: "completely_safe", judgeVerdict: null, weight: 1 });
  });

  it("counts a judge without a verdict, and intents that cannot be labelled now", async () => {
    const judge: Judge = { name: "J", judge: (items) => Promise.resolve(items.map(() => null)) };
    const { samples } = await mineIntentErrors(engineOf(1), rows, { samples: 4, judge });
    expect(samples[2].outcome).toBe("judge_none");
    const down = fakeEngine((request, sample) => SAMPLES[textOf(request)]?.[sample] || failure("refused", false));
    const result = await mineIntentErrors(down, rows, { samples: 4 });
    expect(result.samples[0]).toMatchObject({
      sampledIntent: "To hurt someone",
      relabelledHarm: null,
      outcome: "failed",
      failure: { stage: "relabel", reason: "refused", retryable: false },
    });
    expect(pairsOf(result.samples)).toEqual([]);
  });

  it("gives the same whatever the order of answers", async () => {
    const one = await mineIntentErrors(engineOf(1), rows, { samples: 4 });
    const two = await mineIntentErrors(engineOf(2), rows, { samples: 4 });
    expect(two).toEqual(one);
  });

  it("records answers that never come, and stops when it is told to", async () => {
    const mute = fakeEngine((_request, sample) => (sample === 0 ? null : "Intent: To x; Harm: safe"));
    const { samples } = await mineIntentErrors(mute, rows.slice(0, 1), { samples: 2 });
    expect(samples[0].failure).toMatchObject({ stage: "sample", reason: "the engine gave no answer", retryable: true });
    expect(samples[1].failure).toMatchObject({ stage: "relabel" });
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(mineIntentErrors(mute, rows, { signal })).rejects.toThrow("enough");
  });

  it("refuses rows with one id and no samples; takes no rows", async () => {
    await expect(mineIntentErrors(engineOf(1), [rows[0], rows[0]])).rejects.toThrow(MiningError);
    await expect(mineIntentErrors(engineOf(1), rows, { samples: 0 })).rejects.toThrow(/0 samples/);
    expect((await mineIntentErrors(engineOf(1), [])).samples).toEqual([]);
  });

  it("names every sample's outcome once and makes readable pairs, whatever a model writes", async () => {
    const pieces =
      "Intent:|; Harm:| harmful| safe|\n|<|im_end|>|</think>|To bake| To end a program|\u0000|\ud800|Intent: To x; Harm: safe|;".split(
        "|",
      );
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const engine = fakeEngine((request, sample) => {
          const random = createRandom(seed, textOf(request), sample);
          return Array.from({ length: random.integer(7) }, () => pieces[random.integer(pieces.length)]).join("");
        });
        const { samples, counts } = await mineIntentErrors(engine, rows.slice(0, 2), { samples: 5 });
        expect(samples).toHaveLength(10);
        expect(SAMPLE_OUTCOMES.reduce((sum, outcome) => sum + counts.all.outcomes[outcome], 0)).toBe(10);
        expect(counts).toEqual(countMined(samples));
        for (const pair of pairsOf(samples)) {
          expect(pair.rejected).toBe(`Intent: ${pair.sampledIntent}; Harm: ${pair.relabelledHarm}`);
          expect(pair.relabelledHarm).not.toBe(pair.goldHarm);
        }
      }),
    );
  });
});
