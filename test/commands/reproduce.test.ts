/** `reproduce` as a user sees it: the plan, what is refused, a stage that fails, Ctrl-C. Whole runs: test/experiments/reproduce-stages.test.ts. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reproduction } from "../../src/experiments/reproduce-stages.js";

const bin = fileURLToPath(new URL("../../bin/true-intents.mjs", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param stopAt stops the command with Ctrl-C once it has said this */
function reproduce(args: readonly string[], stopAt?: string): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, OMP_NUM_THREADS: "1" };
    const child = spawn(process.execPath, [bin, "reproduce", "--preset", "smoke", ...args], { env });
    let [stdout, stderr] = ["", ""];
    let stopped = false;
    child.stdout.on("data", (piece: Buffer) => (stdout += piece.toString()));
    child.stderr.on("data", (piece: Buffer) => {
      stderr += piece.toString();
      if (stopAt === undefined || stopped || !stderr.includes(stopAt)) return;
      stopped = true;
      child.kill("SIGINT");
    });
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "reproduce-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("reproduce", () => {
  it("shows the plan and makes nothing", async () => {
    const out = join(folder, "plan");
    const { code, stdout } = await reproduce(["--plan", "--seeds", "22,42", "--only", "sft, dpo", "--out", out]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\| sft +\| generation and classification \(tiny-random\); seeds 22, 42 +\| left/);
    expect(stdout).toContain("0 of 2 stages done; 14 parts whose time nobody has measured");
    expect(existsSync(out)).toBe(false);
  });

  it("says what the paper's size needs: models, servers, data, traces", { timeout: 60_000 }, async () => {
    const { code, stdout } = await reproduce(["--preset", "paper", "--plan", "--out", folder]);
    expect(code).toBe(0);
    expect(stdout).toContain("llama-3.1-8b-instruct, 16.1 GB to download; HF_TOKEN");
    expect(stdout).toContain("| judge of dpo");
    expect(stdout).toMatch(/\| aims-train +\|/);
    expect(stdout).toMatch(/\| distillation +\| \d+ cells/);
  });

  it.each([
    [["--preset", "smal"], 2, /--preset is "smal"; .* Did you mean small\?/],
    [["--only", "sft,grp"], 2, /--only: there is no stage "grp"; did you mean grpo\?/],
    [["--seeds", "one"], 2, /seeds is "one"; it must be whole numbers/],
    [["--seed", "1"], 2, /Did you mean "--seeds"\?/],
    [
      ["--only", "dpo,latency"],
      1,
      /dpo: it needs sft first: npx true-intents reproduce --preset smoke --only sft .*\nlatency: it needs/,
    ],
  ])("refuses %j, and makes nothing", async (args, code, words) => {
    const out = join(folder, "refused");
    const ended = await reproduce([...args, "--out", out]);
    expect(ended.stderr).toMatch(words);
    expect(ended.code).toBe(code);
    expect(ended.stdout).toBe("");
    expect(existsSync(out)).toBe(false);
  });

  it("goes on after a stage that fails, tells of it at the end and by the exit code", async () => {
    const out = join(folder, "other");
    mkdirSync(join(out, "sft-smoke"), { recursive: true });
    const other = { ...reproduction("smoke").sft, epochs: 7 };
    writeFileSync(join(out, "sft-smoke", "config.json"), JSON.stringify(other));
    const { code, stdout, stderr } = await reproduce(["--only", "sft,dpo", "--out", out]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/sft: .*is of other settings \(epochs was 7 and is 40\)/);
    expect(stderr).toContain("dpo is left out: it goes on from sft, which is not done");
    expect(stdout).toContain("There are no results yet.");
    expect(stderr.trimEnd().split("\n").slice(-2)).toEqual([
      expect.stringMatching(/^true-intents: sft failed: .*epochs was 7 and is 40; use another --out, or --fresh/),
      "dpo was left out: it goes on from sft, which is not done",
    ]);
  });

  it("keeps everything on Ctrl-C, and says how to go on", { timeout: 120_000 }, async () => {
    const out = join(folder, "stopped");
    const ended = await reproduce(["--only", "sft,dpo", "--out", out], "validation loss");
    expect(ended.code, ended.stderr).toBe(130);
    expect(ended.stderr).toContain("Stopped; what is done is kept. The same command goes on from there");
    expect(ended.stderr).not.toContain("dpo: begins");
    expect(ended.stdout).toBe("");
    const plan = await reproduce(["--only", "sft,dpo", "--out", out, "--plan"]);
    expect(plan.stdout).toMatch(/\| sft +\| .*\| 0 of 4 done +\|/);
  });
});
