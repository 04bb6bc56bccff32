import { byteChar, toByteChars, utf8 } from "./bytes.js";
import { mergeSymbols } from "./merge.js";
import type { PairTable } from "./pair-table.js";

/** Ids of one piece of text. The result is shared between calls: not to be written to. */
export type Encoder = (piece: string) => Int32Array;

export interface BpeOptions {
  /** Token text -> id, without the added tokens that only added_tokens lists. */
  ids: ReadonlyMap<string, number>;
  merges: PairTable;
  /** Symbols are bytes in GPT-2's alphabet; otherwise they are characters. */
  byteLevel: boolean;
  /** A character that is no token becomes `<0xNN>` tokens, one a byte, where all of them exist. */
  byteFallback: boolean;
  /** For what is left; null drops it. */
  unknownId: number | null;
  /** Neighbouring unknowns are one token. */
  fuseUnknown: boolean;
  /** A piece that is a token as it stands is not split (Llama 3). */
  ignoreMerges: boolean;
}

/** Pieces longer than this are rare: keeping them would cost more memory than it saves time. */
const CACHED_LENGTH = 48;
const CACHED_PIECES = 50_000;

/** Byte-pair encoding of one piece, with the answers of short pieces kept. */
export function bpeEncoder(options: BpeOptions): Encoder {
  const symbolsOf = options.byteLevel ? byteSymbols(options) : characterSymbols(options);
  let cache = new Map<string, Int32Array>();

  function encodeNow(piece: string): Int32Array {
    if (options.ignoreMerges) {
      const whole = options.ids.get(options.byteLevel ? toByteChars(piece) : piece);
      if (whole !== undefined) return Int32Array.of(whole);
    }
    return mergeSymbols(symbolsOf(piece), options.merges);
  }

  return (piece) => {
    if (piece.length > CACHED_LENGTH) return encodeNow(piece);
    let ids = cache.get(piece);
    if (ids === undefined) {
      ids = encodeNow(piece);
      if (cache.size >= CACHED_PIECES) cache = new Map();
      cache.set(piece, ids);
    }
    return ids;
  };
}

type Symbols = (piece: string) => Int32Array;

function byteSymbols(options: BpeOptions): Symbols {
  const idOfByte = Array.from({ length: 256 }, (_, byte) => options.ids.get(byteChar(byte)));
  return (piece) => {
    const bytes = utf8(piece);
    const symbols = symbolList(options, bytes.length);
    for (const byte of bytes) {
      const id = idOfByte[byte];
      if (id === undefined) symbols.unknown();
      else symbols.known(id);
    }
    return symbols.done();
  };
}

function characterSymbols(options: BpeOptions): Symbols {
  const fallback = options.byteFallback ? byteTokens(options.ids) : null;
  return (piece) => {
    const symbols = symbolList(options, piece.length);
    for (const char of piece) {
      const id = options.ids.get(char);
      if (id !== undefined) {
        symbols.known(id);
        continue;
      }
      const bytes = fallback === null ? null : tokensOfBytes(char, fallback);
      if (bytes === null) symbols.unknown();
      else for (const byte of bytes) symbols.byte(byte);
    }
    return symbols.done();
  };
}

function byteTokens(ids: ReadonlyMap<string, number>): readonly (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`));
}

function tokensOfBytes(char: string, table: readonly (number | undefined)[]): number[] | null {
  const out: number[] = [];
  for (const byte of utf8(char)) {
    const id = table[byte];
    if (id === undefined) return null;
    out.push(id);
  }
  return out;
}

/** Collects the symbols of a piece; an unknown waits until the next known symbol, so that neighbours can become one. */
function symbolList(options: BpeOptions, length: number) {
  let ids = new Int32Array(length);
  let count = 0;
  let waiting = false;
  const put = (id: number): void => {
    if (count === ids.length) {
      const wider = new Int32Array(Math.max(8, count * 2));
      wider.set(ids);
      ids = wider;
    }
    ids[count++] = id;
  };
  const flush = (): void => {
    if (waiting) put(options.unknownId!);
    waiting = false;
  };
  return {
    known(id: number): void {
      flush();
      put(id);
    },
    byte: put,
    unknown(): void {
      if (options.unknownId === null) return;
      if (!options.fuseUnknown) flush();
      waiting = true;
    },
    done(): Int32Array {
      flush();
      return ids.subarray(0, count);
    },
  };
}
