import { describe, expect, it } from "vitest";
import { portableOps } from "../../src/tensor/portable.js";
import { liveTensors, scope } from "../../src/tensor/tensor.js";
import { tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { tfjsDevice } from "../../src/tensor/tfjs-device.js";
import { cosine, generator, relativeError } from "./portable-cases.js";
import { decoded, randomWorld, ropeOf, whole } from "./portable-worlds.js";

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
