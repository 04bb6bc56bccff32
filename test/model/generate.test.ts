/** Generation on a small checkpoint: who is admitted when, how rows end, what is refused, and that nothing is left behind. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Decoder } from "../../src/model/decoder.js";
import { generate, generateEach, GenerationError } from "../../src/model/generate.js";
import { activateLora, createLora } from "../../src/model/lora.js";
import { scoreCompletions } from "../../src/model/score.js";
import { createRandom } from "../../src/random.js";
import { openOps } from "../../src/tensor/backend.js";
import { liveTensors } from "../../src/tensor/tensor.js";
import { CHECKPOINTS, openCheckpoint } from "./checkpoints.js";

let decoder: Decoder;
beforeAll(async () => {
  decoder = openCheckpoint(await openOps({ precision: "float32" }), "llama");
});
afterAll(() => decoder.free());

const random = createRandom(1);
const prompts = Array.from({ length: 13 }, () => Int32Array.from({ length: 1 + random.integer(20) }, () => random.integer(200)));
const none: number[] = [];

describe("generate", () => {
  it("gives the same text however many rows fit: prompts wait, enter when others leave, and keep their order in the result", async () => {
    const options = { maxNewTokens: 9, temperature: 1, seed: 3, samples: 2, eosIds: [17, 40, 99, 120, 180] };
    const before = liveTensors();
    const all = await generate(decoder, prompts, { ...options, batchSize: 64 });
    expect(new Set(all.flat().map((c) => c.ids.length)).size).toBeGreaterThan(2);
    for (const batchSize of [2, 5, 8]) expect(await generate(decoder, prompts, { ...options, batchSize })).toEqual(all);
    expect(await generate(decoder, prompts, { ...options, cacheBytes: 1 })).toEqual(all);
    expect(await generate(decoder, prompts, { ...options, seed: 4 })).not.toEqual(all);
    expect(liveTensors()).toEqual(before);
  });

  it("gives equal prompts in one call different samples, and log-probabilities that scoring confirms", async () => {
    const [prompt] = prompts;
    const temperature = 0.7;
    const results = await generate(decoder, [prompt, prompt], {
      maxNewTokens: 8,
      temperature,
      samples: 3,
      seed: 1,
      eosIds: none,
    });
    expect(new Set(results.flat().map((c) => c.ids.join())).size).toBeGreaterThan(3);
    const scores = await scoreCompletions(decoder, [{ prompt, completions: results.flat().map((c) => c.ids) }], { temperature });
    results.flat().forEach(({ logProbs }, i) => logProbs.forEach((value, j) => expect(value).toBeCloseTo(scores[0][i][j], 4)));
  });

  it("ends at eos, at a stop text across token borders, and at the limit", async () => {
    const [free] = await generate(decoder, [prompts[0]], { maxNewTokens: 8, eosIds: none });
    const ids = [...free[0].ids];
    expect(free[0].finishReason).toBe("length");
    expect(ids).toHaveLength(8);
    const [ended] = await generate(decoder, [prompts[0]], { maxNewTokens: 8, eosIds: [ids[3]] });
    expect(ended[0]).toMatchObject({ finishReason: "eos", ids: Int32Array.from(ids.slice(0, ids.indexOf(ids[3]) + 1)) });
    const decode = (tokens: Int32Array): string => Array.from(tokens, (id) => `<${id}>`).join("");
    const stop = { texts: [`${ids[2]}><${ids[3]}`], decode };
    const [stopped] = await generate(decoder, [prompts[0]], { maxNewTokens: 8, eosIds: none, stop });
    expect(stopped[0].finishReason).toBe("stop");
    expect(decode(stopped[0].ids)).toContain(stop.texts[0]);
    expect(stopped[0].ids.length).toBeLessThanOrEqual(4);
  });

  it("samples from the model's distribution: frequencies of the first token match its probabilities", async () => {
    const draws = 4000;
    const [samples] = await generate(decoder, [prompts[1]], {
      maxNewTokens: 1,
      temperature: 1,
      samples: draws,
      seed: 11,
      eosIds: none,
    });
    const counts = new Map<number, { count: number; probability: number }>();
    for (const { ids, logProbs } of samples) {
      const entry = counts.get(ids[0]) ?? { count: 0, probability: Math.exp(logProbs[0]) };
      counts.set(ids[0], { ...entry, count: entry.count + 1 });
    }
    const common = [...counts.values()].filter(({ probability }) => probability * draws >= 5);
    expect(common.length).toBeGreaterThan(20);
    const chiSquare = common.reduce(
      (sum, { count, probability: p }) => sum + (count - draws * p) ** 2 / (draws * p * (1 - p)),
      0,
    );
    // Five standard deviations of a chi-square with as many degrees of freedom.
    expect(chiSquare).toBeLessThan(common.length + 5 * Math.sqrt(2 * common.length));
  });

  it.each([
    ["an empty prompt", [new Int32Array(0)], {}, /prompt 0 has no tokens/],
    ["a prompt beyond the model's positions", [new Int32Array(20_000_000)], {}, /prompt 0 has 20000000 tokens/],
    ["no new tokens", [Int32Array.of(1)], { maxNewTokens: 0 }, /maxNewTokens is 0/],
    ["a negative temperature", [Int32Array.of(1)], { temperature: -1 }, /temperature is -1/],
    ["topP of zero", [Int32Array.of(1)], { topP: 0 }, /topP is 0/],
  ])("refuses %s before any work", async (_, bad, options, message) => {
    const run = generate(decoder, bad, options);
    await expect(run).rejects.toThrow(GenerationError);
    await expect(run).rejects.toThrow(message);
  });

  it("frees the caches that it has where there is no memory for the next", async () => {
    const before = liveTensors();
    for (const most of [1, 2, 3]) {
      let made = 0;
      const layerCache: typeof decoder.ops.layerCache = (...sizes) => {
        if (made++ === most) throw new Error("out of memory");
        return decoder.ops.layerCache(...sizes);
      };
      await expect(generate({ ...decoder, ops: { ...decoder.ops, layerCache } }, prompts)).rejects.toThrow("out of memory");
      expect(liveTensors()).toEqual(before);
    }
  });

  it("frees its caches when it is stopped, when its reader leaves, and when an id is not the model's", async () => {
    const before = liveTensors();
    const stop = new AbortController();
    stop.abort(new Error("stopped"));
    await expect(generate(decoder, prompts, { signal: stop.signal })).rejects.toThrow("stopped");
    for await (const completion of generateEach(decoder, prompts, { maxNewTokens: 4, batchSize: 2 })) {
      expect(completion.ids.length).toBeGreaterThan(0);
      break;
    }
    await expect(generate(decoder, [Int32Array.of(1, 999_999)])).rejects.toThrow(/999999/);
    expect(liveTensors()).toEqual(before);
  });

  it.each(CHECKPOINTS)("gives on %s the same bytes whether its blocks are computed in one call or op by op", async (name) => {
    const whole = openCheckpoint(decoder.ops, name);
    const adapter = createLora(whole, { r: 4, loraAlpha: 8, targetModules: ["q_proj", "v_proj", "down_proj"] }, createRandom(2));
    const lora = activateLora(whole, adapter, false);
    const options = { lora, maxNewTokens: 6, temperature: 1, samples: 2, eosIds: none };
    const few = prompts.slice(0, 4);
    const composed = { ...whole, ops: { ...whole.ops, decodeBlocks: null } };
    expect(await generate(composed, few, options)).toEqual(await generate(whole, few, options));
    for (const owner of [lora, adapter, whole]) owner.free();
  });

  it("gives nothing for no prompts", async () => {
    expect(await generate(decoder, [])).toEqual([]);
  });
});
