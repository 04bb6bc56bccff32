import type { Decoding } from "./decode.js";
import type { Encoder } from "./bpe.js";

/** A token that is found in the text itself, before any splitting. */
export interface AddedToken {
  id: number;
  content: string;
  /** A control token (bos, end of turn, …), as against a word that the vocabulary lists apart (`<think>`, runs of spaces). */
  special: boolean;
  /** Looked for in the normalised text rather than in the text as it came. */
  normalized: boolean;
  /** Swallow white space before it, or after it. */
  lstrip: boolean;
  rstrip: boolean;
  /** Only where no word character touches it. */
  singleWord: boolean;
}

/** What a file says of a tokenizer, whatever the format: `tokenizerOf` puts the parts to work. */
export interface TokenizerSpec {
  /** Name for messages. */
  file: string;
  /** By id, added tokens included; ids that no token has are holes. */
  tokens: readonly (string | undefined)[];
  added: readonly AddedToken[];
  normalize: (text: string) => string;
  /** Pieces of a normalised text, none of which merges with another; `atStart`: the text begins here. */
  split: (text: string, atStart: boolean) => string[];
  encodePiece: Encoder;
  decoding: Decoding;
  /** Ids that this tokenizer puts around a text by default (bos; [CLS] and [SEP]). */
  before: readonly number[];
  after: readonly number[];
  bosId: number | null;
  eosIds: readonly number[];
  padId: number | null;
  /** The model's own chat template, where it has one. */
  chatTemplate: string | null;
}
