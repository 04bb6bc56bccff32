import type { Encoder } from "./bpe.js";

export interface WordPieceOptions {
  ids: ReadonlyMap<string, number>;
  unknownId: number;
  /** Before every piece of a word but the first ("##"). */
  prefix: string;
  /** Longer words are unknown (BERT: 100 characters), which also bounds the work a word can make. */
  maxCharacters: number;
}

/** BERT's WordPiece: from left to right, the longest piece that the vocabulary has; a word with any other part is unknown. */
export function wordPieceEncoder({ ids, unknownId, prefix, maxCharacters }: WordPieceOptions): Encoder {
  let longest = 0;
  for (const token of ids.keys()) longest = Math.max(longest, token.length);
  return (word) => {
    if (word.length > 2 * maxCharacters) return Int32Array.of(unknownId);
    // Where characters begin, so that no piece starts or ends inside one.
    const starts = [0];
    for (const char of word) starts.push(starts[starts.length - 1] + char.length);
    const count = starts.length - 1;
    if (count > maxCharacters) return Int32Array.of(unknownId);
    const out: number[] = [];
    for (let start = 0; start < count;) {
      let end = Math.min(count, start + longest);
      let id: number | undefined;
      for (; end > start; end--) {
        const piece = word.slice(starts[start], starts[end]);
        id = ids.get(start > 0 ? prefix + piece : piece);
        if (id !== undefined) break;
      }
      if (id === undefined) return Int32Array.of(unknownId);
      out.push(id);
      start = end;
    }
    return Int32Array.from(out);
  };
}
