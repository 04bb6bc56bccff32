/** `npm start` is the small reproduction with the notebooks: what it promises about itself. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { START_RUN } from "../../src/commands/open.js";
import { NOTEBOOKS } from "../../src/commands/start.js";
import { SFT_PRESETS } from "../../src/experiments/presets/sft.js";
import { timeLeft } from "../../src/experiments/reproduce-plan.js";
import { openStages, reproduction, runFolders, STAGES } from "../../src/experiments/reproduce-stages.js";
import { planOf } from "../../src/experiments/reproduce.js";
import { run } from "./program.js";

const folder = mkdtempSync(join(tmpdir(), "start-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("trains both modes, needs nothing that must be asked for, and leaves its run where `run sft` and `predict` look", () => {
  const { small } = SFT_PRESETS;
  expect(small.modes).toEqual(["generation", "classification"]);
  const { sft, dpo, distillation, grpo } = reproduction("small");
  for (const { trainSet, selectionSets, testSets } of [sft, dpo, distillation, grpo]) {
    for (const set of [trainSet, ...selectionSets]) expect(set).toMatch(/^sample-/);
    expect(testSets).toContain("sample-test");
  }
  for (const engine of [dpo.judge, grpo.judge, grpo.rollouts]) expect(engine).not.toMatch(/^http/);
  const root = fileURLToPath(new URL("../..", import.meta.url));
  expect(relative(root, START_RUN)).toBe("results/runs/sft-small");
  expect(runFolders(dirname(START_RUN), "small").sft).toBe(START_RUN);
});

it("is expected to take about three quarters of an hour, of which every part is known", async () => {
  const what = reproduction("small");
  const plan = planOf([...(await openStages(what, "small", folder, STAGES, null)), NOTEBOOKS]);
  const { seconds, unknown } = timeLeft(plan);
  expect(unknown).toBe(0);
  expect(seconds).toBeGreaterThan(20 * 60);
  expect(seconds).toBeLessThan(55 * 60);
});

it("counts the notebooks that there are", () => {
  const there = readdirSync(fileURLToPath(new URL("../../notebooks", import.meta.url))).filter((file) => file.endsWith(".ipynb"));
  const { parts } = NOTEBOOKS.look();
  expect(parts).toHaveLength(there.length);
  expect(parts.reduce((sum, { expected }) => sum + expected!, 0)).toBe(25 * there.length);
});

it("shows its plan, the notebooks last, and takes no other size", async () => {
  const { code, stdout } = await run("start", "--plan");
  expect(code).toBe(0);
  const names = stdout.split("\n").flatMap((line) => /^\| (\w+) +\|/.exec(line)?.[1] ?? []);
  expect(names).toEqual(["stage", ...STAGES, "notebooks"]);
  expect((await run("start", "--preset", "paper")).code).toBe(2);
});
