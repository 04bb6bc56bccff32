/**
 * Portable causal attention over packed segments, forward and backward, in float32.
 *
 * One block of a segment's queries at a time: at most {@link QUERY_ROWS} queries of all heads against the keys that they can see, so
 * that scores take QUERY_ROWS · heads · (prefix + segment) floats however long the segment is. Query heads of one kv head are
 * rows of one product, [kvHeads, group · queries, d] x [kvHeads, d, keys].
 */
import { expect, expectAttention, expectTensor, hostValues, qkvWidth } from "./portable-checks.js";
import type { AttentionConfig, DecoderOps, Precision } from "./ops.js";
import type { Primitives } from "./primitives.js";
import { scope, type Tensor } from "./tensor.js";

const QUERY_ROWS = 512;

/** Score of a key that a query must not see, per position that it is off: far below any score, far from overflow. */
const FORBIDDEN = 1e30;

interface Segment {
  readonly start: number;
  readonly length: number;
  readonly prefixStart: number;
  readonly prefixLength: number;
}

/** Rows [start, end) of the packed batch. */
type Range = readonly [start: number, end: number];

/** Queries [from, to) of a segment and the keys [low, high) that some of them see, both counted from the start of its own rows or its prefix. */
interface Block {
  readonly queries: Range;
  readonly firstPosition: number;
  readonly low: number;
  readonly high: number;
  /** Where keys [low, high) stand in the packed batch: prefix rows, then own rows. */
  readonly keys: readonly Range[];
}

