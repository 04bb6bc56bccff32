/** Served rollouts against a server that loads adapters as vLLM does, loses them, and fails in passing. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { RequestFault } from "../../src/engines/retry.js";
import {
  loadServedAdapter,
  servedRollouts,
  unloadServedAdapter,
  type MissedPrompt,
  type ServedGroup,
} from "../../src/engines/vllm-adapter.js";
import { startFakeVllm, type FakeVllm, type FakeVllmOptions } from "./fake-vllm.js";

/** Ids are character codes, 0 and 1 end a text. */
const IDS = {
  encode: (text: string) => Int32Array.from(text, (character) => character.charCodeAt(0)),
  decode: (ids: Int32Array) => String.fromCharCode(...ids),
  eosIds: [0, 1],
};
const QUICK = { tries: 4, baseMs: 2, longestMs: 20 };
const SAMPLING = { samples: 2, temperature: 1.2, maxNewTokens: 8 };

let folder: string;
let server: FakeVllm | undefined;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vllm-"));
  writeFileSync(join(folder, "adapter_config.json"), "{}");
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const start = async (options: FakeVllmOptions = {}): Promise<FakeVllm> => (server = await startFakeVllm(options));
const options = ({ baseUrl }: FakeVllm) => ({ baseUrl, backOff: QUICK });
const adapter = (name = "first") => ({ name, path: folder });

async function rollouts(fake: FakeVllm, prompts: readonly string[]): Promise<(ServedGroup | MissedPrompt)[]> {
  const encoded = prompts.map((text, i) => ({ ids: IDS.encode(text), seed: 5 + i }));
  return collected(servedRollouts(options(fake), adapter(), IDS, encoded, SAMPLING));
}

/** By the prompts' places. */
async function collected(groups: AsyncIterable<ServedGroup | MissedPrompt>): Promise<(ServedGroup | MissedPrompt)[]> {
  const found: (ServedGroup | MissedPrompt)[] = [];
  for await (const group of groups) found[group.promptIndex] = group;
  return found;
}

describe("loading adapters", () => {
  it("loads, takes one that is there already for loaded, and unloads", async () => {
    const fake = await start();
    await loadServedAdapter(options(fake), adapter());
    await loadServedAdapter(options(fake), adapter());
    expect([...fake.loaded]).toEqual([["first", folder]]);
    await unloadServedAdapter(options(fake), "first");
    await unloadServedAdapter(options(fake), "first");
    expect(fake.loaded.size).toBe(0);
  });

  it("says how vLLM has to be started, and which folder it does not see", async () => {
    const fixed = await start({ fixed: true });
    await expect(loadServedAdapter(options(fixed), adapter())).rejects.toMatchObject({
      kind: "hopeless",
      message: expect.stringContaining("VLLM_ALLOW_RUNTIME_LORA_UPDATING") as string,
    });
    await fixed.close();
    const fake = await start();
    await expect(loadServedAdapter(options(fake), { name: "x", path: "/nowhere" })).rejects.toMatchObject({
      kind: "refused",
      message: expect.stringContaining("/nowhere") as string,
    });
  });

  it("sends the key, and no fault tells it", async () => {
    vi.stubEnv("TEST_VLLM_KEY", "sk-0123456789");
    const fake = await start();
    const keyed = { ...options(fake), keyVariable: "TEST_VLLM_KEY" };
    await loadServedAdapter(keyed, adapter());
    expect([...fake.keys]).toEqual(["Bearer sk-0123456789"]);
    const told = loadServedAdapter(keyed, { name: "sk-0123456789", path: "/sk-0123456789" });
    await expect(told).rejects.toMatchObject({ message: expect.stringContaining("No adapter found for /[key]") as string });
    vi.unstubAllEnvs();
    await expect(loadServedAdapter(keyed, adapter())).rejects.toThrow(/TEST_VLLM_KEY is not set/);
  });

  it("does not mind unloading from a server that is gone", async () => {
    const fake = await start();
    await fake.close();
    await expect(unloadServedAdapter(options(fake), "first")).resolves.toBeUndefined();
    await expect(loadServedAdapter(options(fake), adapter())).rejects.toMatchObject({ kind: "unreachable" });
  });
});

