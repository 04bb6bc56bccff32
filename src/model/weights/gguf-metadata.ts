/** The key-value part of a GGUF file, and reading typed values out of it. */
import { ModelConfigError } from "../config.js";

/** Arrays of numbers and booleans come as plain numbers (booleans as 0 and 1); 64-bit integers beyond 2^53 as bigint. */
export type GgufValue = string | number | bigint | boolean | readonly string[] | NumberArray;
export type NumberArray =
  Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array;
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** A number, or null where the key is missing. @throws ModelConfigError if the value is not a number */
export function optionalNumber(metadata: GgufMetadata, key: string, file: string): number | null {
  const value = metadata.get(key);
  if (value === undefined) return null;
  if (typeof value !== "number") throw new ModelConfigError(file, `metadata ${key}`, "is not a single number");
  return value;
}

/** @throws ModelConfigError if the key is missing or not a number */
export function requiredNumber(metadata: GgufMetadata, key: string, file: string): number {
  const value = optionalNumber(metadata, key, file);
  if (value === null) throw new ModelConfigError(file, `metadata ${key}`, "is missing");
  return value;
}

/** A string, or null where the key is missing. @throws ModelConfigError if the value is not a string */
export function optionalString(metadata: GgufMetadata, key: string, file: string): string | null {
  const value = metadata.get(key);
  if (value === undefined) return null;
  if (typeof value !== "string") throw new ModelConfigError(file, `metadata ${key}`, "is not a string");
  return value;
}
