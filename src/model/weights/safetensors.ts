/** Reading tensors of safetensors files as float32, one at a time. */
import { quoted, WeightFileError } from "./errors.js";
import { openReadOnly, type ReadOnlyFile } from "./file.js";
import { widenBfloat16, widenHalf } from "./half.js";
import { readSafetensorsHeader, type SafetensorsHeader } from "./safetensors-header.js";

export interface SafetensorsFile extends SafetensorsHeader {
  readonly path: string;
  /** One tensor, row-major. F32, F16 and BF16 only. @throws WeightFileError naming the tensor. */
  read(name: string): Float32Array;
  close(): void;
}

/** Bytes converted at a time, so that a 16-bit tensor is not twice in memory. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** Opens a file and checks its header; tensors are read on demand. @throws WeightFileError */
export function openSafetensors(path: string): SafetensorsFile {
  const file = openReadOnly(path);
  let header: SafetensorsHeader;
  try {
    header = readSafetensorsHeader(file);
  } catch (error) {
    file.close();
    throw error;
  }
  return { ...header, path, read: (name) => readTensor(file, header, name), close: () => file.close() };
}

function readTensor(file: ReadOnlyFile, header: SafetensorsHeader, name: string): Float32Array {
  const where = `tensor ${quoted(name)}`;
  const entry = header.tensors.get(name);
  if (entry === undefined) throw new WeightFileError(file.path, where, "is not in the file");
  const { dtype, start, end } = entry;
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
    throw new WeightFileError(file.path, where, `is stored as ${dtype}; weights must be F32, F16 or BF16`);
  }
  const values = new Float32Array((end - start) / (dtype === "F32" ? 4 : 2));
  if (dtype === "F32") {
    file.readAt(start, new Uint8Array(values.buffer), where);
    return values;
  }
  const widen = dtype === "F16" ? widenHalf : widenBfloat16;
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - start));
  for (let position = start; position < end; position += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, end - position));
    file.readAt(position, part, where);
    widen(part, values, (position - start) / 2);
  }
  return values;
}
