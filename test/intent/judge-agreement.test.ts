import { describe, expect, it } from "vitest";
import { auroc } from "../../src/evaluate/curves.js";
import type { AnnotatedIntentPair } from "../../src/intent/annotated-pairs.js";
import { judgeAgreement } from "../../src/intent/judge-agreement.js";
import type { IntentToJudge, Judge, JudgeVerdict } from "../../src/intent/judge.js";

const judge = (verdict: (item: IntentToJudge) => JudgeVerdict | null): Judge => ({
  name: "test",
  judge: (items) => Promise.resolve(items.map(verdict)),
});
const pairs: AnnotatedIntentPair[] = Array.from({ length: 60 }, (_, i) => ({
  prompt: `prompt ${i % 40}`,
  first: `intent ${i % 40} a`,
  second: `intent ${i % 40} b ${i}`,
}));
const topic = (intent: string): string => intent.split(" ")[1];
const belongs = ({ goldIntent, sampledIntent }: IntentToJudge): boolean => topic(goldIntent) === topic(sampledIntent);

describe("agreement of a judge with annotators", () => {
  it("is whole for one who knows, and chance for one who does not look", async () => {
    const knowing = await judgeAgreement(
      judge((item) => (belongs(item) ? "good" : "bad")),
      pairs,
      { resamples: 200 },
    );
    expect(knowing).toMatchObject({
      judge: "test",
      same: { items: 60, good: 60, decent: 0, bad: 0, none: 0 },
      shuffled: { items: 60, good: 0, decent: 0, bad: 60, none: 0 },
      contrasts: null,
      contrastAuroc: null,
      auroc: { estimate: 1, low: 1, high: 1, resamples: 200 },
    });
    const blind = await judgeAgreement(
      judge(() => "decent"),
      pairs,
      { resamples: 200 },
    );
    expect(blind.auroc).toMatchObject({ estimate: 0.5, low: 0.5, high: 0.5 });
  });

  it("is the area under the curve of the rank, with an interval over prompts; the same for a seed", async () => {
    const verdicts: JudgeVerdict[] = ["good", "decent", "bad"];
    const noisy = judge(
      (item) =>
        verdicts[
          (item.sampledIntent.length +
            (belongs(item) ? Number(topic(item.goldIntent)) % 2 : 1 + (Number(topic(item.sampledIntent)) % 2))) %
            3
        ],
    );
    const result = await judgeAgreement(noisy, pairs, { resamples: 500 });
    const rows = (counts: { good: number; decent: number; bad: number }, positive: boolean) =>
      (["good", "decent", "bad"] as const).flatMap((verdict) =>
        Array.from({ length: counts[verdict] }, () => ({ positive, probability: { good: 1, decent: 0.5, bad: 0 }[verdict] })),
      );
    expect(result.auroc!.estimate).toBeCloseTo(auroc([...rows(result.same, true), ...rows(result.shuffled, false)])!, 12);
    expect(result.auroc!.low).toBeLessThan(result.auroc!.estimate);
    expect(result.auroc!.high).toBeGreaterThan(result.auroc!.estimate);
    expect(await judgeAgreement(noisy, pairs, { resamples: 500 })).toEqual(result);
  });

  it("draws all pairs of a prompt together: many annotations of few prompts say less than as many prompts", async () => {
    const width = async (prompts: number): Promise<number> => {
      const many = Array.from({ length: 120 }, (_, i) => ({
        prompt: `p ${i % prompts}`,
        first: `x ${i % prompts}`,
        second: `x ${i % prompts}`,
      }));
      const half = judge((item) => (belongs(item) ? (Number(topic(item.goldIntent)) % 2 === 0 ? "good" : "bad") : "decent"));
      const { auroc: interval } = await judgeAgreement(half, many, { resamples: 500 });
      return interval!.high - interval!.low;
    };
    expect(await width(12)).toBeGreaterThan(2 * (await width(120)));
  });

  it("counts items without a verdict, and has no area where nothing is left", async () => {
    const silent = await judgeAgreement(
      judge(() => null),
      pairs,
    );
    expect(silent.same).toEqual({ items: 60, good: 0, decent: 0, bad: 0, none: 60 });
    expect(silent.auroc).toBeNull();
    expect(
      (
        await judgeAgreement(
          judge(() => "good"),
          [],
        )
      ).auroc,
    ).toBeNull();
  });

  it("takes contrasts apart", async () => {
    const contrasts = [{ prompt: "prompt 1", goldIntent: "intent 1 a", sampledIntent: "other 2" }];
    const result = await judgeAgreement(
      judge((item) => (belongs(item) ? "good" : "bad")),
      pairs,
      { contrasts, resamples: 100 },
    );
    expect(result.contrasts).toEqual({ items: 1, good: 0, decent: 0, bad: 1, none: 0 });
    expect(result.contrastAuroc!.estimate).toBe(1);
  });
});
