import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRunFolder } from "../../src/experiments/run-folder.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "run-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("openRunFolder", () => {
  it("tells whether a config is the one that is there, also after a restart", () => {
    const run = openRunFolder(folder);
    const config = { model: "m", learningRate: 1e-3, nested: { seeds: [1, 2] } };
    expect(run.matches("config.json", config)).toBe(false);
    run.writeJson("config.json", config);
    expect(openRunFolder(folder).matches("config.json", { ...config })).toBe(true);
    expect(run.matches("config.json", { ...config, learningRate: 2e-3 })).toBe(false);
    expect(existsSync(join(folder, "config.json.part"))).toBe(false);
  });

  it("logs one line an entry and clears what a run wrote, and nothing else", () => {
    const run = openRunFolder(folder);
    run.log({ step: 1, loss: 2.5 });
    run.log({ step: 2, loss: 2.25 });
    const lines = readFileSync(run.file("log.jsonl"), "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { step: 1, loss: 2.5 },
      { step: 2, loss: 2.25 },
    ]);
    writeFileSync(join(folder, "notes.txt"), "mine");
    run.clear();
    expect(existsSync(run.file("log.jsonl"))).toBe(false);
    expect(existsSync(run.file("predictions"))).toBe(true);
    expect(readFileSync(join(folder, "notes.txt"), "utf8")).toBe("mine");
  });
});
