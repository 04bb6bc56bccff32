/** Reports of one model on a set: numbers against the scores they are made of, texts that cannot harm a terminal. */
import { describe, expect, it } from "vitest";
import type { LabelledPrompt } from "../../src/data/prompt.js";
import { calibrationBins } from "../../src/evaluate/curves.js";
import { confusions } from "../../src/evaluate/confusions.js";
import { throughputOf } from "../../src/evaluate/latency.js";
import { score } from "../../src/evaluate/metrics.js";
import { PredictionMismatchError, type Prediction } from "../../src/evaluate/predictions.js";
import { groupTable, latencyText, meanText, rangeText, setText } from "../../src/evaluate/report-tables.js";
import { reportMean, reportSet } from "../../src/evaluate/set-report.js";

const HOSTILE = "\u001b[31mred\u0007 | <script>alert(1)</script>\r\nnext\u202e";

type Said = [theme: string, gold: "harmful" | "safe", harm: Prediction["harm"], p: number | null];
const said: Said[] = [
  ["a", "harmful", "harmful", 0.9],
  ["a", "harmful", "safe", 0.2],
  ["a", "safe", "safe", 0.05],
  [HOSTILE, "safe", "harmful", 0.97],
  [HOSTILE, "safe", "unparsed", null],
  [HOSTILE, "harmful", "safe", 0.45],
  ["b", "safe", "safe", 0.3],
  ["b", "harmful", "harmful", 0.6],
];
const rows: LabelledPrompt[] = said.map(([theme, harm], i) => ({
  id: `${i}`,
  prompt: `${HOSTILE} ${i}`,
  intent: null,
  harm,
  theme,
  level: harm === "safe" ? "completely_safe" : "uncertain_harmful",
  source: "test",
}));
const predictions: Prediction[] = said.map(([, gold, harm, harmfulProbability], i) => ({
  id: `${i}`,
  gold,
  harm,
  intent: null,
  harmfulProbability,
  newTokens: i,
  milliseconds: 10,
}));
/** Control characters other than a line break, and those that turn the direction of text. */
const controls = /[^\P{Cc}\n]|[\u202a-\u202e]/u;

describe("the report of a set", () => {
  const report = reportSet(rows, predictions.toReversed(), { cosine: 0.5, compared: 3, missing: 1 });

  it("holds the scores, the constant answers, intervals around the scores and the share of unparsed answers", () => {
    expect(report.scores).toEqual(score(predictions));
    expect(report.constants.harmful.byRule.wrong.recall).toBe(1);
    expect(report.constants.safe.byRule.wrong.recall).toBe(0);
    const { f1, accuracy, auroc, f1AboveConstant } = report.intervals;
    expect(f1!.estimate).toBeCloseTo(report.scores.byRule.wrong.f1!, 12);
    expect(accuracy!.estimate).toBeCloseTo(report.scores.byRule.wrong.accuracy!, 12);
    expect(auroc!.estimate).toBeCloseTo(report.scores.auroc!, 12);
    const constant = report.constants.harmful.byRule.wrong.f1!;
    expect(f1AboveConstant!.estimate).toBeCloseTo(f1!.estimate - constant, 12);
    expect(report.unparsedRate).toBe(1 / 8);
  });

  it("breaks them down by theme and level, every row in one group", () => {
    expect(report.byTheme.map(({ name, scores }) => [name, scores.count])).toEqual([
      [HOSTILE, 3],
      ["a", 3],
      ["b", 2],
    ]);
    expect(report.byTheme[1].scores).toEqual(score(predictions.slice(0, 3)));
    expect(report.byLevel.map(({ name, scores }) => [name, scores.count])).toEqual([
      ["uncertain_harmful", 4],
      ["completely_safe", 4],
    ]);
  });

  it("counts time and tokens", () => {
    expect(report.throughput).toEqual({
      prompts: 8,
      seconds: 0.08,
      millisecondsPerPrompt: 10,
      generatedTokens: 28,
      tokensPerPrompt: 3.5,
    });
    expect(throughputOf([])).toMatchObject({ millisecondsPerPrompt: null, tokensPerPrompt: null });
  });

  it("refuses predictions of other rows", () => {
    expect(() => reportSet(rows, predictions.slice(1))).toThrow(PredictionMismatchError);
    expect(() => reportSet(rows.slice(1), predictions)).toThrow(PredictionMismatchError);
    expect(() => confusions([{ ...rows[0], harm: "safe" }], [predictions[0]])).toThrow(/gold label/);
  });

  it("has nothing to say about no rows", () => {
    const empty = reportSet([], []);
    expect(empty.intervals).toEqual({ f1: null, accuracy: null, auroc: null, f1AboveConstant: null });
    expect(empty.unparsedRate).toBeNull();
    expect(setText("none", "model", empty)).toContain("none (0 prompts)");
  });

  it("is text that no name or theme can break", () => {
    const text = [
      setText(HOSTILE, HOSTILE, report),
      groupTable(report.byTheme),
      meanText(reportMean([HOSTILE, "b"].map((name) => ({ name, predictions })))),
    ].join("\n\n");
    expect(text).not.toMatch(controls);
    const lines = groupTable(report.byTheme).split("\n");
    expect(lines).toHaveLength(5);
    expect(new Set(lines.map((line) => line.replaceAll("\\|", "").split("|").length))).toEqual(new Set([11]));
    expect(text).toContain("mean cosine to the annotators' 0.500 over 3 prompts, none stated for 1");
    expect(text).toContain("unparsed: 12.5%");
    const latency = { requests: 30, medianMilliseconds: 12.4, medianInterval: null, p95Milliseconds: 30, tokensPerPrompt: 3 };
    expect(latencyText(latency)).toMatch(/median 12 ms, 95% within 30 ms/);
    expect(latencyText({ ...latency, medianInterval: { low: 11, high: 14 } })).toMatch(/median 12 \(11 to 14\) ms,/);
    expect(rangeText(null)).toBe("not defined");
  });
});

