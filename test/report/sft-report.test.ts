import { describe, expect, it } from "vitest";
import { loadSample } from "../../src/data/sample.js";
import { tunedModels } from "../../src/report/measured-models.js";
import { pointsOf } from "../../src/report/pareto-points.js";
import { pointTable, sameSetTable } from "../../src/report/pareto-report.js";
import { paretoFrontier } from "../../src/report/pareto.js";
import { readExperiment } from "../../src/report/runs.js";
import {
  confusionTable,
  intentNearness,
  modeComparison,
  sftIntervals,
  sftScores,
  themeTable,
} from "../../src/report/sft-report.js";
import { said, writeExperiment } from "./run-folder.js";

/** Generation errs on one and on no prompt of xstest, classification on two and one; on the other set all err on one. */
const experiment = readExperiment(
  writeExperiment(
    (["generation", "classification"] as const).flatMap((mode, m) =>
      [22, 42].map((seed, s) => ({
        mode,
        learningRate: 1e-3,
        seed,
        chosen: true,
        predictions: {
          xstest: said(
            [
              [[0], []],
              [[0, 1], [3]],
            ][m][s],
            m === 0 ? { newTokens: 20, milliseconds: 60 } : {},
          ),
          other: said([2], m === 0 ? { newTokens: 20, milliseconds: 60 } : {}),
        },
      })),
    ),
    ["xstest", "other"],
  ),
);

describe("the tables", () => {
  it("hold means over seeds, computed by hand, and the constant answers", () => {
    const rows = sftScores(experiment) as { set: string; model: string; F1: string; "95% interval": string; recall: string }[];
    const of = (set: string, model: string): (typeof rows)[number] => rows.find((row) => row.set === set && row.model === model)!;
    // F1 0.8 (two of three found, no false alarm) and 1; then 0.5 and 6/7.
    expect(of("xstest", "generation").F1).toBe("0.900");
    expect(of("xstest", "classification").F1).toBe(((0.5 + 6 / 7) / 2).toFixed(3));
    expect(of("xstest", "always harmful").F1).toBe("0.667");
    expect(of("xstest", "always safe")).toMatchObject({ F1: "0.000", precision: "–" });
    expect(of("xstest", "generation")["95% interval"]).toMatch(/^0\.\d{3} to 1\.000$/);
  });

  it("put generation less classification beside its interval and one McNemar test a seed", () => {
    const rows = modeComparison(experiment) as Record<string, string>[];
    expect(rows.map(({ set }) => set)).toEqual(["xstest", "other", "mean of the sets"]);
    expect(rows[0]["F1 difference"]).toBe(`+${(0.9 - (0.5 + 6 / 7) / 2).toFixed(3)}`);
    expect(rows[1]["F1 difference"]).toBe("0.000");
    expect(rows[0]["McNemar, p for each seed"]).toBe("1.000, 1.000");
  });

  it("need no set that is not at hand", async () => {
    expect(await themeTable(experiment, "other-that-nobody-saw")).toEqual([]);
    expect(await confusionTable(experiment, "generation", "missed")).toEqual([]);
  });
});

describe("the figure of intervals", () => {
  it("has our modes, the paper's models on the sets that it reports, and the constant answer", () => {
    const data = sftIntervals(experiment).data as {
      name: string;
      x: number[];
      error_x: { array: number[]; visible: boolean };
    }[];
    expect(data.map(({ name, x }) => [name, x.length])).toEqual([
      ["tiny-random, generation", 2],
      ["tiny-random, classification", 2],
      ["Llama-3.1-8B (generation), published", 1],
      ["Gemma-3-12B (generation), published", 1],
      ["Llama-3.1-8B (classification), published", 1],
      ["always harmful", 2],
    ]);
    expect(data[2].x).toEqual([0.908]);
    expect(data[4].x[0]).toBeCloseTo(0.801, 3);
    expect([data[0].error_x.visible, data[2].error_x.visible]).toEqual([true, false]);
    expect(data[0].x[0] + data[0].error_x.array[0]).toBeCloseTo(1);
  });
});

describe("our own test rows", () => {
  const rows = loadSample().filter(({ split }) => split === "test");
  const own = readExperiment(
    writeExperiment(
      [
        {
          mode: "generation",
          learningRate: 1e-3,
          seed: 22,
          chosen: true,
          predictions: {
            "sample-test": rows.map(({ id, harm, intent }, i) => ({
              id,
              gold: harm,
              harm: i === 0 ? "safe" : harm,
              intent: i === 1 ? null : intent,
              harmfulProbability: harm === "harmful" ? 0.9 : 0.2,
              newTokens: 9,
              milliseconds: 1,
            })),
          },
        },
      ],
      ["sample-test"],
    ),
  );

  it("are counted by theme, each once", async () => {
    const table = (await themeTable(own, "sample-test")) as {
      prompts: number;
      harmful: number;
      "accuracy, generation": string;
    }[];
    expect(table.reduce((sum, { prompts }) => sum + prompts, 0)).toBe(rows.length);
    expect(table.filter((row) => row["accuracy, generation"] !== "1.000").length).toBe(rows[0].harm === "harmful" ? 1 : 0);
  });

  it("are browsed by error", async () => {
    const missed = (await confusionTable(own, "generation", "missed")) as { prompt: string; "gold intent": string }[];
    expect(missed.map(({ prompt }) => prompt)).toEqual(rows[0].harm === "harmful" ? [rows[0].prompt] : []);
    expect((await confusionTable(own, "generation", "found", 3)).length).toBe(3);
  });

  it("show intents nearer to their own gold intent than to another's", async () => {
    // A stand-in for the encoder: one axis a text, so that equal texts have cosine 1 and others 0.
    const texts = new Map<string, number>();
    const encode = (list: readonly string[]): Promise<Float32Array[]> =>
      Promise.resolve(
        list.map((text) => {
          if (!texts.has(text)) texts.set(text, texts.size);
          const vector = new Float32Array(1024);
          vector[texts.get(text)!] = 1;
          return vector;
        }),
      );
    const nearness = (await intentNearness(own, "sample-test", { dimension: 1024, encode, free: () => undefined }))!;
    expect(nearness.mean).toBe(1);
    expect(nearness.missing).toBe(1);
    expect(nearness.chance).toBeLessThan(0.1);
  });
});

describe("measured points", () => {
  it("are mean F1, time and tokens over sets and seeds", () => {
    const [generation, classification] = pointsOf(tunedModels(experiment));
    expect(generation).toMatchObject({ millisecondsPerPrompt: 60, tokensPerPrompt: 20, sets: "xstest, other" });
    expect(generation.score).toBeCloseTo((0.9 + 0.8) / 2);
    expect(generation.interval!.low).toBeLessThanOrEqual(generation.score);
    expect(classification).toMatchObject({ millisecondsPerPrompt: 10, tokensPerPrompt: 2 });
    const table = pointTable([generation, classification], paretoFrontier([generation, classification])) as Record<
      string,
      string
    >[];
    expect(table.map((row) => row["on its frontier"])).toEqual(["yes", "yes"]);
  });

  it("stand beside the published ones on one set, the best first", () => {
    const rows = sameSetTable(experiment, "xstest") as { model: string; from: string; F1: string }[];
    expect(rows.map(({ F1 }) => F1)).toEqual(
      rows
        .map(({ F1 }) => F1)
        .toSorted()
        .reverse(),
    );
    expect(rows.filter(({ from }) => from === "measured here").map(({ F1 }) => F1)).toContain("0.900");
  });
});
