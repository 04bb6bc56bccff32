import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { run } from "./program.js";

const folder = mkdtempSync(join(tmpdir(), "true-intents-report-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("writes the recorded numbers as a page, and says where it is", async () => {
  const out = join(folder, "report");
  const { code, stdout } = await run("report", "--no-notebooks", "--out", out);
  expect(code).toBe(0);
  expect(stdout).toContain(`${join(out, "index.html")}: 0 notebooks`);
  const page = readFileSync(join(out, "index.html"), "utf8");
  expect(page).toContain("npx true-intents report --no-notebooks");
  expect(page).toContain("SFT, generation");
});

it("leaves a folder of other things alone, as wrong usage", async () => {
  writeFileSync(join(folder, "mine.txt"), "keep");
  const { code, stderr } = await run("report", "--no-notebooks", "--out", folder);
  expect(code).toBe(2);
  expect(stderr).toContain("holds files that are no report of ours; name another folder with --out");
});
