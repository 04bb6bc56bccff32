/** Building files by hand for tests: safetensors with any header, GGUF with any metadata and tensors, temporary folders. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";

export const REFERENCE = join(import.meta.dirname, "..", "..", "reference");

/** A temporary folder for each test of a file, removed after it. */
export function temporaryFolders(): () => string {
  const made: string[] = [];
  afterEach(() => {
    for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    const folder = mkdtempSync(join(tmpdir(), "weights-"));
    made.push(folder);
    return folder;
  };
}

/** File descriptors open in this process (Linux); null where that cannot be told. */
export function openDescriptors(): number | null {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return null;
  }
}

/** Header length, header as given, data. */
export function safetensorsBytes(header: string | object, data: Uint8Array = new Uint8Array(0), length?: bigint): Buffer {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([prefix, json, data]);
}

export type GgufField = [key: string, type: number, value: Buffer];

const u32 = (n: number): Buffer => {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(n);
  return b;
};
export const u64 = (n: bigint | number): Buffer => {
  const b = Buffer.alloc(8);
  b.writeBigUInt64LE(BigInt(n));
  return b;
};
const f32 = (n: number): Buffer => {
  const b = Buffer.alloc(4);
  b.writeFloatLE(n);
  return b;
};
export const ggufText = (s: string): Buffer => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);

export const uintField = (key: string, n: number): GgufField => [key, 4, u32(n)];
export const floatField = (key: string, n: number): GgufField => [key, 6, f32(n)];
export const textField = (key: string, s: string): GgufField => [key, 8, ggufText(s)];
export const textsField = (key: string, values: string[]): GgufField => [
  key,
  9,
  Buffer.concat([u32(8), u64(values.length), ...values.map(ggufText)]),
];

export interface GgufTensorSpec {
  name: string;
  /** GGUF's order: fastest first. */
  sizes: (number | bigint)[];
  type: number;
  data: Buffer;
  /** Default: where the builder puts the data. */
  offset?: bigint;
}

export interface GgufSpec {
  magic?: string;
  version?: number;
  tensorCount?: bigint;
  fieldCount?: bigint;
  fields: GgufField[];
  tensors: GgufTensorSpec[];
  alignment?: number;
}

/** Defaults are right; every count and offset can be made wrong. */
export function ggufBytes(spec: GgufSpec): Buffer {
  const alignment = spec.alignment ?? 32;
  const pad = (n: number): Buffer => Buffer.alloc((alignment - (n % alignment)) % alignment);
  const parts = [
    Buffer.from(spec.magic ?? "GGUF"),
    u32(spec.version ?? 3),
    u64(spec.tensorCount ?? spec.tensors.length),
    u64(spec.fieldCount ?? spec.fields.length),
    ...spec.fields.flatMap(([key, type, value]) => [ggufText(key), u32(type), value]),
  ];
  const data: Buffer[] = [];
  let offset = 0;
  for (const tensor of spec.tensors) {
    parts.push(
      ggufText(tensor.name),
      u32(tensor.sizes.length),
      ...tensor.sizes.map(u64),
      u32(tensor.type),
      u64(tensor.offset ?? offset),
    );
    data.push(tensor.data, pad(tensor.data.length));
    offset += tensor.data.length + pad(tensor.data.length).length;
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, pad(header.length), ...data]);
}

/** A small Llama in GGUF: one layer, hidden 8, two heads; float32. */
export function tinyGguf(): GgufSpec {
  const tensor = (name: string, ...sizes: number[]): GgufTensorSpec => {
    const values = Float32Array.from({ length: sizes.reduce((a, b) => a * b) }, (_, i) => Math.sin(i + name.length));
    return { name, sizes, type: 0, data: Buffer.from(values.buffer) };
  };
  return {
    fields: [
      textField("general.architecture", "llama"),
      uintField("llama.block_count", 1),
      uintField("llama.context_length", 64),
      uintField("llama.embedding_length", 8),
      uintField("llama.feed_forward_length", 12),
      uintField("llama.attention.head_count", 2),
      uintField("llama.attention.head_count_kv", 1),
      floatField("llama.attention.layer_norm_rms_epsilon", 1e-5),
      textsField("tokenizer.ggml.tokens", ["a", "b", "c", "d", "e", "f"]),
      uintField("tokenizer.ggml.eos_token_id", 2),
    ],
    tensors: [
      tensor("token_embd.weight", 8, 6),
      tensor("output_norm.weight", 8),
      tensor("blk.0.attn_norm.weight", 8),
      tensor("blk.0.attn_q.weight", 8, 8),
      tensor("blk.0.attn_k.weight", 8, 4),
      tensor("blk.0.attn_v.weight", 8, 4),
      tensor("blk.0.attn_output.weight", 8, 8),
      tensor("blk.0.ffn_norm.weight", 8),
      tensor("blk.0.ffn_gate.weight", 8, 12),
      tensor("blk.0.ffn_up.weight", 8, 12),
      tensor("blk.0.ffn_down.weight", 12, 8),
    ],
  };
}

/** Writes bytes into a new folder and returns the file's path. */
export function writeTo(folder: string, name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

export function readReferenceJson(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(REFERENCE, ...path), "utf8"));
}
