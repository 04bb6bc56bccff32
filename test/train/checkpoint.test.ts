/** Checkpoints: what was saved comes back exactly; what is damaged in any place is found out, and the one before it is used. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRandom } from "../../src/random.js";
import { loadCheckpoint, saveCheckpoint, type Checkpoint, type TrainingPlan } from "../../src/train/checkpoint.js";
import type { TrainingState } from "../../src/train/loop.js";
import { writeManifest } from "../../src/train/manifest.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "checkpoint-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const SIZE = 40;
const plan: TrainingPlan = {
  totalSteps: 9,
  stepsPerEpoch: 3,
  learningRate: 1e-3,
  schedule: { kind: "cosine", warmupRatio: 0.1 },
  seed: 22,
  adapterSize: SIZE,
};

/** A state as step `step` would leave it; every number is its own. */
function stateAt(step: number): TrainingState {
  const random = createRandom(step, "state");
  const values = (): Float32Array => Float32Array.from({ length: SIZE }, () => random.uniform() - 0.5);
  return {
    epoch: Math.floor(step / 3),
    position: step % 3,
    order: createRandom(step).state(),
    trainer: { step, parameters: values(), firstMoment: values(), secondMoment: values() },
    validationLosses: step < 3 ? [] : [1 / 3],
    best: step < 3 ? null : { epoch: 0, loss: 1 / 3, parameters: values() },
  };
}

const log = { bytes: 17, sha256: "ab" };
const save = (step: number): void => saveCheckpoint(folder, plan, stateAt(step), log);
const problems: string[] = [];
const load = (fits = true, its = plan): Checkpoint | null => {
  problems.length = 0;
  return loadCheckpoint(
    folder,
    its,
    () => fits,
    (name, problem) => problems.push(`${name}: ${problem}`),
  );
};

