/** A GRPO run that fails leaves nothing behind: no tensor, and no question to the judge that is still open. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import type { LabelledPrompt } from "../../src/data/prompt.js";
import type { GrpoConfig } from "../../src/experiments/grpo-config.js";
import { trainGrpoRun, type GrpoMeans } from "../../src/experiments/grpo-run.js";
import type { Sampler } from "../../src/experiments/grpo-sampler.js";
import { GRPO_PRESETS } from "../../src/experiments/presets/grpo.js";
import { writeTinyModel } from "../../src/experiments/tiny-model.js";
import type { Judge } from "../../src/intent/judge.js";
import { prepareTraining } from "../../src/model/decoder.js";
import { openModel, type LanguageModel } from "../../src/model/language-model.js";
import { createLora, loraToPeft } from "../../src/model/lora.js";
import { writePeft } from "../../src/model/peft.js";
import { GRPO_FORMATS } from "../../src/prompts/grpo.js";
import { createRandom } from "../../src/random.js";
import { openOps } from "../../src/tensor/backend.js";
import { liveTensors } from "../../src/tensor/tensor.js";
import type { RolloutGroup } from "../../src/train/rollouts.js";

let folder: string;
let model: LanguageModel;
let means: GrpoMeans;
/** Questions that the judge has not answered. */
let open = 0;
/** What the judge does once it is asked. */
let answer: (signal?: AbortSignal) => Promise<void>;
let sample: (prompts: readonly Int32Array[]) => AsyncGenerator<RolloutGroup>;

const judge: Judge = {
  name: "slow",
  judge: async (items, { signal } = {}) => {
    signal?.throwIfAborted();
    open++;
    try {
      await answer(signal);
      return items.map(() => "bad" as const);
    } finally {
      open--;
    }
  },
};
async function* nothing(): AsyncGenerator<RolloutGroup> {}
const sampler: Sampler = {
  // Nothing is watched.
  sample: (_, prompts) => (prompts.length === 0 ? nothing() : sample(prompts)),
  retokenised: () => 0,
  close: () => Promise.resolve(),
};
/** A set without rows: the run begins with it, and it takes no time. */
const NO_VALIDATION = [{ name: "none", rows: [] }];
const rows = ["apple", "brick"].map((prompt): LabelledPrompt => ({
  id: prompt,
  prompt,
  intent: "to steal",
  harm: "harmful",
  source: "own",
}));
const group = (promptIndex: number): RolloutGroup => ({
  promptIndex,
  rollouts: ["to ask", "to sing"].map((intent) => ({
    ids: Int32Array.of(5, 6),
    text: `Intent: ${intent}; Harm: harmful`,
    finishReason: "eos",
    logProbs: null,
  })),
});

beforeAll(async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  folder = mkdtempSync(join(tmpdir(), "grpo-run-"));
  model = openModel(await openOps({ precision: "float32" }), writeTinyModel(folder));
  prepareTraining(model.decoder);
  const adapter = createLora(model.decoder, { r: 2, loraAlpha: 4 }, createRandom(1, "lora"));
  mkdirSync(join(folder, "start", "adapter"), { recursive: true });
  writePeft(join(folder, "start", "adapter"), loraToPeft(model.decoder, adapter, "tiny-random"));
  adapter.free();
  const encoder = { dimension: 1, encode: () => Promise.resolve([]), free: () => undefined };
  const instruments = { encoder, judge, close: () => Promise.resolve() };
  means = { model, format: GRPO_FORMATS.sft, sampler, instruments };
});
beforeEach(() => {
  answer = () => Promise.resolve();
  sample = async function* (prompts) {
    await Promise.resolve();
    yield* prompts.map((_, i) => group(i));
  };
});
afterEach(() => expect(open).toBe(0));
afterAll(() => {
  vi.restoreAllMocks();
  model.free();
  rmSync(folder, { recursive: true });
});

async function run(signal?: AbortSignal): Promise<void> {
  const config: GrpoConfig = { ...GRPO_PRESETS.smoke, prompts: 2, samples: 2, steps: 1, watched: 0, maxNewTokens: 8 };
  const out = mkdtempSync(join(folder, "run-"));
  const options = { label: "run", ...(signal && { signal }) };
  await trainGrpoRun(
    means,
    config,
    { reward: "label_intent", seed: 22 },
    rows,
    join(folder, "start"),
    NO_VALIDATION,
    out,
    options,
  );
}

/** Answers a while after it was told to stop. */
const slowly = (signal?: AbortSignal): Promise<void> =>
  new Promise((_, reject) =>
    signal?.addEventListener("abort", () => setTimeout(() => reject(signal.reason as Error), 30), { once: true }),
  );

it("a sampler that fails stops the judge, and the run ends when the judge has", async () => {
  answer = slowly;
  sample = async function* () {
    yield group(0);
    await new Promise((resolve) => setTimeout(resolve, 10));
    throw new Error("no more rollouts");
  };
  const before = liveTensors();
  await expect(run()).rejects.toThrow("no more rollouts");
  expect(open).toBe(0);
  expect(liveTensors()).toEqual(before);
});

it("a judge that fails for one prompt is stopped for the others", async () => {
  let asked = 0;
  answer = (signal) => (++asked === 1 ? Promise.reject(new Error("no verdict")) : slowly(signal));
  await expect(run()).rejects.toThrow("no verdict");
  expect(open).toBe(0);
});

it("a stop reaches the judge, and is what the run ends with", async () => {
  const stop = new AbortController();
  answer = (signal) => {
    setTimeout(() => stop.abort(new Error("stop")), 5);
    return slowly(signal);
  };
  await expect(run(stop.signal)).rejects.toThrow(new Error("stop"));
  expect(open).toBe(0);
});

it("an adapter is freed where there is no memory for the one that it is held to", async () => {
  const before = liveTensors();
  const { device } = model.decoder.ops;
  const upload = device.upload.bind(device);
  let uploads = 0;
  const spy = vi.spyOn(device, "upload").mockImplementation((...what) => {
    if (++uploads === 2) throw new Error("no memory");
    return upload(...what);
  });
  await expect(run()).rejects.toThrow("no memory");
  spy.mockRestore();
  expect(uploads).toBe(2);
  expect(liveTensors()).toEqual(before);
});
