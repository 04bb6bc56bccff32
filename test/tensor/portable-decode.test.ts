import { describe, expect, it } from "vitest";
import type { AttentionConfig, DecodeRow, DecoderOps, RopeConfig } from "../../src/tensor/ops.js";
import { portableOps } from "../../src/tensor/portable.js";
import { liveTensors, scope } from "../../src/tensor/tensor.js";
import { tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { tfjsDevice } from "../../src/tensor/tfjs-device.js";
import { cosine, generator, relativeError, type Generator } from "./portable-cases.js";

/** A prompt and the completions that start from it, as rows of q | k | v before rope. */
interface Conversation {
  readonly prompt: Float32Array;
  readonly completions: readonly Float32Array[];
}

interface World {
  readonly attention: AttentionConfig;
  readonly width: number;
  readonly conversations: readonly Conversation[];
  readonly frequencies: Float32Array;
  readonly queryNorm: Float32Array | null;
}

function randomWorld(random: Generator, window: number): World {
  const kvHeads = random.integer(1, 2);
  const heads = kvHeads * random.integer(1, 3);
  const headDim = 2 * random.integer(2, 6);
  const width = (heads + 2 * kvHeads) * headDim;
  const rows = (n: number): Float32Array => Float32Array.from({ length: n * width }, random.normal);
  return {
    attention: { heads, kvHeads, headDim, scale: 0.4, window },
    width,
    conversations: Array.from({ length: random.integer(1, 4) }, () => ({
      prompt: rows(random.integer(1, 9)),
      completions: Array.from({ length: random.integer(1, 3) }, () => rows(random.integer(1, 8))),
    })),
    frequencies: Float32Array.from({ length: headDim / 2 }, (_, j) => 10 ** (-j / headDim)),
    queryNorm: random.uniform() < 0.5 ? Float32Array.from({ length: headDim }, random.normal) : null,
  };
}

function ropeOf(ops: DecoderOps, world: World): RopeConfig {
  const { headDim } = world.attention;
  const queryNorm = world.queryNorm && ops.device.upload(world.queryNorm, [headDim]);
  const frequencies = ops.device.upload(world.frequencies, [headDim / 2]);
  return { frequencies, queryNorm, keyNorm: queryNorm, normEpsilon: 1e-5 };
}

/** Attention of the whole sequence prompt + completion at once: [completion tokens, H d]. */
function whole(ops: DecoderOps, world: World, prompt: Float32Array, completion: Float32Array): Float32Array {
  const { attention, width } = world;
  const joined = Float32Array.of(...prompt, ...completion);
  const rows = joined.length / width;
  return scope(() => {
    const positions = ops.device.upload(
      Int32Array.from({ length: rows }, (_, i) => i),
      [rows],
    );
    const rotated = ops.rope(ops.cast(ops.device.upload(joined, [rows, width])), positions, attention, ropeOf(ops, world));
    const { output } = ops.attention(rotated, ops.device.upload(Int32Array.of(0, rows, 0, 0), [1, 4]), attention);
    return ops.device.download(output).slice((prompt.length / width) * attention.heads * attention.headDim) as Float32Array;
  });
}

/** Decodes all completions, a random choice of them in random order at each step, through one pair of caches. */
function decoded(ops: DecoderOps, world: World, random: Generator): Float32Array[][] {
  const { attention, width, conversations } = world;
  const prompts = ops.layerCache(conversations.length + 1, 10, attention);
  const slots = conversations.reduce((sum, { completions }) => sum + completions.length, 0);
  const completions = ops.layerCache(slots, 8, attention);
  const outWidth = attention.heads * attention.headDim;
  const results = conversations.map(({ completions }) => completions.map((c) => new Float32Array((c.length / width) * outWidth)));
  scope(() => {
    const rope = ropeOf(ops, world);
    // Prompts in two fills, the second of a slot that the first has written too.
    const promptLengths = conversations.map(({ prompt }) => prompt.length / width);
    for (const chosen of [conversations.map((_, i) => i), [0]]) {
      const packed = Float32Array.from(chosen.flatMap((i) => [...conversations[i].prompt]));
      const positions = chosen.flatMap((i) => Array.from({ length: promptLengths[i] }, (_, j) => j));
      const qkv = ops.cast(ops.device.upload(packed, [positions.length, width]));
      const rotated = ops.rope(qkv, ops.device.upload(Int32Array.from(positions), [positions.length]), attention, rope);
      let start = 0;
      const segments = chosen.map((i) => ({
        start: (start += promptLengths[i]) - promptLengths[i],
        length: promptLengths[i],
        slot: i + 1,
      }));
      ops.fillCache(prompts, rotated, segments, attention);
    }
    const all = conversations.flatMap(({ completions }, i) => completions.map((_, j) => ({ i, j, length: 0 })));
    const waiting = all.map((place, slot) => ({ ...place, slot: slots - 1 - slot }));
    for (;;) {
      const open = waiting.filter(({ i, j, length }) => length < conversations[i].completions[j].length / width);
      if (open.length === 0) break;
      const stepping = open.filter(() => random.uniform() < 0.7);
      if (stepping.length === 0) continue;
      stepping.sort((a, b) => ((a.slot * 7) % 5) - ((b.slot * 7) % 5));
      const tokens = Float32Array.from(
        stepping.flatMap(({ i, j, length }) => [
          ...conversations[i].completions[j].subarray(length * width, (length + 1) * width),
        ]),
      );
      const rows: DecodeRow[] = stepping.map(({ i, slot, length }) => ({
        promptSlot: i + 1,
        promptLength: promptLengths[i],
        slot,
        length,
      }));
      scope(() => {
        const qkv = ops.cast(ops.device.upload(tokens, [rows.length, width]));
        const output = ops.device.download(ops.decodeAttention(qkv, prompts, completions, rows, attention, rope)) as Float32Array;
        for (const [row, place] of stepping.entries()) {
          results[place.i][place.j].set(output.subarray(row * outWidth, (row + 1) * outWidth), place.length * outWidth);
          place.length++;
        }
      });
    }
  });
  prompts.free();
  completions.free();
  return results;
}

describe("portable decoding", () => {
  const float32 = portableOps(tensorflowDevice());

  it("gives what attention over the whole sequence gives, whatever rows step together, with and without a window", () => {
    const before = liveTensors();
    let compared = 0;
    for (let seed = 0; seed < 30; seed++) {
      const random = generator(seed);
      const world = randomWorld(random, seed % 3 === 0 ? random.integer(1, 9) : 0);
      const got = decoded(float32, world, random);
      for (const [i, { prompt, completions }] of world.conversations.entries()) {
        for (const [j, completion] of completions.entries()) {
          expect(relativeError(got[i][j], whole(float32, world, prompt, completion)), `seed ${seed}`).toBeLessThan(1e-5);
          compared++;
        }
      }
    }
    expect(compared).toBeGreaterThan(60);
    expect(liveTensors()).toEqual(before);
  });

  it("does the same in bfloat16, on WASM and in JavaScript", async () => {
    for (const [ops, seeds] of [
      [portableOps(tensorflowDevice(), "bfloat16"), 5],
      [portableOps(await tfjsDevice("wasm")), 3],
      [portableOps(await tfjsDevice("javascript")), 3],
    ] as const) {
      for (let seed = 0; seed < seeds; seed++) {
        const random = generator(100 + seed);
        const world = randomWorld(random, 0);
        const got = decoded(ops, world, random);
        const [{ prompt, completions }] = world.conversations;
        const expected = whole(float32, world, prompt, completions[0]);
        expect(cosine(got[0][0], expected)).toBeGreaterThan(ops.precision === "float32" ? 0.9999999 : 0.998);
      }
    }
  });

  it("decodes rows without a prompt, and goes back to an earlier length of a slot", () => {
    const random = generator(5);
    const world = { ...randomWorld(random, 0), queryNorm: null };
    const { attention, width } = world;
    const tokens = Float32Array.from({ length: 4 * width }, random.normal);
    const prompts = float32.layerCache(1, 1, attention);
    const completions = float32.layerCache(3, 4, attention);
    scope(() => {
      const rope = ropeOf(float32, world);
      const step = (row: number, length: number): Float32Array => {
        const qkv = float32.device.upload(tokens.slice(row * width, (row + 1) * width), [1, width]);
        const place = { promptSlot: 0, promptLength: 0, slot: 2, length };
        return float32.device.download(
          float32.decodeAttention(qkv, prompts, completions, [place], attention, rope),
        ) as Float32Array;
      };
      for (let i = 0; i < 4; i++) step(i, i);
      const again = step(1, 1);
      const expected = whole(float32, world, new Float32Array(0), tokens.slice(0, 2 * width));
      expect(relativeError(again, expected.slice(expected.length / 2))).toBeLessThan(1e-5);
    });
    prompts.free();
    completions.free();
  });

  it("holds no more than its slots when they stop one after another", () => {
    const attention = { heads: 2, kvHeads: 1, headDim: 4, scale: 1, window: 0 };
    const prompts = float32.layerCache(1, 1, attention);
    const completions = float32.layerCache(16, 16, attention);
    const before = liveTensors();
    scope(() => {
      const rope = {
        frequencies: float32.device.upload(Float32Array.of(1, 0.1), [2]),
        queryNorm: null,
        keyNorm: null,
        normEpsilon: 1,
      };
      for (let length = 0; length < 16; length++) {
        const rows = Array.from({ length: 16 - length }, (_, slot) => ({ promptSlot: 0, promptLength: 0, slot, length }));
        scope(() => {
          const qkv = float32.device.upload(new Float32Array(rows.length * 16), [rows.length, 16]);
          float32.decodeAttention(qkv, prompts, completions, rows, attention, rope);
        });
      }
      // 16 slots of 1 to 16 tokens, keys and values of 4 floats each, and the rope's two.
      expect(liveTensors().bytes - before.bytes).toBe((((16 * 17) / 2) * 2 * 4 + 2) * 4);
    });
    completions.free();
    expect(liveTensors()).toEqual(before);
  });

  it("samples from downloaded logits, row by row", () => {
    scope(() => {
      const logits = float32.device.upload(Float32Array.of(0, 5, 1, 2, 2, 0), [2, 3]);
      const greedy = float32.sample(logits, { temperature: 0, topP: 1, uniforms: new Float32Array(0) });
      expect([...greedy.ids]).toEqual([1, 0]);
      const total = Math.log(1 + Math.exp(5) + Math.exp(1));
      expect(greedy.logProbs[0]).toBeCloseTo(5 - total, 5);
      const drawn = float32.sample(logits, { temperature: 1, topP: 1, uniforms: Float32Array.of(0.999, 0.6) });
      expect([...drawn.ids]).toEqual([2, 1]);
    });
  });
});
