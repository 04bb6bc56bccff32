/**
 * GGUF files (github.com/ggml-org/ggml, docs/gguf.md), versions 2 and 3, little-endian.
 *
 * Why not `@huggingface/gguf`: on a local file it pads what it reads with zeros, so a truncated header parses as if it were whole; a
 * string that crosses its 2 MB window can be cut without a word; keys go onto a plain object, where `__proto__` sets the prototype; and
 * tensor offsets, overlaps and sizes are not looked at. The format is small enough to parse strictly here.
 */
import { DEQUANTIZE } from "./dequantize.js";
import { quoted, WeightFileError } from "./errors.js";
import { openReadOnly, type ReadOnlyFile } from "./file.js";
import { READABLE_TYPES, typeName, type GgmlType } from "./ggml-types.js";
import { ggufCursor, metadataPlace, type GgufCursor } from "./gguf-cursor.js";
import type { GgufMetadata, GgufValue } from "./gguf-metadata.js";

export interface GgufTensor {
  /** PyTorch's order: slowest dimension first (GGUF stores the reverse). */
  readonly shape: readonly number[];
  readonly type: GgmlType;
  /** Byte range in the file. */
  readonly start: number;
  readonly end: number;
}

export interface GgufFile {
  readonly path: string;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** One tensor as float32, row-major. @throws WeightFileError naming the tensor */
  read(name: string): Float32Array;
  close(): void;
}

const MAX_METADATA = 65_536;
const MAX_TENSORS = 65_536;
const MAX_NAME_BYTES = 65_535;
const MAX_DIMENSIONS = 4;
const MAX_ALIGNMENT = 1_048_576;
/** Bytes dequantised at a time; a multiple of no block size, so it is rounded down to whole blocks. */
const CHUNK_BYTES = 1_048_576;

/** Opens a file and checks its whole header. @throws WeightFileError saying what is wrong and where */
export function openGguf(path: string): GgufFile {
  const file = openReadOnly(path);
  try {
    const { metadata, tensors } = readHeader(file);
    return { path, metadata, tensors, read: (name) => readTensor(file, tensors, name), close: () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
}

function readHeader(file: ReadOnlyFile): { metadata: GgufMetadata; tensors: ReadonlyMap<string, GgufTensor> } {
  const cursor = ggufCursor(file);
  if (cursor.uint32("magic") !== 0x46554747)
    throw new WeightFileError(file.path, "magic", "does not start with GGUF: this is no GGUF file");
  const version = cursor.uint32("version");
  if (version !== 2 && version !== 3) {
    const bigEndian = version !== 0 && (version & 0xffff) === 0;
    throw new WeightFileError(
      file.path,
      "version",
      bigEndian ? "is big-endian, which is not supported" : `${version} is not 2 or 3`,
    );
  }
  const tensorCount = count(cursor, file, "tensor count", MAX_TENSORS);
  const metadata = readMetadata(cursor, file, count(cursor, file, "metadata count", MAX_METADATA));
  const infos = readTensorInfos(cursor, file, tensorCount);
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || alignment < 1 || alignment > MAX_ALIGNMENT || !Number.isInteger(Math.log2(alignment))) {
    throw new WeightFileError(file.path, metadataPlace("general.alignment"), `is not a power of two up to ${MAX_ALIGNMENT}`);
  }
  return { metadata, tensors: placeTensors(file, infos, Math.ceil(cursor.position / alignment) * alignment, alignment) };
}

function count(cursor: GgufCursor, file: ReadOnlyFile, where: string, max: number): number {
  const value = cursor.uint64(where);
  if (value > BigInt(max)) throw new WeightFileError(file.path, where, `${value.toString()} is more than ${max}`);
  return Number(value);
}

function readMetadata(cursor: GgufCursor, file: ReadOnlyFile, entries: number): GgufMetadata {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entries; i++) {
    const key = cursor.text(`metadata key ${i}`, MAX_NAME_BYTES);
    if (metadata.has(key)) throw new WeightFileError(file.path, metadataPlace(key), "is given twice");
    metadata.set(key, cursor.value(metadataPlace(key)));
  }
  return metadata;
}

