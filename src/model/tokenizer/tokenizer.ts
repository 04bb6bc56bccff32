import { addedTokenFinder, type SpecialRule } from "./added-tokens.js";
import { textStream, tokenBytes } from "./decode.js";
import { messageOf, TokenizerError } from "./errors.js";
import type { TokenizerSpec } from "./spec.js";

export interface TextSegment {
  readonly text: string;
  readonly trusted: boolean;
}

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
  /** The tokenizer's own ids are in [0, vocabSize), and not every one need be a token. The model's vocabulary may be larger. */
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
  /** One text of parts that we wrote (`trusted`) and parts that we did not: a control token must lie wholly in a part of ours. */
  encodeSegments(segments: readonly TextSegment[]): Int32Array;
  /**
   * Text of ids; bytes that are no UTF-8 become U+FFFD. Ids from vocabSize on have no text, as in transformers.
   * @throws TokenizerError on what is no whole number from 0
   */
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

  function encode(segments: readonly TextSegment[]): Int32Array {
    const text = segments.map((segment) => segment.text.toWellFormed()).join("");
    const rule = specialRule(segments);
    const parts: Int32Array[] = [];
    for (const outer of raw.cut(text, rule)) {
      if (outer.token !== null) {
        parts.push(Int32Array.of(outer.token.id));
        continue;
      }
      // Normalising moves characters, so that within a stretch of both origins none can be told apart.
      const whole = rule(outer.at, outer.at + outer.text.length) === "take" ? "take" : "skip";
      for (const inner of normalized.cut(spec.normalize(outer.text), () => whole)) {
        if (inner.token !== null) parts.push(Int32Array.of(inner.token.id));
        else for (const piece of spec.split(inner.text, outer.at === 0 && inner.at === 0)) parts.push(spec.encodePiece(piece));
      }
    }
    return concat(parts);
  }

  function guarded(segments: readonly TextSegment[]): Int32Array {
    try {
      return encode(segments);
    } catch (error) {
      // V8 gives up on very long runs in a regular expression with a RangeError.
      if (error instanceof RangeError) {
        throw new TokenizerError(file, "text", `cannot be split (${messageOf(error)}); shorten it`, { cause: error });
      }
      throw error;
    }
  }

  function textOf(id: number, skipSpecial: boolean): string | null {
    if (!Number.isInteger(id) || id < 0) {
      throw new TokenizerError(file, "ids", `${id} is not an id; expected a whole number from 0`);
    }
    // Beyond the tokens lie the rows by which many models pad their vocabulary, and such an id may be drawn.
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
    encode: (text) => guarded([{ text, trusted: false }]),
    encodeWithSpecials: (text) => guarded([{ text, trusted: true }]),
    encodeSegments: guarded,
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

/** Takes what lies in one trusted segment, skips what lies outside all of them, leaves what crosses a border. */
function specialRule(segments: readonly TextSegment[]): SpecialRule {
  const ends: number[] = [];
  for (const { text } of segments) ends.push((ends.at(-1) ?? 0) + text.length);
  return (start, stop) => {
    let i = firstAbove(ends, start);
    if (segments[i].trusted) return stop <= ends[i] ? "take" : "leave";
    while (stop > ends[i]) if (segments[++i].trusted) return "leave";
    return "skip";
  };
}

/** Index of the first number above x in a rising list that has one. */
function firstAbove(rising: readonly number[], x: number): number {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle] > x) high = middle;
    else low = middle + 1;
  }
  return low;
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
