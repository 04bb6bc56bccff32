/** A Hugging Face folder: `config.json` and one safetensors file, or several with `model.safetensors.index.json`. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ModelConfigError } from "../config.js";
import { quoted, WeightFileError } from "./errors.js";
import { configFromHuggingFace, textConfig } from "./huggingface-config.js";
import { JsonError, readJsonFile } from "./json.js";
import { openSafetensors, type SafetensorsFile } from "./safetensors.js";
import { readShardIndex, SHARD_INDEX } from "./shard-index.js";
import type { OpenedWeights } from "./source.js";
import { canonicalName } from "./tensor-names.js";

const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

/**
 * @param only a safetensors file of the folder to read alone; null: the folder's index, or its one file
 * @throws WeightFileError or ModelConfigError; files opened so far are closed
 */
export function openFolder(folder: string, only: string | null): OpenedWeights {
  const file = join(folder, "config.json");
  const json = withGenerationIds(readConfig(file), folder);
  const config = configFromHuggingFace(json, file);
  const { modelType, fields } = textConfig(json, file);

  const files: SafetensorsFile[] = [];
  const close = (): void => files.forEach((open) => open.close());
  try {
    const tensors = only === null ? openShards(folder, files) : openOne(join(folder, only), files);
    return {
      config,
      huggingFaceConfig: { ...fields, model_type: modelType },
      stored: new Map([...tensors].map(([name, { shape }]) => [name, shape])),
      tokenizer: { kind: "folder", path: folder },
      read: (name) => tensors.get(name)!.read(),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

interface StoredTensor {
  readonly shape: readonly number[];
  read(): Float32Array;
}

function openOne(path: string, files: SafetensorsFile[]): Map<string, StoredTensor> {
  const file = openSafetensors(path);
  files.push(file);
  const tensors = new Map<string, StoredTensor>();
  for (const name of file.tensors.keys()) addTensor(tensors, name, file);
  return tensors;
}

function openShards(folder: string, files: SafetensorsFile[]): Map<string, StoredTensor> {
  const index = join(folder, SHARD_INDEX);
  if (!existsSync(index)) return openOne(join(folder, soleFile(folder)), files);
  const weightMap = readShardIndex(index);
  const shards = new Map<string, SafetensorsFile>();
  for (const shard of new Set(weightMap.values())) {
    if (!existsSync(join(folder, shard))) throw new WeightFileError(index, `shard ${quoted(shard)}`, "is not in the folder");
    const file = openSafetensors(join(folder, shard));
    files.push(file);
    shards.set(shard, file);
  }
  const tensors = new Map<string, StoredTensor>();
  for (const [name, shard] of weightMap) addTensor(tensors, name, shards.get(shard)!);
  return tensors;
}

function addTensor(tensors: Map<string, StoredTensor>, name: string, file: SafetensorsFile): void {
  const entry = file.tensors.get(name);
  if (entry === undefined)
    throw new WeightFileError(file.path, `tensor ${quoted(name)}`, "is not here, though the index says so");
  const canonical = canonicalName(name);
  if (tensors.has(canonical)) throw new WeightFileError(file.path, `tensor ${quoted(name)}`, `is a second ${quoted(canonical)}`);
  tensors.set(canonical, { shape: entry.shape, read: () => file.read(name) });
}

function soleFile(folder: string): string {
  const files = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  if (files.includes("model.safetensors")) return "model.safetensors";
  if (files.length === 1) return files[0];
  const problem =
    files.length === 0 ? "holds no .safetensors file" : `holds ${files.length} .safetensors files but no ${SHARD_INDEX}`;
  throw new WeightFileError(folder, "folder", problem);
}

function readConfig(file: string): unknown {
  if (!existsSync(file)) throw new ModelConfigError(file, "file", "is missing; a checkpoint folder needs it");
  try {
    return readJsonFile(file, MAX_CONFIG_BYTES);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new ModelConfigError(file, "contents", cause.message, { cause });
  }
}

/** Instruct models name further end-of-turn ids in `generation_config.json` only (Llama 3.2, Qwen 2.5). */
function withGenerationIds(json: unknown, folder: string): unknown {
  const file = join(folder, "generation_config.json");
  if (!existsSync(file)) return json;
  const generation = readConfig(file);
  if (typeof json !== "object" || json === null || typeof generation !== "object" || generation === null) return json;
  const more = (generation as { eos_token_id?: unknown }).eos_token_id;
  if (more === undefined || more === null) return json;
  const own = (json as { eos_token_id?: unknown }).eos_token_id ?? [];
  return { ...json, eos_token_id: [...new Set([own, more].flat())] };
}
