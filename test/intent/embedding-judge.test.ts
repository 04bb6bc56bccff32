import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  embeddingJudge,
  fitThresholds,
  SAMPLE_THRESHOLDS,
  ThresholdError,
  youdenThreshold,
} from "../../src/intent/embedding-judge.js";
import {
  contrastItems,
  annotatedPairsOf,
  sampleAnnotatedPairs,
  shuffledItems,
  type AnnotatedIntentPair,
} from "../../src/intent/annotated-pairs.js";
import { judgeAgreement } from "../../src/intent/judge-agreement.js";
import { loadSentenceEncoder, type SentenceEncoder } from "../../src/model/sentence-encoder.js";

/** Texts as directions in a plane, by the angle in degrees that they spell. */
const byAngle = {
  encode: (texts: readonly string[]) =>
    Promise.resolve(
      texts.map((text) => Float32Array.of(Math.cos((Number(text) * Math.PI) / 180), Math.sin((Number(text) * Math.PI) / 180))),
    ),
};
const cosine = (degrees: number): number => Math.cos((degrees * Math.PI) / 180);

describe("Youden's threshold", () => {
  it("tells apart what can be told apart, halfway between", () => {
    expect(youdenThreshold([0.8, 0.9], [0.1, 0.4])).toEqual({ threshold: expect.closeTo(0.6, 10) as number, youden: 1 });
  });

  it("is the best of all thresholds", () => {
    const values = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(values, values, (above, below) => {
        const j = (threshold: number): number =>
          above.filter((x) => x >= threshold).length / above.length - below.filter((x) => x >= threshold).length / below.length;
        const { threshold, youden } = youdenThreshold(above, below);
        expect(j(threshold)).toBeCloseTo(youden, 10);
        for (let t = -0.5; t < 21; t++) expect(j(t)).toBeLessThanOrEqual(youden + 1e-9);
      }),
    );
  });
});

describe("the embedding judge", () => {
  it("fits thresholds on pairs of one prompt and of different prompts", async () => {
    // 10 and 20 degrees within prompts, 170 and 200 between them.
    const pairs = [
      { prompt: "a", first: "0", second: "10" },
      { prompt: "b", first: "180", second: "200" },
    ];
    const fitted = await fitThresholds(byAngle, pairs, "two prompts");
    expect(fitted).toMatchObject({ source: "two prompts", pairs: 2, youden: 1 });
    expect(fitted.decent).toBeCloseTo((cosine(20) + cosine(200)) / 2, 5);
    expect(fitted.good).toBeCloseTo(cosine(20) + (cosine(10) - cosine(20)) / 4, 5);
  });

  it("does not count other annotations of one prompt as another prompt", async () => {
    const pairs = [
      { prompt: "A  prompt", first: "0", second: "10" },
      { prompt: "a prompt", first: "0", second: "20" },
    ];
    await expect(fitThresholds(byAngle, pairs, "AIMS")).rejects.toThrow(ThresholdError);
    await expect(fitThresholds(byAngle, pairs, "AIMS")).rejects.toThrow(/AIMS: 2 pairs.*different prompts/);
  });

  it("says good, decent or bad by the cosine", async () => {
    const judge = embeddingJudge(byAngle, { decent: 0.3, good: 0.6 });
    const items = [10, 60, 90, 180].map((angle) => ({ prompt: "", goldIntent: "0", sampledIntent: String(angle) }));
    expect(await judge.judge(items)).toEqual(["good", "decent", "bad", "bad"]);
    expect(await judge.judge([])).toEqual([]);
    // No direction, no verdict.
    expect(await judge.judge([{ prompt: "", goldIntent: "0", sampledIntent: "x" }])).toEqual([null]);
  });
});

describe("annotated pairs", () => {
  const pairs: AnnotatedIntentPair[] = [
    { prompt: "a", first: "a1", second: "a2" },
    { prompt: "A ", first: "a1", second: "a3" },
    { prompt: "b", first: "b1", second: "b2" },
  ];

  it("are shuffled with intents of other prompts only, the same for a seed", () => {
    for (let seed = 0; seed < 20; seed++) {
      const items = shuffledItems(pairs, seed);
      expect(items).toHaveLength(3);
      for (const { prompt, goldIntent, sampledIntent } of items) {
        expect(goldIntent[0]).toBe(prompt.trim().toLowerCase());
        expect(sampledIntent[0]).not.toBe(goldIntent[0]);
      }
      expect(shuffledItems(pairs, seed)).toEqual(items);
    }
    expect(shuffledItems(pairs.slice(0, 2), 1)).toEqual([]);
  });

  it("are 150 of our set, and every two annotations of a set with several", () => {
    const own = sampleAnnotatedPairs();
    expect(own).toHaveLength(150);
    expect(new Set(own.map(({ prompt }) => prompt)).size).toBe(150);
    const row = (id: string, prompt: string, intent: string | null) =>
      ({ id, prompt, intent, harm: "safe", source: "x" }) as const;
    expect(annotatedPairsOf([row("1", "a", "x"), row("2", "b", "y"), row("3", "A", "z"), row("4", "a", null)])).toEqual([
      { prompt: "a", first: "x", second: "z" },
    ]);
  });

  it("have contrasts of like words and the other label", () => {
    const items = contrastItems(50, 22);
    expect(items).toHaveLength(50);
    expect(contrastItems(50, 22)).toEqual(items);
    for (const { goldIntent, sampledIntent } of items) expect(sampledIntent).not.toBe(goldIntent);
  });
});

const encoder: SentenceEncoder | null = await loadSentenceEncoder("all-minilm-l6-v2", { download: false }).catch(() => null);

describe.skipIf(encoder === null)("on all-MiniLM-L6-v2", () => {
  it("has the thresholds that our set's pairs give, and tells them from shuffled ones", { timeout: 600_000 }, async () => {
    const pairs = sampleAnnotatedPairs();
    const fitted = await fitThresholds(encoder!, pairs, SAMPLE_THRESHOLDS.source);
    expect(fitted.decent).toBeCloseTo(SAMPLE_THRESHOLDS.decent, 3);
    expect(fitted.good).toBeCloseTo(SAMPLE_THRESHOLDS.good, 3);
    expect(fitted.youden).toBeCloseTo(SAMPLE_THRESHOLDS.youden, 2);
    expect(fitted.pairs).toBe(SAMPLE_THRESHOLDS.pairs);
    const { same, shuffled, auroc } = await judgeAgreement(embeddingJudge(encoder!), pairs, { resamples: 200 });
    expect(same.good).toBeGreaterThanOrEqual(0.74 * same.items);
    expect(shuffled.bad).toBeGreaterThan(0.9 * shuffled.items);
    expect(auroc!.low).toBeGreaterThan(0.95);
    encoder!.free();
  });
});
