/** The one table of a reproduction: against the summaries of the recorded runs, and made-up grids. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { resultsTable } from "../../src/experiments/reproduce-table.js";
import type { Prediction } from "../../src/evaluate/predictions.js";
import { writeGrid } from "../report/distillation-folder.js";
import { config, made, sets } from "../report/grpo-made.js";
import { writeGrpo } from "../report/grpo-folder.js";
import { said } from "../report/run-folder.js";

const recorded = (name: string): string => fileURLToPath(new URL(`../../results/recorded/${name}`, import.meta.url));
const none = join(tmpdir(), "there-is-no-such-folder");
const NONE = { sft: none, dpo: none, distillation: none, grpo: none };
const written: string[] = [];
afterAll(() => written.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

const lines = (table: string): string[][] => table.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
const row = (table: string, name: string): string[] => lines(table).find((cells) => cells[1] === name)!;

interface Spreads {
  readonly overSeeds: Readonly<Record<string, Readonly<Record<"f1" | "auroc", { mean: number; deviation: number }>>>>;
}

it("gives the recorded runs' means and deviations, with the paper's rows beneath", () => {
  const table = resultsTable({ ...NONE, sft: recorded("sft-small"), dpo: recorded("dpo-small") });
  const summary = (name: string): unknown => JSON.parse(readFileSync(join(recorded(name), "summary.json"), "utf8")) as unknown;
  const sft = summary("sft-small") as { modes: Record<string, Spreads> };
  const dpo = summary("dpo-small") as { overSeeds: Record<string, Spreads["overSeeds"]> };
  const text = ({ mean, deviation }: { mean: number; deviation: number }): string =>
    `${mean.toFixed(3)} ± ${deviation.toFixed(3)}`;
  const cell = ({ f1, auroc }: Spreads["overSeeds"][string]): string => `${text(f1)} / ${text(auroc)}`;
  for (const mode of ["generation", "classification"]) {
    const { overSeeds } = sft.modes[mode];
    expect(row(table, `gemma-3-270m SFT, ${mode}`).slice(2, 4)).toEqual([
      cell(overSeeds["sample-test"]),
      cell(overSeeds["xstest"]),
    ]);
  }
  expect(row(table, "gemma-3-270m LE-DPO").slice(2, 5)).toEqual([
    ...["sample-test", "xstest"].map((set) => cell(dpo.overSeeds["wrong_only"][set])),
    "0.0%",
  ]);
  // Published: no score on our own set, XSTest 0.908 and 4.66 ms; classification on XSTest 0.801.
  expect(row(table, "paper: Llama-3.1-8B SFT, generation").slice(2, 7)).toEqual(["", "0.908", "", "4.7", ""]);
  expect(row(table, "paper: Llama-3.1-8B SFT, classification")[3]).toBe("0.801");
  expect(row(table, "always harmful")[3]).toBe("0.615 / 0.500");
  expect(table.indexOf("paper: Llama-3.1-8B LE-DPO")).toBeGreaterThan(table.indexOf("gemma-3-270m LE-DPO"));
  expect(table).toContain("8 to 12 billion");
});

it("shows students and GRPO, says where fewer prompts were asked, and has no paper's row for sets that are not the paper's", async () => {
  const answers = (count: number): Prediction[] => said([]).slice(0, count);
  const grid = writeGrid({
    config: { teachers: ["ann"], students: ["tiny"], conditions: ["no_intent", "human_intent"], testSets: ["one"], seeds: [22] },
    cell: ({ condition }) =>
      condition === "no_intent" ? { state: "failed", reason: "no" } : { loss: 1, said: { one: answers(4) } },
  });
  const grpo = await writeGrpo({ sets, config, runs: [made("start", 22, [0]), made("label_intent", 22, [])] });
  written.push(grid, grpo);
  const table = resultsTable({ ...NONE, distillation: grid, grpo });
  expect(row(table, "tiny distilled from ann, human intent")[2]).toMatch(/^1\.000 \/ .* \(4\)$/);
  expect(table).not.toContain("tiny distilled from ann, no intent");
  expect(row(table, "tiny-random GRPO, label + intent")[2]).toMatch(/^1\.000/);
  expect(table).not.toContain("paper:");
  expect(table).not.toContain("8 to 12 billion");
});

it("says that there is nothing where there is nothing, and does not pass over damage", () => {
  expect(resultsTable(NONE)).toBe("There are no results yet.");
  const folder = mkdtempSync(join(tmpdir(), "damaged-"));
  written.push(folder);
  writeFileSync(join(folder, "summary.json"), "{");
  expect(() => resultsTable({ ...NONE, sft: folder })).toThrow(/summary\.json/);
});
