/**
 * Portable decoding: caches, one attention step for many rows, sampling.
 *
 * A row's attention is computed in two parts, over the prompt and over the completion, each with its own maximum and sum; the parts are
 * merged as in flash attention. Rows are batched: completions by their group of slots, prompts by the group they were filled in
 * (rows of one prompt are one product with its keys). A row's numbers depend on the others at most in the last bits, where the
 * backend's products round differently for other shapes.
 */
import { expect, expectAttention, expectInteger, expectRope, expectTensor, qkvWidth } from "./portable-checks.js";
import type { AttentionConfig, DecodeRow, DecoderOps, LayerCache, Precision } from "./ops.js";
import { PortableCache, type Lanes } from "./portable-cache.js";
import type { Primitives } from "./primitives.js";
import { sampleRow } from "./sample.js";
import { scope, TensorError, type Tensor } from "./tensor.js";

type DecodeOps = Pick<DecoderOps, "layerCache" | "fillCache" | "decodeAttention" | "decodeBlocks" | "sample">;

/** Score of a token that a row must not see, per position that it is off. */
const FORBIDDEN = 1e30;

/** Attention over some of a row's tokens: sums of e^(score - top) · value [rows, H, d] and of e^(score - top), top: both [rows, H, 1]. */
interface Part {
  readonly mixed: Tensor;
  readonly sum: Tensor;
  readonly top: Tensor;
}

