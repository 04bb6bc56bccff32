/** `run ablations` as a user sees it: the plan, what is refused, and one ablation. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "./program.js";

process.env["OMP_NUM_THREADS"] = "1";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "run-ablations-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ablations = (...args: string[]) => run("run", "ablations", "--out", join(folder, "out"), "--preset", "smoke", ...args);

describe("run ablations", () => {
  it("shows the arms, and makes nothing", async () => {
    const { code, stdout } = await ablations("--plan", "--only", "mix");
    expect(code).toBe(0);
    expect(stdout).toMatch(/\| mix +\| mix +\| +48 \| +2 \| classification \| left +\|/);
    expect(stdout).toContain("0 of 6 arms done, 2 left, 4 not asked for: 2 not measured yet");
    expect(existsSync(join(folder, "out"))).toBe(false);
  });

  it.each([
    [["--only", "mixx"], /did you mean mix\?/],
    [["--set", "shares=2"], /shares is "2"/],
    [["--resume"], /there is no run in/],
  ])("refuses %j before anything is opened", async (args, message) => {
    const { code, stderr } = await ablations(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(existsSync(join(folder, "out"))).toBe(false);
  });

  it("runs what is asked for and prints each arm beside the annotated rows", async () => {
    const { code, stdout } = await ablations("--only=mix", "--set", "epochs=1", "--set", "limit=8");
    expect(code).toBe(0);
    expect(stdout).toMatch(/\| annotated +\| source, scale, mix \| classification \| +8 \|/);
    expect(stdout).toMatch(/\| mix +\| mix +\| classification \| +16 \|/);
    expect(stdout).toContain("less annotated");
  });
});
