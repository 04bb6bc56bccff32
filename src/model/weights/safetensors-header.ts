/**
 * The header of a safetensors file: 8 bytes of length, then that many bytes of JSON, then the tensors' bytes.
 *
 * Every rule of the format (github.com/huggingface/safetensors, "Format") is checked before a tensor is read: the length against the
 * file, UTF-8, one JSON object without repeated keys, known dtypes, shape times dtype equal to the byte range, and ranges that tile
 * the data without overlap, hole or rest.
 */
import { quoted, WeightFileError } from "./errors.js";
import type { ReadOnlyFile } from "./file.js";
import { JsonError, parseJson } from "./json.js";

/** Bits a value. F4 and F6 types pack values across bytes. */
const DTYPE_BITS = {
  BOOL: 8, F4: 4, F6_E2M3: 6, F6_E3M2: 6, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8,
  I16: 16, U16: 16, F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32, F64: 64, I64: 64, U64: 64, C64: 64,
} as const; // prettier-ignore

export type SafetensorsDtype = keyof typeof DTYPE_BITS;

export interface SafetensorsEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Byte range in the file. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_DIMENSIONS = 16;

/** Reads and checks the header. @throws WeightFileError naming the tensor and field. */
export function readSafetensorsHeader(file: ReadOnlyFile): SafetensorsHeader {
  const fail = (where: string, problem: string, cause?: unknown): never => {
    throw new WeightFileError(file.path, where, problem, { cause });
  };
  const prefix = new Uint8Array(8);
  file.readAt(0, prefix, "header length");
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES))
    fail("header length", `${length.toString()} bytes, more than the format's ${MAX_HEADER_BYTES}`);
  const headerBytes = new Uint8Array(file.size - 8 < Number(length) ? 0 : Number(length));
  if (headerBytes.length !== Number(length))
    fail("header length", `${length.toString()} bytes, but the file has only ${file.size} (truncated?)`);
  file.readAt(8, headerBytes, "header");
  if (headerBytes[0] !== 0x7b) fail("header", "does not start with {");

  let json: unknown;
  try {
    json = parseJson(headerBytes);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    fail("header", cause.message, cause);
  }
  if (!isObject(json)) return fail("header", "is not a JSON object");
  const dataStart = 8 + headerBytes.length;
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = readMetadata(value, fail);
    else tensors.set(name, readEntry(`tensor ${quoted(name)}`, value, dataStart, file.size, fail));
  }
  checkTiling(tensors, dataStart, file.size, fail);
  return { tensors, metadata };
}

type Fail = (where: string, problem: string) => never;

function readMetadata(value: unknown, fail: Fail): ReadonlyMap<string, string> {
  if (!isObject(value)) return fail("__metadata__", "is not an object of strings");
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") return fail(`__metadata__ ${quoted(key)}`, "is not a string");
    metadata.set(key, text);
  }
  return metadata;
}

function readEntry(where: string, value: unknown, dataStart: number, fileSize: number, fail: Fail): SafetensorsEntry {
  if (!isObject(value)) return fail(where, "is not an object with dtype, shape and data_offsets");
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !isDtype(dtype))
    return fail(where, `has the unknown dtype ${quoted(JSON.stringify(dtype) ?? "none")}`);
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) {
    return fail(where, `has the shape ${quoted(JSON.stringify(shape) ?? "none")}, not a list of at most ${MAX_DIMENSIONS} sizes`);
  }
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    return fail(where, `has the data_offsets ${quoted(JSON.stringify(offsets) ?? "none")}, not [begin, end]`);
  }
  const [begin, end] = offsets as [number, number];
  if (end > fileSize - dataStart) return fail(where, `ends at byte ${end} of ${fileSize - dataStart} bytes of data (truncated?)`);
  const bits = shape.reduce((product, n) => product * BigInt(n), BigInt(DTYPE_BITS[dtype]));
  if (bits !== BigInt(end - begin) * 8n) {
    return fail(where, `has ${end - begin} bytes where ${dtype} [${shape.join(", ")}] needs ${(bits / 8n).toString()}`);
  }
  return { dtype, shape, start: dataStart + begin, end: dataStart + end };
}

function checkTiling(tensors: ReadonlyMap<string, SafetensorsEntry>, dataStart: number, fileSize: number, fail: Fail): void {
  const ordered = [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  let next = dataStart;
  for (const [name, entry] of ordered) {
    if (entry.start < next) fail(`tensor ${quoted(name)}`, "overlaps the tensor before it");
    if (entry.start > next)
      fail(`tensor ${quoted(name)}`, `starts ${entry.start - next} bytes after the tensor before it ends (a hole)`);
    next = entry.end;
  }
  if (next !== fileSize) fail("data", `${fileSize - next} bytes at the end of the file belong to no tensor`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isDtype(name: string): name is SafetensorsDtype {
  return Object.hasOwn(DTYPE_BITS, name);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}
