/**
 * The merges of a byte-pair encoding as a hash table in typed arrays: (left id, right id) -> (rank, id of the merged token).
 * A Map keyed by strings needs a second and 200 MB for Gemma's half a million merges; this needs a tenth of both.
 */
export interface PairTable {
  /** Row of a pair, or -1 where the two never merge. */
  find(left: number, right: number): number;
  /** By row: when the pair merges; lower is earlier. */
  readonly rank: Int32Array;
  /** By row: id of the merged token. */
  readonly merged: Int32Array;
}

export interface Merge {
  left: number;
  right: number;
  rank: number;
  merged: number;
}

/** Builds the table. Of a pair named twice the last line holds, as in Hugging Face's tokenizers. */
export function pairTable(merges: readonly Merge[]): PairTable {
  let size = 16;
  while (size < merges.length * 2) size *= 2;
  const mask = size - 1;
  const lefts = new Int32Array(size).fill(-1);
  const rights = new Int32Array(size);
  const rank = new Int32Array(size);
  const merged = new Int32Array(size);

  function slotOf(left: number, right: number): number {
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & mask;
    while (lefts[slot] !== -1 && (lefts[slot] !== left || rights[slot] !== right)) slot = (slot + 1) & mask;
    return slot;
  }

  for (const merge of merges) {
    const slot = slotOf(merge.left, merge.right);
    lefts[slot] = merge.left;
    rights[slot] = merge.right;
    rank[slot] = merge.rank;
    merged[slot] = merge.merged;
  }
  return {
    rank,
    merged,
    find(left, right) {
      const slot = slotOf(left, right);
      return lefts[slot] === -1 ? -1 : slot;
    },
  };
}
