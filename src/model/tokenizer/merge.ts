import type { PairTable } from "./pair-table.js";

/** Ranks and positions share one number in the queue: rank above, position below, both exact in a double. */
const POSITIONS = 2 ** 31;

/**
 * Merges the symbols of one piece, lowest rank first and leftmost first among equals, until no pair merges: O(n log n), so that a
 * megabyte without a space takes a second instead of hours. The rule, including what a stale queue entry does, is that of
 * `Word::merge_all` in Hugging Face's tokenizers.
 *
 * @param symbols ids of the piece's characters or bytes; overwritten
 * @returns the merged ids
 */
export function mergeSymbols(symbols: Int32Array, table: PairTable): Int32Array {
  const n = symbols.length;
  if (n < 2) return symbols;
  const previous = new Int32Array(n);
  const next = new Int32Array(n);
  const alive = new Uint8Array(n).fill(1);
  const queue = mergeQueue(n);
  const consider = (left: number, right: number): void => {
    const row = table.find(symbols[left], symbols[right]);
    if (row !== -1) queue.push(table.rank[row] * POSITIONS + left, table.merged[row]);
  };

  for (let i = 0; i < n; i++) {
    previous[i] = i - 1;
    next[i] = i + 1;
    if (i > 0) consider(i - 1, i);
  }
  let count = n;
  for (let key = queue.pop(); key !== -1; key = queue.pop()) {
    const left = key % POSITIONS;
    const right = next[left];
    if (alive[left] === 0 || right >= n) continue;
    const row = table.find(symbols[left], symbols[right]);
    if (row === -1 || table.merged[row] !== queue.popped()) continue;
    symbols[left] = table.merged[row];
    alive[right] = 0;
    next[left] = next[right];
    if (next[left] < n) previous[next[left]] = left;
    count--;
    if (previous[left] >= 0) consider(previous[left], left);
    if (next[left] < n) consider(left, next[left]);
  }

  const out = new Int32Array(count);
  for (let i = 0, k = 0; i < n; i = next[i]) out[k++] = symbols[i];
  return out;
}

interface MergeQueue {
  push(key: number, merged: number): void;
  /** The least key, or -1 when empty. */
  pop(): number;
  /** The merged id that came with the key popped last. */
  popped(): number;
}

/** A binary heap; a piece of n symbols pushes fewer than 3 n entries, since each merge adds two and removes a symbol. */
function mergeQueue(n: number): MergeQueue {
  const keys = new Float64Array(3 * n);
  const merged = new Int32Array(3 * n);
  let size = 0;
  let last = -1;
  return {
    push(key, id) {
      let at = size++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (keys[parent] <= key) break;
        keys[at] = keys[parent];
        merged[at] = merged[parent];
        at = parent;
      }
      keys[at] = key;
      merged[at] = id;
    },
    pop() {
      if (size === 0) return -1;
      const top = keys[0];
      last = merged[0];
      const key = keys[--size];
      const id = merged[size];
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= size) break;
        if (child + 1 < size && keys[child + 1] < keys[child]) child++;
        if (keys[child] >= key) break;
        keys[at] = keys[child];
        merged[at] = merged[child];
        at = child;
      }
      keys[at] = key;
      merged[at] = id;
      return top;
    },
    popped: () => last,
  };
}