interface TensorInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: GgmlType;
  readonly offset: bigint;
  readonly bytes: bigint;
}

function readTensorInfos(cursor: GgufCursor, file: ReadOnlyFile, tensorCount: number): TensorInfo[] {
  return Array.from({ length: tensorCount }, (_, i) => {
    const name = cursor.text(`tensor ${i}`, MAX_NAME_BYTES);
    const where = `tensor ${quoted(name)}`;
    const dimensions = cursor.uint32(where);
    if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
      throw new WeightFileError(file.path, where, `has ${dimensions} dimensions, not 1 to ${MAX_DIMENSIONS}`);
    }
    const sizes = Array.from({ length: dimensions }, () => cursor.uint64(where));
    if (sizes.some((size) => size < 1n || size > 0xffffffffn)) {
      throw new WeightFileError(file.path, where, `has the impossible shape [${sizes.join(", ")}]`);
    }
    const typeId = cursor.uint32(where);
    const type = READABLE_TYPES.get(typeId);
    if (type === undefined) {
      const readable = [...READABLE_TYPES.values()].map((t) => t.name).join(", ");
      throw new WeightFileError(file.path, where, `is stored as ${typeName(typeId)}, which is not supported (${readable} are)`);
    }
    if (sizes[0] % BigInt(type.blockSize) !== 0n) {
      throw new WeightFileError(
        file.path,
        where,
        `has rows of ${sizes[0].toString()} values, not whole ${type.name} blocks of ${type.blockSize}`,
      );
    }
    const values = sizes.reduce((product, size) => product * size, 1n);
    const bytes = (values / BigInt(type.blockSize)) * BigInt(type.blockBytes);
    return { name, shape: sizes.map(Number).reverse(), type, offset: cursor.uint64(where), bytes };
  });
}

/** Checks that every tensor is aligned, inside the file, and on no other's bytes. */
function placeTensors(
  file: ReadOnlyFile,
  infos: TensorInfo[],
  dataStart: number,
  alignment: number,
): ReadonlyMap<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (const { name, shape, type, offset, bytes } of infos) {
    const where = `tensor ${quoted(name)}`;
    if (tensors.has(name)) throw new WeightFileError(file.path, where, "is given twice");
    if (offset % BigInt(alignment) !== 0n) {
      throw new WeightFileError(file.path, where, `starts at ${offset.toString()}, not at a multiple of ${alignment}`);
    }
    if (BigInt(dataStart) + offset + bytes > BigInt(file.size)) {
      const range = `${offset.toString()} to ${(offset + bytes).toString()}`;
      throw new WeightFileError(
        file.path,
        where,
        `takes bytes ${range} of ${Math.max(0, file.size - dataStart)} bytes of data (truncated?)`,
      );
    }
    const start = dataStart + Number(offset);
    tensors.set(name, { shape, type, start, end: start + Number(bytes) });
  }
  const ordered = [...tensors].sort(([, a], [, b]) => a.start - b.start);
  for (const [i, [name, tensor]] of ordered.entries()) {
    if (i > 0 && tensor.start < ordered[i - 1][1].end) {
      throw new WeightFileError(file.path, `tensor ${quoted(name)}`, `overlaps tensor ${quoted(ordered[i - 1][0])}`);
    }
  }
  return tensors;
}

function readTensor(file: ReadOnlyFile, tensors: ReadonlyMap<string, GgufTensor>, name: string): Float32Array {
  const where = `tensor ${quoted(name)}`;
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new WeightFileError(file.path, where, "is not in the file");
  const { type, start, end } = tensor;
  const dequantize = DEQUANTIZE.get(type.name)!;
  const values = new Float32Array(((end - start) / type.blockBytes) * type.blockSize);
  const chunk = new Uint8Array(Math.min(end - start, Math.floor(CHUNK_BYTES / type.blockBytes) * type.blockBytes));
  for (let position = start; position < end; position += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, end - position));
    file.readAt(position, part, where);
    dequantize(part, values, ((position - start) / type.blockBytes) * type.blockSize);
  }
  return values;
}
