import { addedTokenFinder } from "./added-tokens.js";
import { textStream, tokenBytes } from "./decode.js";
import { messageOf, TokenizerError } from "./errors.js";
import type { TokenizerSpec } from "./spec.js";

export interface DecodeOptions {
  /** Leave control tokens out (default false). */
  skipSpecial?: boolean;
}

/** Gives text as ids arrive, holding back what the next id may still change. */
export interface DecodeStream {
  push(id: number): string;
  end(): string;
}

/** Text to ids and back. */
export interface Tokenizer {
  /** Where it came from, for messages. */
  readonly file: string;
  /** Ids are in [0, vocabSize); not every id need be a token. */
  readonly vocabSize: number;
  /** Control tokens, text -> id. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Words that the vocabulary lists apart and that count as text (`<think>`), text -> id. */
  readonly addedWords: ReadonlyMap<string, number>;
  readonly bosId: number | null;
  /** Every id that ends a text or a turn. */
  readonly eosIds: readonly number[];
  readonly padId: number | null;
  /** The model expects bos before a plain text. `encode` does not add it. */
  readonly addBos: boolean;
  /** What the model expects around a plain text: bos, or [CLS] and [SEP]. */
  readonly around: { readonly before: readonly number[]; readonly after: readonly number[] };
  /** The chat template that came with the model. */
  readonly chatTemplate: string | null;
  /**
   * Ids of a text that may come from anyone: nothing in it becomes a control token, and nothing is added. Lone surrogates are read
   * as U+FFFD. The same ids as Hugging Face's with split_special_tokens and without add_special_tokens.
   */
  encode(text: string): Int32Array;
  /** The same for text that we wrote: control tokens in it are control tokens. */
  encodeWithSpecials(text: string): Int32Array;
  /** Text of ids; bytes that are no UTF-8 become U+FFFD. Throws TokenizerError on an id out of [0, vocabSize). */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  decodeStream(options?: DecodeOptions): DecodeStream;
  /** A token as the vocabulary spells it, or null. */
  tokenText(id: number): string | null;
  /** The bytes that a token adds to the decoded text. */
  tokenBytes(id: number): Uint8Array;
}

/** Puts the parts of a tokenizer to work. */
export function tokenizerOf(spec: TokenizerSpec): Tokenizer {
  const { added, decoding, file } = spec;
  const raw = addedTokenFinder(
    added.filter((token) => !token.normalized),
    (token) => token.content,
  );
  const normalized = addedTokenFinder(
    added.filter((token) => token.normalized),
    (token) => spec.normalize(token.content),
  );
  const specialIds = new Set(added.filter((token) => token.special).map((token) => token.id));

  function encode(text: string, skipSpecial: boolean): Int32Array {
    const parts: Int32Array[] = [];
    for (const outer of raw.cut(text.toWellFormed(), skipSpecial)) {
      if (outer.token !== null) {
        parts.push(Int32Array.of(outer.token.id));
        continue;
      }
      for (const inner of normalized.cut(spec.normalize(outer.text), skipSpecial)) {
        if (inner.token !== null) parts.push(Int32Array.of(inner.token.id));
        else for (const piece of spec.split(inner.text, outer.at === 0 && inner.at === 0)) parts.push(spec.encodePiece(piece));
      }
    }
    return concat(parts);
  }

  function guarded(text: string, skipSpecial: boolean): Int32Array {
    try {
      return encode(text, skipSpecial);
    } catch (error) {
      // V8 gives up on very long runs in a regular expression with a RangeError.
      if (error instanceof RangeError) {
        throw new TokenizerError(file, "text", `cannot be split (${text.length} characters; ${messageOf(error)}); shorten it`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  function textOf(id: number, skipSpecial: boolean): string | null {
    if (!Number.isInteger(id) || id < 0 || id >= spec.tokens.length) {
      throw new TokenizerError(file, "ids", `${id} is not an id of this tokenizer; expected [0, ${spec.tokens.length})`);
    }
    if (skipSpecial && specialIds.has(id)) return null;
    return spec.tokens[id] ?? null;
  }

  const tokenizer: Tokenizer = {
    file,
    vocabSize: spec.tokens.length,
    specialTokens: new Map(added.filter((token) => token.special).map((token) => [token.content, token.id])),
    addedWords: new Map(added.filter((token) => !token.special).map((token) => [token.content, token.id])),
    bosId: spec.bosId,
    eosIds: spec.eosIds,
    padId: spec.padId,
    addBos: spec.bosId !== null && spec.before[0] === spec.bosId,
    around: { before: spec.before, after: spec.after },
    chatTemplate: spec.chatTemplate,
    encode: (text) => guarded(text, true),
    encodeWithSpecials: (text) => guarded(text, false),
    decode(ids, options) {
      const stream = tokenizer.decodeStream(options);
      let text = "";
      for (let i = 0; i < ids.length; i++) text += stream.push(ids[i]);
      return text + stream.end();
    },
    decodeStream({ skipSpecial = false } = {}) {
      const stream = textStream(decoding);
      return {
        push(id) {
          const token = textOf(id, skipSpecial);
          return token === null ? "" : stream.push(token);
        },
        end: () => stream.end(),
      };
    },
    tokenText: (id) => textOf(id, false),
    tokenBytes(id) {
      const token = textOf(id, false);
      return token === null ? new Uint8Array(0) : tokenBytes(token, decoding);
    },
  };
  return tokenizer;
}

function concat(parts: readonly Int32Array[]): Int32Array {
  const out = new Int32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
