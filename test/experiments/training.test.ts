/** Training that cannot begin: whatever fails, adapter and optimiser are freed. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { writeTinyModel } from "../../src/experiments/tiny-model.js";
import { trainAdapter, type AdapterTraining } from "../../src/experiments/training.js";
import { prepareTraining } from "../../src/model/decoder.js";
import { openModel, type LanguageModel } from "../../src/model/language-model.js";
import { createLora } from "../../src/model/lora.js";
import { createRandom } from "../../src/random.js";
import { openOps } from "../../src/tensor/backend.js";
import { liveTensors } from "../../src/tensor/tensor.js";

let folder: string;
let model: LanguageModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "training-"));
  model = openModel(await openOps({ precision: "float32" }), writeTinyModel(folder));
  // What the decoder itself needs for training it keeps.
  prepareTraining(model.decoder);
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => {
  model.free();
  rmSync(folder, { recursive: true });
});

const training: AdapterTraining = {
  ...{ label: "run", rows: 4, epochs: 1, batchSize: 2, learningRate: 1e-3, seed: 22, beta2: 0.98, weightDecay: 0 },
  ...{ warmupRatio: 0.1, patience: 0, keep: "last", checkpointSeconds: 60, measure: "loss" },
};
const train = async (out: string): Promise<void> => {
  const adapter = createLora(model.decoder, { r: 2, loraAlpha: 4 }, createRandom(1, "lora"));
  await trainAdapter(model, adapter, out, training, () => Promise.reject(new Error("in the loop")));
};
const newFolder = (): string => mkdtempSync(join(folder, "run-"));

it("frees all where the log cannot be written, and where the loop fails", async () => {
  const before = liveTensors();
  await expect(train(newFolder())).rejects.toThrow("in the loop");
  expect(liveTensors()).toEqual(before);
  const blocked = newFolder();
  mkdirSync(join(blocked, "log.jsonl"));
  await expect(train(blocked)).rejects.toThrow(/EISDIR/);
  expect(liveTensors()).toEqual(before);
});

it("frees all where there is no memory for the optimiser", async () => {
  const before = liveTensors();
  const { device } = model.decoder.ops;
  // The adapter's own upload, then one for each moment.
  for (const failing of [2, 3]) {
    const upload = device.upload.bind(device);
    let uploads = 0;
    vi.spyOn(device, "upload").mockImplementation((...what) => {
      if (++uploads === failing) throw new Error("no memory");
      return upload(...what);
    });
    await expect(train(newFolder())).rejects.toThrow("no memory");
    vi.restoreAllMocks();
    expect(liveTensors(), `upload ${failing}`).toEqual(before);
  }
});