describe("checkpoints", () => {
  it("give back every number of the newest state, and where the log stood", () => {
    expect(load()).toBeNull();
    save(1);
    expect(load()).toEqual({ name: "step-000001", state: stateAt(1), log });
    save(4);
    expect(load()).toEqual({ name: "step-000004", state: stateAt(4), log });
  });

  it("are kept two at a time; the state after an epoch's validation comes after its last step", () => {
    for (const step of [1, 2, 3, 4]) save(step);
    expect(readdirSync(folder).toSorted()).toEqual(["step-000003-epoch", "step-000004"]);
    rmSync(folder, { recursive: true });
    const last = stateAt(3);
    saveCheckpoint(folder, plan, { ...last, epoch: 0, position: 3, validationLosses: [], best: null }, log);
    saveCheckpoint(folder, plan, last, log);
    expect(load()?.state).toEqual(last);
  });

  it("are in the order of batches where batches take no optimiser step, and where they take several", () => {
    const last = stateAt(3);
    saveCheckpoint(folder, plan, last, log);
    for (const position of [1, 2]) {
      saveCheckpoint(folder, plan, { ...last, position }, log);
      expect(load()?.state).toEqual({ ...last, position });
    }
    for (const [position, step] of [
      [1, 60],
      [2, 62],
    ])
      saveCheckpoint(folder, plan, { ...last, epoch: 2, position, trainer: { ...last.trainer, step } }, log);
    saveCheckpoint(folder, plan, { ...last, epoch: 2, position: 3, trainer: { ...last.trainer, step: 62 } }, log);
    expect(load()?.state).toMatchObject({ epoch: 2, position: 3, trainer: { step: 62 } });
  });

  it("of an earlier form are told of and removed", () => {
    save(4);
    const file = join(folder, "step-000004", "state.json");
    const state = JSON.parse(readFileSync(file, "utf8")) as { plan: { stepsPerEpoch?: number } };
    delete state.plan.stepsPerEpoch;
    writeFileSync(file, JSON.stringify(state));
    writeManifest(join(folder, "step-000004"), ["state.json", "tensors.safetensors"]);
    expect(load()).toBeNull();
    expect(problems).toEqual(["step-000004: state.json is of another version"]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("are found out wherever a file was cut off or a bit was turned, and the one before is used", () => {
    const files = ["state.json", "tensors.safetensors", "manifest.json"];
    save(4);
    save(5);
    const whole = join(folder, "whole");
    cpSync(join(folder, "step-000005"), whole, { recursive: true });
    const random = createRandom(7);
    let damaged = 0;
    const tryOne = (file: string, damage: (path: string, size: number) => void): void => {
      const newest = join(folder, "step-000005");
      rmSync(newest, { recursive: true, force: true });
      cpSync(whole, newest, { recursive: true });
      const before = readFileSync(join(newest, file));
      damage(join(newest, file), before.length);
      const found = load();
      // Only in the manifest is there anything that does not matter: its white space.
      if (found?.name === "step-000005" && file === "manifest.json")
        expect(JSON.parse(readFileSync(join(newest, file), "utf8"))).toEqual(JSON.parse(before.toString()));
      else {
        expect(found?.state).toEqual(stateAt(4));
        expect(problems).toHaveLength(1);
        expect(existsSync(newest)).toBe(false);
        damaged++;
      }
    };
    for (const file of files) {
      for (const part of [0, 0.01, 0.3, 0.6, 0.99]) tryOne(file, (path, size) => truncateSync(path, Math.floor(size * part)));
      tryOne(file, (path) => rmSync(path));
      tryOne(file, (path) => writeFileSync(path, `${readFileSync(path, "latin1")}x`, "latin1"));
      for (let flip = 0; flip < 40; flip++)
        tryOne(file, (path, size) => {
          const bytes = readFileSync(path);
          bytes[random.integer(size)] ^= 1 << random.integer(8);
          writeFileSync(path, bytes);
        });
    }
    expect(damaged).toBeGreaterThan(3 * 40);
  });

  it("are nothing while they are being written: a kill inside a save leaves the one before", () => {
    save(4);
    const done = mkdtempSync(join(tmpdir(), "checkpoint-done-"));
    saveCheckpoint(done, plan, stateAt(5), log);
    const made = join(done, "step-000005");
    // Every state that a kill can leave: some files whole, one of them begun, and the folder not yet renamed.
    const files = ["tensors.safetensors", "state.json", "manifest.json"];
    for (let whole = 0; whole <= files.length; whole++) {
      for (const begun of [0, 0.5]) {
        const temporary = join(folder, "step-000005.tmp");
        rmSync(temporary, { recursive: true, force: true });
        mkdirSync(temporary);
        for (const file of files.slice(0, whole)) cpSync(join(made, file), join(temporary, file));
        const next = files[whole];
        if (next !== undefined) {
          const size = statSync(join(made, next)).size;
          writeFileSync(join(temporary, `${next}.123.tmp`), readFileSync(join(made, next)).subarray(0, Math.floor(size * begun)));
        }
        expect(load()?.state).toEqual(stateAt(4));
        expect(problems).toEqual([]);
      }
    }
    save(5);
    expect(readdirSync(folder).toSorted()).toEqual(["step-000004", "step-000005"]);
    expect(readdirSync(join(folder, "step-000005")).toSorted()).toEqual(files.toSorted());
    rmSync(done, { recursive: true });
  });

  it("of another plan, or of a log that was changed, are not gone on with", () => {
    save(4);
    expect(load(true, { ...plan, learningRate: 2e-3 })).toBeNull();
    expect(problems).toEqual(["step-000004: it belongs to another run"]);
    save(4);
    expect(load(false)).toBeNull();
    expect(problems).toEqual(["step-000004: the log has been changed since"]);
  });

  it("that cannot be written are an error, and nothing is lost", () => {
    save(4);
    writeFileSync(join(folder, "step-000005.tmp"), "");
    const blocked = join(folder, "file");
    writeFileSync(blocked, "");
    expect(() => saveCheckpoint(blocked, plan, stateAt(5), log)).toThrow();
    save(5);
    expect(load()?.state).toEqual(stateAt(5));
  });
});
