import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findings, type Experiments } from "../../src/report/bundle-findings.js";
import { readExperiment } from "../../src/report/runs.js";
import { said, writeExperiment } from "./run-folder.js";

const NONE: Experiments = { sft: null, dpo: null, distillation: null, grpo: null };
const run = { learningRate: 1e-3, seed: 22, chosen: true } as const;
let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "findings-"))));
afterAll(() => rmSync(folder, { recursive: true }));

it("say which of both modes is better, over which sets and seeds, with its interval", () => {
  // Generation errs on nothing, classification on all harmful prompts but one.
  const runs = (["generation", "classification"] as const).map((mode) => ({
    ...{ ...run, mode, predictions: { one: said(mode === "generation" ? [] : [0, 1]) } },
  }));
  const sft = readExperiment(writeExperiment(runs, ["one"], join(folder, "both")));
  const [finding, ...others] = findings({ ...NONE, sft });
  expect(others).toEqual([]);
  expect(finding.question).toBe("Does it help to state the intent?");
  expect(finding.lines).toEqual([expect.stringMatching(/F1 over one, one seed: .*\+0\.500, 95% interval/)]);
});

it("are none of experiments without a run, or with one mode", () => {
  expect(findings(NONE)).toEqual([]);
  const alone = writeExperiment([{ ...run, mode: "generation", predictions: { one: said([]) } }], ["one"], join(folder, "alone"));
  expect(findings({ ...NONE, sft: readExperiment(alone) })).toEqual([]);
});
