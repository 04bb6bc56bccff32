/** `model.safetensors.index.json`: which file of a folder holds which tensor. */
import { quoted, WeightFileError } from "./errors.js";
import { JsonError, readJsonFile } from "./json.js";

export const SHARD_INDEX = "model.safetensors.index.json";

const MAX_INDEX_BYTES = 64 * 1024 * 1024;
const MAX_SHARDS = 1024;

/**
 * Tensor name -> file name. Shards must be plain names of `.safetensors` files in the same folder: nothing absolute, nothing that climbs out.
 * @throws WeightFileError naming the tensor
 */
export function readShardIndex(path: string): ReadonlyMap<string, string> {
  let json: unknown;
  try {
    json = readJsonFile(path, MAX_INDEX_BYTES);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new WeightFileError(path, "contents", cause.message, { cause });
  }
  const map = typeof json === "object" && json !== null ? (json as { weight_map?: unknown }).weight_map : undefined;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new WeightFileError(path, "weight_map", "is missing or not an object of file names");
  }
  const shards = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map as Record<string, unknown>)) {
    if (typeof shard !== "string" || !/^[^/\\\0]+\.safetensors$/.test(shard) || shard.length > 255) {
      const given = quoted(JSON.stringify(shard));
      throw new WeightFileError(
        path,
        `weight_map ${quoted(tensor)}`,
        `${given} is not the name of a .safetensors file in this folder`,
      );
    }
    shards.set(tensor, shard);
  }
  if (shards.size === 0) throw new WeightFileError(path, "weight_map", "names no tensor");
  const count = new Set(shards.values()).size;
  if (count > MAX_SHARDS) throw new WeightFileError(path, "weight_map", `names ${count} files; at most ${MAX_SHARDS} are opened`);
  return shards;
}
