/** Served rollouts as the experiment asks for them: what a request draws from, what a delay changes, and a server that hangs at the end. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { servedSampler, type Sampler } from "../../src/experiments/grpo-sampler.js";
import { writeTinyModel } from "../../src/experiments/tiny-model.js";
import { openModel, type LanguageModel } from "../../src/model/language-model.js";
import { createLora, type LoraAdapter } from "../../src/model/lora.js";
import { createRandom } from "../../src/random.js";
import { openOps } from "../../src/tensor/backend.js";
import { startFakeVllm, type CompletionBody, type FakeVllm, type FakeVllmOptions } from "../engines/fake-vllm.js";

let folder: string;
let model: LanguageModel;
let adapter: LoraAdapter;
let server: FakeVllm;
let answer: NonNullable<FakeVllmOptions["answer"]>;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sampler-"));
  model = openModel(await openOps({ precision: "float32" }), writeTinyModel(folder));
  adapter = createLora(model.decoder, { r: 2, loraAlpha: 4 }, createRandom(1, "lora"));
});
beforeEach(async () => {
  answer = ({ n }) => Array.from({ length: n }, () => ({ text: "a", token_ids: [65, 0], finish_reason: "stop" }));
  server = await startFakeVllm({ answer: (body, self) => answer(body, self) });
});
afterEach(() => server.close());
afterAll(() => {
  adapter.free();
  model.free();
  rmSync(folder, { recursive: true });
});

const open = (): Sampler =>
  servedSampler(model, {
    server: { baseUrl: server.baseUrl, backOff: { tries: 1, baseMs: 1, longestMs: 1 } },
    ...{ folder: join(folder, "served"), servedFolder: join(folder, "served") },
    patience: { limitMs: 60_000, firstMs: 1, longestMs: 2, say: () => undefined },
  });

/** The seed that each prompt was answered with, in the prompts' order. */
async function seeds(prompts: readonly (readonly number[])[], step = 3): Promise<number[]> {
  server.asked.length = 0;
  const sampler = open();
  const found: number[] = [];
  const encoded = prompts.map((ids) => Int32Array.from(ids));
  for await (const { promptIndex } of sampler.sample(adapter, encoded, { samples: 2, maxNewTokens: 4, seed: 22, step })) {
    const own = server.asked.filter(({ prompt }) => prompt.join() === prompts[promptIndex].join()).map(({ seed }) => seed);
    found[promptIndex] = own.at(-1)!;
  }
  await sampler.close();
  return found;
}

it("a prompt draws from its tokens and the step, wherever it stands and however often it had to be asked for", async () => {
  const prompts = [[5], [6], [7, 8], [9]];
  const whole = await seeds(prompts);
  expect(new Set(whole).size).toBe(4);
  expect(await seeds(prompts.toReversed())).toEqual(whole.toReversed());
  expect(await seeds([[7, 8]])).toEqual([whole[2]]);
  expect(await seeds(prompts, 4)).not.toEqual(whole);

  const usual = answer;
  const failed = new Set<string>();
  answer = (body: CompletionBody, self) => {
    const first = body.prompt[0] > 5 && !failed.has(body.prompt.join());
    failed.add(body.prompt.join());
    return first ? 503 : usual(body, self);
  };
  expect(await seeds(prompts)).toEqual(whole);
  expect(failed.size).toBe(4);
  expect(server.asked).toHaveLength(4 + 3);
});

it("equal prompts get other rollouts, each its own again after a failure", async () => {
  const prompts = [[5], [5], [5]];
  await seeds(prompts);
  const whole = server.asked.map(({ seed }) => seed).toSorted();
  expect(new Set(whole).size).toBe(3);
  const usual = answer;
  for (const alone of whole) {
    // All but one are asked for again.
    const failed = new Set([alone]);
    const answered: number[] = [];
    answer = (body, self) => {
      if (!failed.has(body.seed)) {
        failed.add(body.seed);
        return 503;
      }
      answered.push(body.seed);
      return usual(body, self);
    };
    await seeds(prompts);
    expect(answered.toSorted()).toEqual(whole);
  }
});

it("closing does not wait long for a server that hangs, and leaves no adapter on the disk", { timeout: 20_000 }, async () => {
  const sampler = open();
  const prompts = [Int32Array.of(5)];
  for await (const group of sampler.sample(adapter, prompts, { samples: 1, maxNewTokens: 4, seed: 22, step: 0 }))
    expect(group.promptIndex).toBe(0);
  server.hang = true;
  const started = performance.now();
  await sampler.close();
  expect(performance.now() - started).toBeLessThan(10_000);
  expect(server.seen.at(-1)).toMatch(/^unload/);
  expect(existsSync(join(folder, "served")) ? readdirSync(join(folder, "served")) : []).toEqual([]);
});
