/** A seed's folder is of one starting adapter; folders of before that was written down say it by what was trained in them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { claimStart } from "../../src/experiments/dpo-start.js";
import { adapterHash } from "../../src/experiments/evaluation.js";
import { RunFolderError, writeJson } from "../../src/experiments/run-folder.js";

let folder: string;
let start: string;
let out: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "start-"));
  [start, out] = [join(folder, "sft"), join(folder, "dpo", "runs", "seed-22")];
  trainStart("first");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function trainStart(content: string): void {
  mkdirSync(join(start, "adapter"), { recursive: true });
  writeFileSync(join(start, "adapter", "adapter_config.json"), "{}");
  writeFileSync(join(start, "adapter", "adapter_model.safetensors"), content);
}

function trainRun(name: string, config: object): void {
  mkdirSync(join(out, name), { recursive: true });
  writeJson(join(out, name, "config.json"), config);
}

it("a claimed folder is refused to another adapter, whatever was done in it, and not to the same", () => {
  claimStart(out, start);
  claimStart(out, start);
  trainStart("second");
  expect(() => claimStart(out, start)).toThrow(RunFolderError);
  expect(() => claimStart(out, start)).toThrow(/seed-22: began from another adapter than the one in .*sft; .*--fresh/);
  trainStart("first");
  expect(() => claimStart(out, start)).not.toThrow();
});

it.each([join("sft", "predictions"), join("start", "predictions"), "mining.json"])(
  "%s of nobody knows which adapter is not kept",
  (held) => {
    mkdirSync(join(out, held), { recursive: true });
    expect(() => claimStart(out, start)).toThrow(/nothing says which adapter .* is of; remove this folder/);
    trainRun("wrong_only", { startSha256: "of another" });
    expect(() => claimStart(out, start)).toThrow(/nothing says/);
  },
);

it.each([
  ["trained from", (sha256: string) => ({ startSha256: sha256, seed: 22 })],
  ["held to", (sha256: string) => ({ startSha256: "of another condition", referenceSha256: sha256 })],
])("a folder without a claim is of the adapter that a run in it was %s", (_, config) => {
  mkdirSync(join(out, "sft", "predictions"), { recursive: true });
  writeFileSync(join(out, "mining.json"), "{}");
  trainRun("run", config(adapterHash(join(start, "adapter"))));
  claimStart(out, start);
  trainStart("second");
  expect(() => claimStart(out, start)).toThrow(/began from another adapter/);
});

it("a damaged claim says so", () => {
  claimStart(out, start);
  writeFileSync(join(out, "start.json"), "[]");
  expect(() => claimStart(out, start)).toThrow(/start\.json: is damaged; --fresh/);
});
