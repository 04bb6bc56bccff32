/** A GRPO experiment stopped and killed in each of its stages, and one whose judge fails, end in the same bytes as one that was let be. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { OutOfPatienceError } from "../../src/engines/patience.js";
import type { GrpoConfig } from "../../src/experiments/grpo-config.js";
import { readRollouts } from "../../src/experiments/grpo-log.js";
import { runGrpo } from "../../src/experiments/grpo.js";
import { startChild } from "./child.js";
import { contents } from "./folders.js";
import { plant } from "./grpo-planted.js";
import { startJudge, type FakeJudge } from "./planted.js";

// A tiny model is no faster on more threads, and much slower where other programs want the cores.
process.env["OMP_NUM_THREADS"] = "1";

let folder: string;
let judge: FakeJudge;
let config: GrpoConfig;
let expected: Map<string, string>;
/** Questions that the judge was asked in all. */
let questions: number;

beforeAll(async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  judge = await startJudge();
  const planted = await plant();
  folder = planted.folder;
  config = { ...planted.config, judge: judge.spec, steps: 4, validateEvery: 2, checkpointSeconds: 0 };
  await runGrpo(config, join(folder, "whole"));
  questions = judge.asked.length;
  expected = contents(join(folder, "whole"));
}, 240_000);
afterAll(() => {
  vi.restoreAllMocks();
  judge.close();
  rmSync(folder, { recursive: true, force: true });
});

function expectSame(out: string): void {
  const found = contents(out);
  expect([...found.keys()]).toEqual([...expected.keys()]);
  for (const [file, content] of expected) expect(found.get(file) === content, file).toBe(true);
}

/** What it says where it is killed, in the order in which it comes there. */
const KILLS: readonly (readonly [string, RegExp])[] = [
  ["asking the judge about annotators", /going on|loaded in/],
  ["the first validation", /label_intent, seed 22, after step 0/],
  ["a step", /label_intent, seed 22: 1\/4/],
  ["after a validation", /label_intent, seed 22, after step 2/],
  ["another step", /label_intent, seed 22: 3\/4/],
  ["the end of training", /label_intent, seed 22, after step 4/],
];

it("goes on from kills to the same bytes, rollouts included", { timeout: 400_000 }, async () => {
  const out = join(folder, "killed");
  let resumed = 0;
  for (const [stage, words] of KILLS) {
    const run = startChild({ kind: "grpo", config, out });
    await run.said((text) => words.test(text));
    run.process.kill("SIGKILL");
    const { text } = await run.ended;
    expect(run.process.signalCode, `${stage}: ${text}`).toBe("SIGKILL");
    if (text.includes("going on from step-")) resumed++;
  }
  await runGrpo(config, out);
  expect(resumed).toBeGreaterThan(1);
  expectSame(out);
});

it("goes on from stops to the same bytes, without a checkpoint of its own while it samples", { timeout: 240_000 }, async () => {
  const out = join(folder, "stopped");
  const rare = { ...config, checkpointSeconds: 1e4 };
  for (let stops = 0; stops < 5; stops++) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("stop")), 1500 + 700 * stops);
    await runGrpo(rare, out, { signal: controller.signal }).catch((error: unknown) => expect(error).toEqual(new Error("stop")));
  }
  await runGrpo(rare, out);
  const found = contents(out);
  for (const [file, content] of expected) if (file !== "config.json") expect(found.get(file) === content, file).toBe(true);
});

it(
  "waits for a judge that is down, stops when it stays away, and never takes silence for a verdict",
  { timeout: 240_000 },
  async () => {
    const out = join(folder, "judged");
    // Down in the middle of training, for longer than anybody waits.
    const from = judge.asked.length;
    judge.onAsked = () => {
      if (judge.asked.length - from >= questions - 4) judge.status = 503;
    };
    await expect(runGrpo({ ...config, waitMinutes: 0 }, out)).rejects.toThrow(OutOfPatienceError);
    const rollouts = [...readRollouts(join(out, "runs", "seed-22", "label_intent", "rollouts"))];
    expect(rollouts.filter(({ reason }) => reason === "no_verdict")).toEqual([]);

    // Still down when it is gone on with, then there again.
    judge.onAsked = () => undefined;
    setTimeout(() => (judge.status = 200), 4000);
    await runGrpo({ ...config, waitMinutes: 0 }, out);
    const found = contents(out);
    for (const [file, content] of expected) if (file !== "config.json") expect(found.get(file) === content, file).toBe(true);
  },
);
