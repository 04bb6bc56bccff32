/**
 * A packed batch: all sequences of a micro-batch laid end to end, without padding or masks.
 *
 * A sequence may continue another one (its `prefix`): the two answers of a preference pair, the rollouts of one prompt, the labels
 * to be scored after it, the rows under one system prompt. The prefix is computed once and the continuations attend to it; this is exact,
 * not an approximation.
 */
import { TensorError } from "../tensor/tensor.js";

export interface Sequence {
  /** Token ids; with a prefix, only those after it. */
  readonly ids: Int32Array;
  /**
   * Index, in the same batch, of the sequence whose whole is this one's prefix. That one has no prefix itself, unless this one is a single
   * token that only is scored: no row is computed for it.
   */
  readonly prefix?: number;
  /** First scored target: token i >= scoreFrom is predicted from everything before it. Default: nothing is scored. */
  readonly scoreFrom?: number;
  /** Compute the last token's row although nothing in the batch reads it (a prompt that decoding goes on from). Default false. */
  readonly keepLast?: boolean;
}

export interface PackedBatch {
  /** Rows that are computed. The last token of a sequence has none unless it is continued or kept: nothing reads its output. */
  readonly tokenCount: number;
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  /** [S, 4]: query start, query length, prefix start, prefix length. */
  readonly segments: Int32Array;
  /** For each scored token: the row that predicts it, and the token. */
  readonly rows: Int32Array;
  readonly targets: Int32Array;
  /** scored[s]..scored[s + 1] are the scored rows of sequence s. */
  readonly scored: Int32Array;
}

/** Packs sequences in the order given. @throws TensorError on an empty sequence, a bad prefix, or a first token that nothing predicts. */
export function packSequences(sequences: readonly Sequence[]): PackedBatch {
  const isPrefix = new Set(sequences.flatMap((s) => (s.prefix === undefined ? [] : [s.prefix])));
  const rowCounts = sequences.map((s, i) => (isPrefix.has(i) || s.keepLast === true ? s.ids.length : s.ids.length - 1));
  const tokenCount = rowCounts.reduce((sum, n) => sum + Math.max(0, n), 0);
  const ids = new Int32Array(tokenCount);
  const positions = new Int32Array(tokenCount);
  const segments: number[] = [];
  const rows: number[] = [];
  const targets: number[] = [];
  const scored = new Int32Array(sequences.length + 1);
  const starts: number[] = [];
  let next = 0;
  sequences.forEach((sequence, index) => {
    const { ids: tokens, prefix, scoreFrom = tokens.length } = sequence;
    if (tokens.length === 0) throw new TensorError(`sequence ${index} of the batch is empty`);
    const before = prefix === undefined ? undefined : sequences[prefix];
    if (
      prefix !== undefined &&
      (before === undefined || prefix >= index || (before.prefix !== undefined && rowCounts[index] > 0))
    )
      throw new TensorError(
        `sequence ${index} continues sequence ${prefix}, which must stand before it and have no prefix itself`,
      );
    if (scoreFrom < 0 || (scoreFrom === 0 && before === undefined))
      throw new TensorError(`sequence ${index} asks for the score of its first token, but nothing stands before it`);
    const start = next;
    const prefixLength = before?.ids.length ?? 0;
    const prefixStart = prefix === undefined ? 0 : starts[prefix];
    const count = rowCounts[index];
    starts.push(start);
    ids.set(tokens.subarray(0, count), start);
    for (let i = 0; i < count; i++) positions[start + i] = prefixLength + i;
    if (count > 0) segments.push(start, count, prefixStart, prefixLength);
    for (let i = scoreFrom; i < tokens.length; i++) {
      rows.push(i > 0 ? start + i - 1 : prefixStart + prefixLength - 1);
      targets.push(tokens[i]);
    }
    scored[index + 1] = rows.length;
    next += count;
  });
  return {
    tokenCount,
    ids,
    positions,
    segments: Int32Array.from(segments),
    rows: Int32Array.from(rows),
    targets: Int32Array.from(targets),
    scored,
  };
}

/**
 * Cuts items into groups of at most `limit` tokens (at least one item a group), keeping their order. About 1,000 to 2,000 tokens a
 * group is where the kernels are fastest.
 */
export function groupByTokens<T>(items: readonly T[], tokens: (item: T) => number, limit: number): T[][] {
  const groups: T[][] = [];
  let room = 0;
  for (const item of items) {
    const size = tokens(item);
    if (groups.length === 0 || size > room) {
      groups.push([]);
      room = limit;
    }
    groups.at(-1)!.push(item);
    room -= size;
  }
  return groups;
}

/** Ids that many sequences begin with: a system prompt. Computed once for those that do; the others are computed whole. */
export type SharedPrefix = Int32Array;

/** Whether a sequence begins with the prefix and goes on after it. An empty prefix is shared by none. */
export function continuesPrefix(ids: Int32Array, prefix: SharedPrefix): boolean {
  return prefix.length > 0 && ids.length > prefix.length && prefix.every((id, i) => ids[i] === id);
}

/** What all sequences begin with, short of the shortest one: each goes on after it. Nothing for fewer than two. */
export function commonStart(sequences: readonly Int32Array[]): SharedPrefix {
  if (sequences.length < 2) return new Int32Array(0);
  const [first, ...others] = sequences;
  let length = Math.max(0, Math.min(...sequences.map((ids) => ids.length)) - 1);
  for (const other of others) {
    let same = 0;
    while (same < length && other[same] === first[same]) same++;
    length = same;
  }
  return first.subarray(0, length);
}