export function attentionOps(p: Primitives, precision: Precision): Pick<DecoderOps, "attention" | "attentionGradient"> {
  const wide = (x: Tensor): Tensor => (x.dtype === "float32" ? x : p.cast(x, "float32"));
  const narrow = (x: Tensor): Tensor => (x.dtype === precision ? x : p.cast(x, precision));

  /** T [N, width] columns from `column` on -> float32 [heads, N, d]. */
  function headsFirst(x: Tensor, column: number, heads: number, headDim: number): Tensor {
    const rows = x.shape[0];
    const columns = wide(p.slice(x, [0, column], [rows, heads * headDim]));
    return p.transpose(p.reshape(columns, [rows, heads, headDim]), [1, 0, 2]);
  }

  /** [heads, N, d] -> [N, heads d]. */
  function rowsFirst(x: Tensor): Tensor {
    const [heads, rows, d] = x.shape;
    return p.reshape(p.transpose(x, [1, 0, 2]), [rows, heads * d]);
  }

  function splitQkv(qkv: Tensor, { heads, kvHeads, headDim, scale }: AttentionConfig): { q: Tensor; k: Tensor; v: Tensor } {
    return {
      q: p.multiply(headsFirst(qkv, 0, heads, headDim), scale),
      k: headsFirst(qkv, heads * headDim, kvHeads, headDim),
      v: headsFirst(qkv, (heads + kvHeads) * headDim, kvHeads, headDim),
    };
  }

  /** Rows of a [heads, N, d] (or [heads, N, 1]) tensor, joined. */
  function rowsOf(x: Tensor, ranges: readonly Range[]): Tensor {
    const pieces = ranges.map(([start, end]) => p.slice(x, [0, start, 0], [x.shape[0], end - start, x.shape[2]]));
    return pieces.length === 1 ? pieces[0] : p.concat(pieces, 1);
  }

  /** Query-head rows of a block as rows of their kv head: [H, q, c] -> [K, (H / K) q, c]. */
  function grouped(x: Tensor, kvHeads: number): Tensor {
    const [heads, rows, columns] = x.shape;
    return p.reshape(x, [kvHeads, (heads / kvHeads) * rows, columns]);
  }

  /** Scores of a block, [K, G q, keys], with what may not be seen pushed far down. */
  function scores(q: Tensor, k: Tensor, block: Block, { heads, kvHeads, window }: AttentionConfig): Tensor {
    const raw = p.matMul(q, k, false, true);
    const count = block.queries[1] - block.queries[0];
    const keys = block.high - block.low;
    const penalty = mask(block, count, keys, window);
    if (!penalty) return raw;
    const masked = p.add(p.reshape(raw, [kvHeads, heads / kvHeads, count, keys]), penalty);
    return p.reshape(masked, raw.shape);
  }

  /** float32 [queries, keys]: 0 where the query sees the key; null where all see all. */
  function mask(block: Block, count: number, keys: number, window: number): Tensor | null {
    const { firstPosition, low } = block;
    const causal = count > 1;
    const windowed = window > 0 && firstPosition + count - 1 - low >= window;
    if (!causal && !windowed) return null;
    const queryPositions = p.device.upload(
      Float32Array.from({ length: count }, (_, i) => firstPosition + i),
      [count, 1],
    );
    const keyPositions = p.device.upload(
      Float32Array.from({ length: keys }, (_, j) => low + j),
      [1, keys],
    );
    const distance = p.subtract(queryPositions, keyPositions);
    const future = p.minimum(distance, 0);
    if (!windowed) return p.multiply(future, FORBIDDEN);
    const past = p.minimum(p.add(p.multiply(distance, -1), window - 1), 0);
    return p.multiply(p.add(future, past), FORBIDDEN);
  }

  /** Pieces that stand at disjoint ranges of the N rows -> all N rows along axis 1, zeros where no piece stands. */
  function assemble(pieces: readonly { range: Range; x: Tensor }[], rows: number): Tensor {
    const sorted = [...pieces].sort((a, b) => a.range[0] - b.range[0]);
    const [heads, , columns] = sorted[0].x.shape;
    const all: Tensor[] = [];
    let end = 0;
    for (const { range, x } of sorted) {
      if (range[0] > end) all.push(p.fill([heads, range[0] - end, columns], 0));
      all.push(x);
      end = range[1];
    }
    if (end < rows) all.push(p.fill([heads, rows - end, columns], 0));
    return p.concat(all, 1);
  }

  /** x with `piece` added to its rows from `start` on (axis 1). */
  function addRows(x: Tensor, start: number, piece: Tensor): Tensor {
    const rows = x.shape[1];
    const end = start + piece.shape[1];
    if (piece.shape[1] === rows) return p.add(x, piece);
    const middle = p.add(rowsOf(x, [[start, end]]), piece);
    const parts = [middle];
    if (start > 0) parts.unshift(rowsOf(x, [[0, start]]));
    if (end < rows) parts.push(rowsOf(x, [[end, rows]]));
    return p.concat(parts, 1);
  }

  /** One block's gradients: dq [H, q, d], dk and dv [K, keys, d]. */
  function blockGradient(
    { q, k, v, dO, logSumExp, delta }: Record<"q" | "k" | "v" | "dO" | "logSumExp" | "delta", Tensor>,
    block: Block,
    config: AttentionConfig,
  ): { dq: Tensor; dk: Tensor; dv: Tensor } {
    return scope(() => {
      const queries = (x: Tensor): Tensor => grouped(rowsOf(x, [block.queries]), config.kvHeads);
      const qs = queries(q);
      const ks = rowsOf(k, block.keys);
      const dOs = queries(dO);
      const probabilities = p.exp(p.subtract(scores(qs, ks, block, config), queries(logSumExp)));
      const dP = p.matMul(dOs, rowsOf(v, block.keys), false, true);
      const dS = p.multiply(probabilities, p.subtract(dP, queries(delta)));
      const dq = p.multiply(p.matMul(dS, ks), config.scale);
      return {
        dq: p.reshape(dq, [config.heads, block.queries[1] - block.queries[0], config.headDim]),
        dk: p.matMul(dS, qs, true),
        dv: p.matMul(probabilities, dOs, true),
      };
    });
  }

  return {
    attention(qkv, segments, config) {
      expectAttention("attention", config);
      const [rows] = expectTensor("attention", "qkv", qkv, precision, ["N", qkvWidth(config)]);
      const plan = readSegments("attention", p, segments, rows);
      return scope(() => {
        const { q, k, v } = splitQkv(qkv, config);
        const outputs: { range: Range; x: Tensor }[] = [];
        const logSums: { range: Range; x: Tensor }[] = [];
        for (const segment of plan) {
          for (const block of blocksOf(segment, config.window)) {
            const [start, end] = block.queries;
            const { output, logSum } = scope(() => {
              const s = scores(grouped(rowsOf(q, [block.queries]), config.kvHeads), rowsOf(k, block.keys), block, config);
              const top = p.maxLast(s);
              const weights = p.exp(p.subtract(s, top));
              const sum = p.sumLast(weights);
              const mixed = p.divide(p.matMul(weights, rowsOf(v, block.keys)), sum);
              return {
                output: p.reshape(mixed, [config.heads, end - start, config.headDim]),
                logSum: p.reshape(p.add(p.log(sum), top), [config.heads, end - start, 1]),
              };
            });
            outputs.push({ range: block.queries, x: output });
            logSums.push({ range: block.queries, x: logSum });
          }
        }
        return {
          output: narrow(rowsFirst(assemble(outputs, rows))),
          logSumExp: p.reshape(assemble(logSums, rows), [config.heads, rows]),
        };
      });
    },

    attentionGradient(qkv, segments, config, output, logSumExp, dOutput) {
      const op = "attentionGradient";
      expectAttention(op, config);
      const { heads, kvHeads, headDim } = config;
      const [rows] = expectTensor(op, "qkv", qkv, precision, ["N", qkvWidth(config)]);
      expectTensor(op, "output", output, precision, [rows, heads * headDim]);
      expectTensor(op, "logSumExp", logSumExp, "float32", [heads, rows]);
      expectTensor(op, "dOutput", dOutput, precision, [rows, heads * headDim]);
      const plan = readSegments(op, p, segments, rows);
      return scope(() => {
        const dO = headsFirst(dOutput, 0, heads, headDim);
        const whole = {
          ...splitQkv(qkv, config),
          dO,
          logSumExp: p.reshape(logSumExp, [heads, rows, 1]),
          // Row sums of dP · P, by the output instead of by the probabilities.
          delta: p.sumLast(p.multiply(dO, headsFirst(output, 0, heads, headDim))),
        };
        const dQueries: { range: Range; x: Tensor }[] = [];
        const dKeys: Tensor[] = [];
        const dValues: Tensor[] = [];
        for (const segment of plan) {
          const { dq, dk, dv } = scope(() => segmentGradient(segment));
          dQueries.push(...dq);
          dKeys.push(dk);
          dValues.push(dv);
        }
        const dKeyValues = rowsFirst(p.concat([p.concat(dKeys, 1), p.concat(dValues, 1)], 0));
        const dQ = rowsFirst(assemble(dQueries, rows));
        return narrow(p.concat([dQ, collect(dKeyValues)], 1));

        function segmentGradient(segment: Segment): { dq: { range: Range; x: Tensor }[]; dk: Tensor; dv: Tensor } {
          const keys = segment.prefixLength + segment.length;
          const dq: { range: Range; x: Tensor }[] = [];
          let dk: Tensor | null = null;
          let dv: Tensor | null = null;
          for (const block of blocksOf(segment, config.window)) {
            const own = blockGradient(whole, block, config);
            dq.push({ range: block.queries, x: own.dq });
            if (!dk && block.low === 0 && block.high === keys) {
              [dk, dv] = [own.dk, own.dv];
              continue;
            }
            const before: [Tensor, Tensor] = dk && dv ? [dk, dv] : [zeros(keys), zeros(keys)];
            [dk, dv] = [addRows(before[0], block.low, own.dk), addRows(before[1], block.low, own.dv)];
            for (const old of [...before, own.dk, own.dv]) old.free();
          }
          return { dq, dk: dk!, dv: dv! };
        }

        function zeros(keys: number): Tensor {
          return p.fill([kvHeads, keys, headDim], 0);
        }

        /** Adds the rows of all segments, [sum of prefix and own lengths, 2 K d], into the N rows that they stand for. */
        function collect(x: Tensor): Tensor {
          const places = Int32Array.from(
            plan.flatMap(({ start, length, prefixStart, prefixLength }) => [
              ...count(prefixStart, prefixLength),
              ...count(start, length),
            ]),
          );
          const inOrder = places.length === rows && places.every((place, i) => place === i);
          return inOrder ? x : p.scatterAdd(x, p.device.upload(places, [places.length]), rows);
        }
      });
    },
  };
}

