/** Writing safetensors files, tensor by tensor, with the same bytes for the same tensors. */
import { quoted, WeightFileError } from "./errors.js";
import { writeFileAtomic } from "./atomic-file.js";
import { narrowBfloat16 } from "./half.js";

export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: "F32" | "BF16";
  /** Called once, when the tensor's turn comes, so that only one tensor need be in memory. BF16 rounds to nearest even. */
  readonly values: () => Float32Array;
}

/**
 * Writes a file atomically. Tensors stand wide types first, then by name, so every one is aligned; the data starts at a multiple of 8 bytes.
 * @param metadata written as `__metadata__`; `{ format: "pt" }` is what transformers and PEFT expect
 * @throws WeightFileError if a name repeats or a tensor's values do not fit its shape; the file is then untouched
 */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): void {
  const ordered = [...tensors].sort((a, b) => BYTES[b.dtype] - BYTES[a.dtype] || (a.name < b.name ? -1 : 1));
  const header = new Map<string, unknown>([["__metadata__", metadata]]);
  let end = 0;
  for (const { name, shape, dtype } of ordered) {
    if (header.has(name)) throw new WeightFileError(path, `tensor ${quoted(name)}`, "is given twice, or has a reserved name");
    const begin = end;
    end += sizeOf(shape) * BYTES[dtype];
    header.set(name, { dtype, shape, data_offsets: [begin, end] });
  }
  // Written key by key: an object literal would put integer-like names first and lose `__proto__`.
  const entries = [...header].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const json = Buffer.from(`{${entries.join(",")}}`);
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, " ");
  json.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));

  writeFileAtomic(path, (append) => {
    append(length);
    append(padded);
    for (const tensor of ordered) {
      const values = tensor.values();
      if (values.length !== sizeOf(tensor.shape)) {
        const shape = tensor.shape.join(", ");
        throw new WeightFileError(path, `tensor ${quoted(tensor.name)}`, `has ${values.length} values for the shape [${shape}]`);
      }
      if (tensor.dtype === "F32") append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      else for (let i = 0; i < values.length; i += CHUNK_VALUES) append(narrowBfloat16(values.subarray(i, i + CHUNK_VALUES)));
    }
  });
}

/** Values converted at a time, so that a tensor is not twice in memory. */
const CHUNK_VALUES = 1_048_576;
const BYTES = { F32: 4, BF16: 2 } as const;

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}
