/** Reads the header of a GGUF file from front to back through a small window; no length from the file is believed before it is checked. */
import { quoted, WeightFileError } from "./errors.js";
import type { ReadOnlyFile } from "./file.js";
import type { GgufValue, NumberArray } from "./gguf-metadata.js";

export interface GgufCursor {
  /** Bytes read so far. */
  readonly position: number;
  uint32(where: string): number;
  uint64(where: string): bigint;
  /** UTF-8 text with its length before it; at most `maxBytes`. */
  text(where: string, maxBytes: number): string;
  /** A metadata value with its type before it. */
  value(where: string): GgufValue;
}

const WINDOW_BYTES = 1024 * 1024;
const MAX_STRING_BYTES = 16 * 1024 * 1024;
const MAX_ARRAY_LENGTH = 16 * 1024 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;
const NUMBERS: Readonly<Record<number, { bytes: number; array: (bytes: Bytes) => NumberArray }>> = {
  0: { bytes: 1, array: (b) => b },
  1: { bytes: 1, array: (b) => new Int8Array(b.buffer) },
  2: { bytes: 2, array: (b) => new Uint16Array(b.buffer) },
  3: { bytes: 2, array: (b) => new Int16Array(b.buffer) },
  4: { bytes: 4, array: (b) => new Uint32Array(b.buffer) },
  5: { bytes: 4, array: (b) => new Int32Array(b.buffer) },
  6: { bytes: 4, array: (b) => new Float32Array(b.buffer) },
  7: { bytes: 1, array: (b) => b },
  10: { bytes: 8, array: (b) => Float64Array.from(new BigUint64Array(b.buffer), Number) },
  11: { bytes: 8, array: (b) => Float64Array.from(new BigInt64Array(b.buffer), Number) },
  12: { bytes: 8, array: (b) => new Float64Array(b.buffer) },
};
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/** Starts at the file's first byte. Every read past the end is a WeightFileError that names `where`. */
export function ggufCursor(file: ReadOnlyFile): GgufCursor {
  let windowStart = 0;
  let window = Buffer.alloc(0);
  let position = 0;

  /** Moves past the next `count` bytes; they stand in the window, at the index returned, until the next call. */
  function take(count: number, where: string): number {
    if (position + count > file.size) {
      throw new WeightFileError(file.path, where, `the file ends at byte ${file.size}, inside it (truncated?)`);
    }
    if (position + count > windowStart + window.length) {
      window = Buffer.alloc(Math.min(Math.max(count, WINDOW_BYTES), file.size - position));
      file.readAt(position, window, where);
      windowStart = position;
    }
    const index = position - windowStart;
    position += count;
    return index;
  }

  const copy = (count: number, where: string): Bytes => {
    const index = take(count, where);
    return Uint8Array.from(window.subarray(index, index + count));
  };
  const uint32 = (where: string): number => {
    const index = take(4, where);
    return window.readUInt32LE(index);
  };
  const uint64 = (where: string): bigint => {
    const index = take(8, where);
    return window.readBigUInt64LE(index);
  };

  function length(where: string, what: string, max: number): number {
    const count = uint64(where);
    if (count > BigInt(max)) throw new WeightFileError(file.path, where, `${what} ${count.toString()} is more than ${max}`);
    return Number(count);
  }

  function text(where: string, maxBytes: number): string {
    const count = length(where, "string length", maxBytes);
    const index = take(count, where);
    // Tokens may be cut characters: invalid bytes become U+FFFD rather than an error.
    return window.toString("utf8", index, index + count);
  }

  function array(where: string): GgufValue {
    const type = uint32(where);
    const count = length(where, "array length", MAX_ARRAY_LENGTH);
    if (type === STRING) {
      // Each string has 8 bytes of length at least, so a count that cannot be true is caught before anything is kept.
      if (count * 8 > file.size - position)
        throw new WeightFileError(file.path, where, `${count} strings do not fit in the file (truncated?)`);
      return Array.from({ length: count }, () => text(where, MAX_STRING_BYTES));
    }
    if (!Object.hasOwn(NUMBERS, type))
      throw new WeightFileError(file.path, where, `is an array of type ${type}, not of numbers or strings`);
    const { bytes, array: make } = NUMBERS[type];
    return make(copy(count * bytes, where));
  }

  function value(where: string): GgufValue {
    const type = uint32(where);
    if (type === STRING) return text(where, MAX_STRING_BYTES);
    if (type === ARRAY) return array(where);
    if (!Object.hasOwn(NUMBERS, type)) throw new WeightFileError(file.path, where, `has the unknown type ${type}`);
    const bytes = copy(NUMBERS[type].bytes, where);
    if (type === BOOL) {
      if (bytes[0] > 1) throw new WeightFileError(file.path, where, `is a boolean with the value ${bytes[0]}`);
      return bytes[0] === 1;
    }
    if (type === 10 || type === 11) {
      const view = new DataView(bytes.buffer);
      const wide = type === 10 ? view.getBigUint64(0, true) : view.getBigInt64(0, true);
      return Number.isSafeInteger(Number(wide)) ? Number(wide) : wide;
    }
    return NUMBERS[type].array(bytes)[0];
  }

  return {
    get position() {
      return position;
    },
    uint32,
    uint64,
    text,
    value: (where) => value(where),
  };
}

/** How errors name a metadata key. */
export function metadataPlace(key: string): string {
  return `metadata ${quoted(key)}`;
}