function count(start: number, length: number): number[] {
  return Array.from({ length }, (_, i) => start + i);
}

/** The segment table, checked against N rows; segments without queries are left out. */
function readSegments(op: string, p: Primitives, segments: Tensor, rows: number): Segment[] {
  expectTensor(op, "segments", segments, "int32", ["S", 4]);
  const table = hostValues(p.device, segments);
  const plan: Segment[] = [];
  for (let i = 0; i < table.length; i += 4) {
    const [start, length, prefixStart, prefixLength] = table.subarray(i, i + 4);
    const inside = (from: number, n: number): boolean => from >= 0 && n >= 0 && from + n <= rows;
    const valid = inside(start, length) && (prefixLength === 0 || inside(prefixStart, prefixLength));
    expect(valid, op, `segments[${i / 4}]`, `inside ${rows} rows`, `[${[start, length, prefixStart, prefixLength].join(", ")}]`);
    if (length > 0) plan.push({ start, length, prefixStart, prefixLength });
  }
  const sorted = [...plan].sort((a, b) => a.start - b.start);
  const clash = sorted.find((segment, i) => i > 0 && segment.start < sorted[i - 1].start + sorted[i - 1].length);
  expect(!clash, op, "segments' query ranges", "disjoint", `two that hold row ${clash?.start ?? 0}`);
  expect(plan.length > 0, op, "segments", "at least one with queries", 0);
  return plan;
}

function blocksOf(segment: Segment, window: number): Block[] {
  const { start, length, prefixStart, prefixLength } = segment;
  const blocks: Block[] = [];
  for (let from = 0; from < length; from += QUERY_ROWS) {
    const to = Math.min(length, from + QUERY_ROWS);
    const firstPosition = prefixLength + from;
    const low = window > 0 ? Math.max(0, firstPosition - window + 1) : 0;
    const high = prefixLength + to;
    const keys: Range[] = [];
    if (low < prefixLength) keys.push([prefixStart + low, prefixStart + prefixLength]);
    keys.push([start + Math.max(0, low - prefixLength), start + to]);
    blocks.push({ queries: [start + from, start + to], firstPosition, low, high, keys });
  }
  return blocks;
}
