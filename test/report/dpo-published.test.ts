import { describe, expect, it } from "vitest";
import {
  earlySweepTable,
  earlyTable,
  publishedDifferences,
  publishedFigure,
  publishedScores,
  repeatTable,
  repeatText,
  sweepFigure,
} from "../../src/report/dpo-published.js";
import { figureSvg } from "../../src/report/figure.js";

describe("the main table's rows", () => {
  it("are SFT, LE-DPO and IF-DPO with their means", async () => {
    const rows = publishedScores() as Record<string, string>[];
    expect(rows.map(({ model, xstest, mean }) => [model, xstest, mean])).toEqual([
      ["SFT", "0.908", "0.792"],
      ["LE-DPO", "0.884", "0.812"],
      ["IF-DPO", "0.909", "0.809"],
    ]);
    const [le, faithful] = publishedDifferences();
    expect(le.values["toxic-chat"].value).toBeCloseTo(0.7327 - 0.664);
    expect(faithful.values["wildguardmix"].value).toBeCloseTo(0.8505 - 0.856);
    expect((publishedFigure().data as { x: number[] }[]).map(({ x }) => x.length)).toEqual([6, 6, 6]);
    expect(await figureSvg(publishedFigure())).toContain("IF-DPO, published");
  });
});

describe("the early tables", () => {
  it("hold every model and setting once", () => {
    const models = earlyTable() as Record<string, string>[];
    expect(models.length).toBe(12);
    expect(models.find(({ set, model }) => set === "XSTest" && model === "DPO aug")).toMatchObject({ F1: "0.919", unparsed: 1 });
    const sweep = earlySweepTable() as Record<string, string | number>[];
    expect(sweep.map(({ beta, epochs }) => [Number(beta), epochs])).toEqual([
      [0.5, 2],
      [0.5, 1],
      [0.3, 2],
      [0.3, 1],
      [0.1, 1],
      [0.1, 2],
    ]);
    expect(sweep[5]).toMatchObject({ "judge: AIMS test": "0.669", "hard: XSTest": "0.791" });
  });
});

describe("the sweep of single runs", () => {
  it("finds the runs with the same settings", () => {
    const rows = repeatTable() as Record<string, string>[];
    expect(rows.map((row) => [row["runs"], row["what differs"], row["AIMS test F1"]])).toEqual([
      ["2 and 11", "nothing", "+0.015"],
      ["2 and 25", "the seed: 22, 42", "+0.096"],
      ["4 and 19", "nothing", "-0.019"],
      ["4 and 29", "the seed: 22, 42", "+0.082"],
      ["11 and 25", "the seed: 22, 42", "+0.081"],
      ["19 and 29", "the seed: 22, 42", "+0.101"],
    ]);
    expect(repeatText().split("\n")[0]).toBe(
      "AIMS test: another seed alone moves F1 by 0.081 to 0.101, the same settings again by 0.015 to 0.019; " +
        "all 35 runs lie between 0.544 and 0.747, SFT at 0.636.",
    );
  });

  it("draws every run once in each panel, and a bar for every change of seed", async () => {
    interface Trace {
      readonly name: string;
      readonly mode: string;
      readonly xaxis: string;
      readonly y: readonly (number | null)[];
      readonly marker?: { readonly symbol: readonly string[] };
    }
    const data = sweepFigure().data as Trace[];
    for (const axis of ["x", "x2", "x3"]) {
      const points = data.filter(({ mode, xaxis }) => mode === "markers" && xaxis === axis);
      expect(points.reduce((sum, { y }) => sum + y.length, 0)).toBe(35);
      // Four runs have label smoothing.
      expect(points.flatMap(({ marker }) => marker!.symbol).filter((symbol) => symbol.endsWith("-open")).length).toBe(4);
      const bars = data.find(({ name, xaxis }) => name === "another seed alone" && xaxis === axis)!;
      expect(bars.y.filter((value) => value === null).length).toBe(4);
    }
    const names = new Set(data.map(({ name }) => name));
    expect(names).toContain("harmful weighted, 4 epochs");
    const svg = await figureSvg(sweepFigure());
    for (const name of names) expect(svg).toContain(name);
  });
});
