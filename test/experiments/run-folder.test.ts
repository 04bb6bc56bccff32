/** A run folder is of one config, but for the lists that say how much is run. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimFolder, RunFolderError } from "../../src/experiments/run-folder.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "claim-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const claim = (config: object): boolean => claimFolder(folder, config, undefined, ["seeds", "rewards"]);
const stored = (): unknown => JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as unknown;

describe("a folder that is claimed again", () => {
  it("takes longer lists where they begin as before, and keeps the longer one", () => {
    expect(claim({ rate: 1, seeds: [22] })).toBe(false);
    expect(claim({ rate: 1, seeds: [22, 42, 123] })).toBe(true);
    expect(stored()).toEqual({ rate: 1, seeds: [22, 42, 123] });
    expect(claim({ rate: 1, seeds: [22, 42, 123] })).toBe(true);
  });

  it.each([
    ["fewer", { rate: 1, rewards: ["a"], seeds: [22] }, /seeds was 22,42 and is 22;/],
    ["another beginning", { rate: 1, rewards: ["a"], seeds: [42, 22, 7] }, /seeds was 22,42 and is 42,22,7;/],
    ["other settings beside longer lists", { rate: 2, rewards: ["a", "b"], seeds: [22, 42, 7] }, /rate was 1 and is 2;/],
    ["a list that may not grow", { rate: 1, rewards: ["a"], seeds: [22, 42], rates: [1] }, /rates was not set and is 1;/],
  ])("refuses %s, and changes nothing", (_, config, words) => {
    const first = { rate: 1, rewards: ["a"], seeds: [22, 42] };
    claim(first);
    expect(() => claim(config)).toThrow(RunFolderError);
    expect(() => claim(config)).toThrow(words);
    expect(stored()).toEqual(first);
  });
});