export function decodeOps(p: Primitives, precision: Precision, rope: DecoderOps["rope"]): DecodeOps {
  const { device } = p;
  const wide = (x: Tensor): Tensor => (x.dtype === "float32" ? x : p.cast(x, "float32"));
  const narrow = (x: Tensor): Tensor => (x.dtype === precision ? x : p.cast(x, precision));

  /** x[indices] along the first axis; x itself if that is all of x in order. */
  function pick(x: Tensor, indices: readonly number[]): Tensor {
    if (indices.length === x.shape[0] && indices.every((index, i) => index === i)) return x;
    return p.gather(x, device.upload(Int32Array.from(indices), [indices.length]));
  }

  function splitLanes(lanes: Lanes, kept: readonly number[]): Lanes {
    return {
      slots: kept.map((lane) => lanes.slots[lane]),
      lengths: kept.map((lane) => lanes.lengths[lane]),
      keys: pick(lanes.keys, kept),
      values: pick(lanes.values, kept),
    };
  }

  /** Tokens [low, high) of T [lanes, K, tokens, d]. */
  function tokensOf(x: Tensor, low: number, high: number): Tensor {
    const [lanes, heads, tokens, d] = x.shape;
    return low === 0 && high === tokens ? x : p.slice(x, [0, 0, low, 0], [lanes, heads, high - low, d]);
  }

  /** Queries [lanes, K, rows, d] float32 against T keys and values [lanes, K, tokens, d]; penalty [lanes, 1, rows, tokens] or null. */
  function attend(q: Tensor, keys: Tensor, values: Tensor, penalty: Tensor | null): Part {
    const [lanes, heads, rows, d] = q.shape;
    const tokens = keys.shape[2];
    const flat = (x: Tensor): Tensor => p.reshape(x, [lanes * heads, x.shape[2], x.shape[3]]);
    const raw = p.matMul(flat(q), flat(wide(keys)), false, true);
    const scores = penalty ? flat(p.add(p.reshape(raw, [lanes, heads, rows, tokens]), penalty)) : raw;
    const top = p.maxLast(scores);
    const weights = p.exp(p.subtract(scores, top));
    const shaped = (x: Tensor, columns: number): Tensor => p.reshape(x, [lanes, heads, rows, columns]);
    return {
      mixed: shaped(p.matMul(weights, flat(wide(values))), d),
      sum: shaped(p.sumLast(weights), 1),
      top: shaped(top, 1),
    };
  }

  /** Rows' completion tokens with the new one appended: lanes to write, and the attention over them in the order of `members`. */
  function completionGroup(
    members: readonly number[],
    { q, k, v }: Record<"q" | "k" | "v", Tensor>,
    rows: readonly DecodeRow[],
    cache: PortableCache,
    config: AttentionConfig,
  ): { lanes: Lanes; part: Part } {
    const { heads, kvHeads, headDim, window } = config;
    const { length } = rows[members[0]];
    const places = members.map((row) => cache.find(rows[row].slot));
    const old = length > 0 ? places[0]!.lanes : null;
    const joined = (mine: Tensor | undefined, fresh: Tensor): Tensor => {
      const added = pick(fresh, members);
      if (!mine) return p.copy(added);
      const lanes = places.map((place) => place!.lane);
      return p.concat([tokensOf(pick(mine, lanes), 0, length), added], 2);
    };
    const keys = joined(old?.keys, k);
    const values = joined(old?.values, v);
    const low = window > 0 ? Math.max(0, length + 1 - window) : 0;
    const queries = p.reshape(pick(q, members), [members.length, kvHeads, heads / kvHeads, headDim]);
    const part = attend(queries, tokensOf(keys, low, length + 1), tokensOf(values, low, length + 1), null);
    const byRow = (x: Tensor): Tensor => p.reshape(x, [members.length, heads, x.shape[3]]);
    return {
      lanes: { slots: members.map((row) => rows[row].slot), lengths: members.map(() => length + 1), keys, values },
      part: { mixed: byRow(part.mixed), sum: byRow(part.sum), top: byRow(part.top) },
    };
  }

  /** Attention of rows to the prompts of one group of lanes, in the order of `members`. */
  function promptGroup(
    members: readonly number[],
    q: Tensor,
    rows: readonly DecodeRow[],
    cache: PortableCache,
    config: AttentionConfig,
  ): Part {
    const { heads, kvHeads, headDim, window } = config;
    const group = heads / kvHeads;
    const { lanes } = cache.find(rows[members[0]].promptSlot)!;
    const laneOf = (row: number): number => cache.find(rows[row].promptSlot)!.lane;
    const used = [...new Set(members.map(laneOf))].sort((a, b) => a - b);
    // Gathering copies; with most lanes in use it is cheaper to compute on all of them.
    const chosen = 2 * used.length > lanes.slots.length ? lanes.slots.map((_, lane) => lane) : used;
    const rowsOfLane = chosen.map((lane) => members.filter((row) => laneOf(row) === lane));
    const deep = Math.max(...rowsOfLane.map((own) => own.length));
    // Each lane's rows, filled up to the same number with any row.
    const placed = rowsOfLane.flatMap((own) => Array.from({ length: deep }, (_, i) => own[i] ?? members[0]));

    const tokens = Math.max(...members.map((row) => rows[row].promptLength));
    const spread = (x: Tensor, columns: number): Tensor =>
      p.transpose(p.reshape(x, [chosen.length, deep, kvHeads, columns]), [0, 2, 1, 3]);
    const queries = p.reshape(spread(pick(q, placed), group * headDim), [chosen.length, kvHeads, deep * group, headDim]);
    const part = attend(
      queries,
      tokensOf(pick(lanes.keys, chosen), 0, tokens),
      tokensOf(pick(lanes.values, chosen), 0, tokens),
      promptPenalty(
        placed.map((row) => rows[row]),
        chosen.length,
        tokens,
        group,
        window,
      ),
    );
    const order = members.map((row) => {
      const lane = chosen.indexOf(laneOf(row));
      return lane * deep + rowsOfLane[lane].indexOf(row);
    });
    const byRow = (x: Tensor): Tensor => {
      const columns = x.shape[3];
      const split = p.transpose(p.reshape(x, [chosen.length, kvHeads, deep, group * columns]), [0, 2, 1, 3]);
      return pick(p.reshape(split, [placed.length, heads, columns]), order);
    };
    return { mixed: byRow(part.mixed), sum: byRow(part.sum), top: byRow(part.top) };
  }

  /** [lanes, 1, rows · group, tokens]: 0 where a row sees a prompt token; null where every row sees all. */
  function promptPenalty(
    rows: readonly DecodeRow[],
    lanes: number,
    tokens: number,
    group: number,
    window: number,
  ): Tensor | null {
    const first = ({ promptLength, length }: DecodeRow): number =>
      window > 0 ? Math.max(0, promptLength + length - window + 1) : 0;
    if (rows.every((row) => row.promptLength === tokens && first(row) === 0)) return null;
    const column = (f: (row: DecodeRow) => number): Tensor => {
      const values = rows.flatMap((row) => Array.from({ length: group }, () => f(row)));
      return device.upload(Float32Array.from(values), [lanes, 1, values.length / lanes, 1]);
    };
    const place = device.upload(
      Float32Array.from({ length: tokens }, (_, j) => j),
      [1, 1, 1, tokens],
    );
    const beyond = p.minimum(
      p.subtract(
        column((row) => row.promptLength - 1),
        place,
      ),
      0,
    );
    const before = p.minimum(p.add(p.multiply(column(first), -1), place), 0);
    return p.multiply(p.add(beyond, before), FORBIDDEN);
  }

  /** Rows without a prompt: nothing to add to any sum. */
  function emptyPart(count: number, { heads, headDim }: AttentionConfig): Part {
    return {
      mixed: p.fill([count, heads, headDim], 0),
      sum: p.fill([count, heads, 1], 0),
      top: p.fill([count, heads, 1], -FORBIDDEN),
    };
  }

  /** Parts of groups of rows -> one part in the order of rows. */
  function inRowOrder(groups: readonly { members: readonly number[]; part: Part }[]): Part {
    const order = groups.flatMap(({ members }) => members);
    const back = new Array<number>(order.length);
    for (const [i, row] of order.entries()) back[row] = i;
    const joined = (xs: Tensor[]): Tensor => pick(xs.length === 1 ? xs[0] : p.concat(xs, 0), back);
    return {
      mixed: joined(groups.map(({ part }) => part.mixed)),
      sum: joined(groups.map(({ part }) => part.sum)),
      top: joined(groups.map(({ part }) => part.top)),
    };
  }

  function merge(a: Part, b: Part): Tensor {
    const top = p.maximum(a.top, b.top);
    const [ofA, ofB] = [p.exp(p.subtract(a.top, top)), p.exp(p.subtract(b.top, top))];
    const mixed = p.add(p.multiply(a.mixed, ofA), p.multiply(b.mixed, ofB));
    return p.divide(mixed, p.add(p.multiply(a.sum, ofA), p.multiply(b.sum, ofB)));
  }

  return {
    layerCache(slots, capacity, config) {
      expectInteger("layerCache", "slots", slots, 1);
      expectInteger("layerCache", "capacity", capacity, 1);
      expectAttention("layerCache", config);
      return new PortableCache(slots, capacity, config.kvHeads, config.headDim);
    },

    fillCache(cache, qkv, segments, config) {
      const op = "fillCache";
      const own = expectCache(op, "cache", cache, config);
      expectAttention(op, config);
      const { heads, kvHeads, headDim } = config;
      const [rows] = expectTensor(op, "qkv", qkv, precision, ["N", qkvWidth(config)]);
      expect(segments.length > 0, op, "segments", "at least one", 0);
      for (const [i, { start, length, slot }] of segments.entries()) {
        expectInteger(op, `segments[${i}].slot`, slot, 0, cache.slots - 1);
        expectInteger(op, `segments[${i}].length`, length, 1, Math.min(rows, cache.capacity));
        expectInteger(op, `segments[${i}].start`, start, 0, rows - length);
      }
      const slots = segments.map(({ slot }) => slot);
      expect(new Set(slots).size === slots.length, op, "segments' slots", "different", slots.join(", "));
      const tokens = Math.max(...segments.map(({ length }) => length));
      scope(() => {
        // Short segments are filled up with their last row; those tokens do not count.
        const places = segments.flatMap(({ start, length }) =>
          Array.from({ length: tokens }, (_, i) => start + Math.min(i, length - 1)),
        );
        const columns = p.slice(qkv, [0, heads * headDim], [rows, 2 * kvHeads * headDim]);
        const split = p.reshape(pick(columns, places), [segments.length, tokens, 2 * kvHeads, headDim]);
        const both = p.transpose(split, [0, 2, 1, 3]);
        const size = [segments.length, kvHeads, tokens, headDim];
        const lengths = segments.map(({ length }) => length);
        const keys = p.slice(both, [0, 0, 0, 0], size);
        own.write([{ slots, lengths, keys, values: p.slice(both, [0, kvHeads, 0, 0], size) }], splitLanes);
      });
    },

    decodeAttention(qkv, prompts, completions, rows, config, ropeConfig) {
      const op = "decodeAttention";
      expectRope(op, config, ropeConfig);
      const promptCache = expectCache(op, "prompts", prompts, config);
      const completionCache = expectCache(op, "completions", completions, config);
      const { heads, kvHeads, headDim } = config;
      expectTensor(op, "qkv", qkv, precision, [rows.length || "B", qkvWidth(config)]);
      expectRows(op, rows, promptCache, completionCache);
      return scope(() => {
        const positions = device.upload(
          Int32Array.from(rows, (row) => row.promptLength + row.length),
          [rows.length],
        );
        const rotated = rope(qkv, positions, config, ropeConfig);
        const columns = (first: number, count: number): Tensor =>
          p.slice(rotated, [0, first * headDim], [rows.length, count * headDim]);
        const fresh = {
          q: p.reshape(p.multiply(wide(columns(0, heads)), config.scale), [rows.length, heads, headDim]),
          k: p.reshape(columns(heads, kvHeads), [rows.length, kvHeads, 1, headDim]),
          v: p.reshape(columns(heads + kvHeads, kvHeads), [rows.length, kvHeads, 1, headDim]),
        };
        const ofCompletions = groupRows(rows, (row) => [row.length, row.length && completionCache.find(row.slot)!.lanes]).map(
          (members) => ({ members, ...completionGroup(members, fresh, rows, completionCache, config) }),
        );
        const ofPrompts = groupRows(rows, (row) => [row.promptLength && promptCache.find(row.promptSlot)!.lanes]).map(
          (members) => ({
            members,
            part:
              rows[members[0]].promptLength > 0
                ? promptGroup(members, fresh.q, rows, promptCache, config)
                : emptyPart(members.length, config),
          }),
        );
        const output = merge(inRowOrder(ofPrompts), inRowOrder(ofCompletions));
        const result = p.reshape(narrow(output), [rows.length, heads * headDim]);
        completionCache.write(
          ofCompletions.map(({ lanes }) => lanes),
          splitLanes,
        );
        return result;
      });
    },

    decodeBlocks: null,

    sample(logits, { temperature, topP, uniforms }) {
      const op = "sample";
      const [rows, width] = expectTensor(op, "logits", logits, "float32", ["B", "V"]);
      expect(Number.isFinite(temperature) && temperature >= 0, op, "temperature", "a finite number, at least 0", temperature);
      if (temperature > 0) {
        expect(topP > 0 && topP <= 1, op, "topP", "in (0, 1]", topP);
        expect(uniforms.length === rows, op, "uniforms", `${rows} numbers`, uniforms.length);
        const bad = uniforms.findIndex((u) => !(u >= 0 && u < 1));
        expect(bad < 0, op, `uniforms[${bad}]`, "in [0, 1)", uniforms[bad]);
      }
      const values = device.download(logits) as Float32Array;
      const ids = new Int32Array(rows);
      const logProbs = new Float32Array(rows);
      for (let row = 0; row < rows; row++) {
        const drawn = sampleRow(values.subarray(row * width, (row + 1) * width), temperature, topP, uniforms[row] ?? 0);
        expect(drawn !== null, op, `logits of row ${row}`, "numbers with a finite maximum", "NaN or infinity");
        ids[row] = drawn.id;
        logProbs[row] = drawn.logProb;
      }
      return { ids, logProbs };
    },
  };
}

