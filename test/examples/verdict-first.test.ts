/** The worked example runs as it stands: it trains, evaluates and compares, here on the tiny model. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it, vi } from "vitest";
import { verdictFirst } from "../../src/examples/verdict-first.js";
import { writeTinyModel } from "../../src/experiments/tiny-model.js";
import { liveTensors, readPredictions } from "../../src/index.js";

process.env["OMP_NUM_THREADS"] = "1";

const folder = mkdtempSync(join(tmpdir(), "verdict-first-"));
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

it("compares with the recorded run on the same prompts and leaves nothing behind", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  const before = liveTensors();
  const file = await verdictFirst({ model: writeTinyModel(folder), limit: 12, out: join(folder, "out", "predictions.jsonl") });
  expect(readPredictions(file)).toHaveLength(12);
  expect(log.mock.calls[0][1]).toMatchObject({ seeds: [1, 1], level: 0.95 });
  expect(liveTensors()).toEqual(before);
});