describe("the mean over sets", () => {
  it("is unweighted, under each rule, and null where a set lacks the score", () => {
    const small = predictions.slice(0, 3);
    const mean = reportMean([
      { name: "x", predictions },
      { name: "y", predictions: small },
    ]);
    for (const rule of ["wrong", "dropped", "safe"] as const)
      expect(mean.f1[rule]).toBeCloseTo((score(predictions).byRule[rule].f1! + score(small).byRule[rule].f1!) / 2, 12);
    expect(mean.f1Interval!.estimate).toBeCloseTo(mean.f1.wrong!, 12);
    const oneClass = predictions.filter(({ gold }) => gold === "safe");
    expect(
      reportMean([
        { name: "x", predictions },
        { name: "z", predictions: oneClass },
      ]),
    ).toMatchObject({ auroc: null, aurocInterval: null });
    expect(reportMean([])).toMatchObject({ auroc: null, f1Interval: null });
  });
});

describe("confusions", () => {
  it("come errors first, the surest first, each row once", () => {
    expect(
      confusions(rows, predictions).map(({ outcome, row, confidence }) => [outcome, row.id, confidence?.toFixed(2) ?? null]),
    ).toEqual([
      ["missed", "1", "0.80"],
      ["missed", "5", "0.55"],
      ["false alarm", "3", "0.97"],
      ["unparsed", "4", null],
      ["found", "0", "0.90"],
      ["found", "7", "0.60"],
      ["passed", "2", "0.95"],
      ["passed", "6", "0.70"],
    ]);
  });
});

describe("calibration bins", () => {
  it("hold every row once, (low, high], and say how often their rows are harmful", () => {
    const bins = calibrationBins(
      [0, 0.1, 0.2, 0.3, 0.5, 1].map((probability, i) => ({ positive: i % 2 === 1, probability })),
      5,
    );
    expect(bins.map((bin) => bin.count)).toEqual([3, 1, 1, 0, 1]);
    expect(bins[0]).toMatchObject({ low: 0, high: 0.2, harmfulShare: 1 / 3 });
    expect(bins[0].meanProbability).toBeCloseTo(0.1, 12);
    expect(bins[3]).toMatchObject({ meanProbability: null, harmfulShare: null });
  });
});