/** Indices of rows with the same key, in order of first appearance; keys are compared part by part. */
function groupRows(rows: readonly DecodeRow[], keyOf: (row: DecodeRow) => readonly unknown[]): number[][] {
  const groups: { key: readonly unknown[]; members: number[] }[] = [];
  for (const [i, row] of rows.entries()) {
    const key = keyOf(row);
    const group = groups.find((other) => other.key.every((value, j) => value === key[j]));
    if (group) group.members.push(i);
    else groups.push({ key, members: [i] });
  }
  return groups.map(({ members }) => members);
}

function expectCache(op: string, argument: string, cache: LayerCache, config: AttentionConfig): PortableCache {
  if (!(cache instanceof PortableCache))
    throw new TensorError(`${op}: ${argument} must be made by layerCache of the portable ops`);
  const fits = cache.heads === config.kvHeads && cache.headDim === config.headDim;
  expect(fits, op, argument, `for ${config.kvHeads} heads of ${config.headDim}`, `${cache.heads} heads of ${cache.headDim}`);
  return cache;
}

function expectRows(op: string, rows: readonly DecodeRow[], prompts: PortableCache, completions: PortableCache): void {
  expect(rows.length > 0, op, "rows", "at least one row", 0);
  for (const [i, row] of rows.entries()) {
    expectInteger(op, `rows[${i}].slot`, row.slot, 0, completions.slots - 1);
    expectInteger(op, `rows[${i}].length`, row.length, 0, Math.min(completions.capacity - 1, completions.length(row.slot)));
    expectInteger(op, `rows[${i}].promptLength`, row.promptLength, 0, prompts.capacity);
    if (row.promptLength === 0) continue;
    expectInteger(op, `rows[${i}].promptSlot`, row.promptSlot, 0, prompts.slots - 1);
    expectInteger(op, `rows[${i}].promptLength`, row.promptLength, 0, prompts.length(row.promptSlot));
  }
  expect(new Set(rows.map((row) => row.slot)).size === rows.length, op, "rows' slots", "different", "a slot named twice");
}
