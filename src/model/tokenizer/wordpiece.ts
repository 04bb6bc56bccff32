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
  return (word) => {
    const chars = Array.from(word);
    if (chars.length > maxCharacters) return Int32Array.of(unknownId);
    const out: number[] = [];
    for (let start = 0; start < chars.length;) {
      let end = chars.length;
      let id: number | undefined;
      for (; end > start; end--) {
        id = ids.get((start > 0 ? prefix : "") + chars.slice(start, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return Int32Array.of(unknownId);
      out.push(id);
      start = end;
    }
    return Int32Array.from(out);
  };
}