describe("rollouts", () => {
  it("asks with ids for n samples of the adapter, and takes the ids that were drawn", async () => {
    const fake = await start({
      answer: ({ prompt }) => [
        { text: "not looked at", token_ids: [...prompt, 1], finish_reason: "stop" },
        { text: "x", token_ids: [120, 121, 122, 120, 121, 122, 120, 121], finish_reason: "length" },
      ],
    });
    await loadServedAdapter(options(fake), adapter());
    const found = await rollouts(fake, ["ab", "c"]);
    expect(found).toMatchObject([
      {
        retokenised: 0,
        rollouts: [
          { ids: Int32Array.of(97, 98, 1), text: "ab", finishReason: "eos", logProbs: null },
          { text: "xyzxyzxy", finishReason: "length" },
        ],
      },
      { rollouts: [{ ids: Int32Array.of(99, 1), text: "c" }, { finishReason: "length" }] },
    ]);
    const [first] = fake.asked;
    expect(first).toMatchObject({
      model: "first",
      prompt: [97, 98],
      n: 2,
      temperature: 1.2,
      max_tokens: 8,
      return_token_ids: true,
    });
    expect(fake.asked.map(({ prompt, seed }) => [prompt[0], seed]).toSorted()).toEqual([
      [97, 5],
      [99, 6],
    ]);
  });

  it("tokenises the text anew where ids are missing, ends it as the server did, and counts that", async () => {
    const fake = await start({
      answer: () => [
        { text: "ok", finish_reason: "stop", stop_reason: 1 },
        { text: "ok", finish_reason: "stop", stop_reason: null },
      ],
    });
    await loadServedAdapter(options(fake), adapter());
    const [group] = await rollouts(fake, ["a"]);
    expect(group).toMatchObject({
      retokenised: 2,
      rollouts: [{ ids: Int32Array.of(111, 107, 1) }, { ids: Int32Array.of(111, 107, 0), text: "ok" }],
    });
  });

  it("gives the adapter again to a server that was started anew, once for all prompts", async () => {
    let restarted = false;
    const fake = await start({
      answer: (_, self) => {
        if (restarted) return [ONE, ONE];
        restarted = true;
        self.loaded.clear();
        return 500;
      },
    });
    await loadServedAdapter(options(fake), adapter());
    const found = await rollouts(fake, ["a", "b", "c"]);
    expect(found.every((group) => "rollouts" in group)).toBe(true);
    expect(fake.loaded.has("first")).toBe(true);
  });

  it("waits as long as the server asks", async () => {
    const answers = [{ status: 429, retryAfter: "1" }, [ONE, ONE]] as const;
    let asked = 0;
    const fake = await start({ answer: () => answers[asked++] });
    await loadServedAdapter(options(fake), adapter());
    const started = performance.now();
    const patient = { ...options(fake), backOff: { tries: 2, baseMs: 1, longestMs: 5000 } };
    const [group] = await collected(servedRollouts(patient, adapter(), IDS, [{ ids: Int32Array.of(97), seed: 1 }], SAMPLING));
    expect(group).toHaveProperty("rollouts");
    expect(performance.now() - started).toBeGreaterThan(990);
  });

  it("makes up no end for a model that has none", async () => {
    const fake = await start({ answer: () => [ONE, { text: "ok", finish_reason: "stop", stop_reason: null }] });
    await loadServedAdapter(options(fake), adapter());
    const endless = { ...IDS, eosIds: [] };
    const prompts = [{ ids: Int32Array.of(97), seed: 1 }];
    const [missed] = await collected(servedRollouts(options(fake), adapter(), endless, prompts, SAMPLING));
    expect(missed).toMatchObject({ fault: { kind: "hopeless", message: expect.stringContaining("no id that ends") as string } });
  });

  it("reports a prompt that is refused and one that keeps failing, and answers the others", async () => {
    const fake = await start({
      answer: ({ prompt: [first] }) => (first === 98 ? 400 : first === 99 ? 503 : first === 100 ? "reset" : [ONE, ONE]),
    });
    await loadServedAdapter(options(fake), adapter());
    const found = await rollouts(fake, ["a", "b", "c", "d"]);
    expect(found.map((group) => ("fault" in group ? group.fault.kind : "answered"))).toEqual([
      "answered",
      "refused",
      "passing",
      "passing",
    ]);
  });

  it("takes no reply that is not whole", async () => {
    const replies: (readonly (typeof ONE)[])[] = [[ONE], [ONE, ONE, ONE], [{ ...ONE, finish_reason: "abort" }, ONE]];
    const fake = await start({ answer: ({ prompt: [first] }) => replies[first - 97] });
    await loadServedAdapter(options(fake), adapter());
    const found = await rollouts(fake, ["a", "b", "c"]);
    for (const group of found) expect("fault" in group && group.fault).toBeInstanceOf(RequestFault);
  });
});

const ONE = { text: "a", token_ids: [97, 0], finish_reason: "stop" };
