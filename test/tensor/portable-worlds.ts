/** Random prompts with completions, decoded through caches or attended to as whole sequences. */
import type { AttentionConfig, DecodeRow, DecoderOps, RopeConfig } from "../../src/tensor/ops.js";
import { scope } from "../../src/tensor/tensor.js";
import type { Generator } from "./portable-cases.js";

/** A prompt and the completions that start from it, as rows of q | k | v before rope. */
interface Conversation {
  readonly prompt: Float32Array;
  readonly completions: readonly Float32Array[];
}

export interface World {
  readonly attention: AttentionConfig;
  readonly width: number;
  readonly conversations: readonly Conversation[];
  readonly frequencies: Float32Array;
  readonly queryNorm: Float32Array | null;
}

export function randomWorld(random: Generator, window: number): World {
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

export function ropeOf(ops: DecoderOps, world: World): RopeConfig {
  const { headDim } = world.attention;
  const queryNorm = world.queryNorm && ops.device.upload(world.queryNorm, [headDim]);
  const frequencies = ops.device.upload(world.frequencies, [headDim / 2]);
  return { frequencies, queryNorm, keyNorm: queryNorm, normEpsilon: 1e-5 };
}

/** Attention of the whole sequence prompt + completion at once: [completion tokens, H d]. */
export function whole(ops: DecoderOps, world: World, prompt: Float32Array, completion: Float32Array): Float32Array {
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
export function decoded(ops: DecoderOps, world: World, random: Generator): Float32Array[][] {
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
