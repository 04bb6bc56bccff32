import { describe, expect, it } from "vitest";
import type { ScoredRow } from "../../src/evaluate/metrics.js";
import { markdownTable, scoreRows, scoreTable } from "../../src/evaluate/table.js";

const rows: ScoredRow[] = [
  { gold: "harmful", harm: "harmful", harmfulProbability: 0.9 },
  { gold: "harmful", harm: "unparsed", harmfulProbability: 0.6 },
  { gold: "safe", harm: "safe", harmfulProbability: 0.2 },
  { gold: "safe", harm: "harmful", harmfulProbability: 0.7 },
];

describe("the table of scores", () => {
  const lines = scoreTable(scoreRows("SmolLM2 135M", rows)).split("\n");
  const cells = lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

  it("has the model and both constant answers, all lines of one width", () => {
    expect(cells.map((row) => row[0])).toEqual([
      "",
      expect.stringMatching(/^-+$/),
      "SmolLM2 135M",
      "always harmful",
      "always safe",
    ]);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  });

  it("shows F1 with unparsed rows as wrong, and under the two other rules", () => {
    const column = (name: string): string => cells[2][cells[0].indexOf(name)];
    expect(column("F1")).toBe("0.500");
    expect(column("F1 dropped")).toBe("0.667");
    expect(column("F1 as safe")).toBe("0.500");
    expect(column("AUROC")).toBe("0.750");
    expect(column("unparsed")).toBe("1");
  });

  it("shows what is not defined as a dash, not as 0", () => {
    expect(cells[4][cells[0].indexOf("precision")]).toBe("–");
    expect(cells[4][cells[0].indexOf("recall")]).toBe("0.000");
  });
});

describe("a table", () => {
  it("is not broken by its texts", () => {
    const table = markdownTable(["na|me", "x"], [["a\nb\u001b[31m", "é🙂"]]);
    expect(table.split("\n")).toHaveLength(3);
    expect(table).toContain("na\\|me");
    expect(table).not.toContain("\u001b");
  });
});
