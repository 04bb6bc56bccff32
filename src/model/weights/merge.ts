/** Folding a LoRA adapter into its base model: W + scale · B A, written as an ordinary Hugging Face folder. */
import { copyFileSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { loraScale, type PeftAdapter, type PeftFactors } from "../peft.js";
import { writeFileAtomic } from "./atomic-file.js";
import { WeightFileError } from "./errors.js";
import { AdapterError } from "./peft-config.js";
import { writeSafetensors, type TensorToWrite } from "./safetensors-write.js";
import { SHARD_INDEX } from "./shard-index.js";
import type { WeightSource } from "./source.js";

/** What belongs to a checkpoint besides its weights; copied as it is where the source is a folder. */
const COMPANIONS = [
  "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
  "chat_template.jinja", "generation_config.json",
]; // prettier-ignore

export interface MergeOptions {
  readonly dtype: "float32" | "bfloat16";
  /** Files are split where the next tensor would make one larger. Default 2 GB. */
  readonly maxShardBytes?: number;
}

/**
 * Writes `config.json` and one safetensors file, or shards with their index, which `transformers` loads. One tensor is in memory at a time.
 * A tokenizer comes along from a folder source only; a GGUF file's stays in the GGUF file. The config is written last, so that an
 * interrupted merge does not look like a checkpoint.
 * @throws AdapterError if the adapter does not fit the model, before anything is written; WeightFileError if the folder is not empty or a tensor cannot be read
 */
export function mergeToSafetensors(source: WeightSource, adapter: PeftAdapter, outFolder: string, options: MergeOptions): void {
  const updates = placeFactors(source, adapter);
  mkdirSync(outFolder, { recursive: true });
  // Old shards or an old index beside the new files would be read in their place.
  if (readdirSync(outFolder).length > 0) throw new WeightFileError(outFolder, "folder", "is not empty; merge into a new one");
  const dtype = options.dtype === "float32" ? "F32" : "BF16";
  const tensors = source.names.map((name): TensorToWrite => {
    const factors = updates.get(name);
    return {
      name,
      shape: source.shape(name),
      dtype,
      values: () => {
        const weight = source.read(name);
        if (factors) addProduct(weight, factors, loraScale(factors.rank, factors.alpha, adapter.useRslora));
        return weight;
      },
    };
  });
  writeShards(outFolder, tensors, options.maxShardBytes ?? 2_000_000_000);
  if (source.tokenizer.kind === "folder") {
    for (const name of COMPANIONS) {
      const file = join(source.tokenizer.path, name);
      if (existsSync(file)) copyFileSync(file, join(outFolder, name));
    }
  }
  // Older configs say torch_dtype for the same thing; JSON leaves out what is undefined.
  writeJson(join(outFolder, "config.json"), { ...source.huggingFaceConfig, torch_dtype: undefined, dtype: options.dtype });
}

/** Factors by the weight they change. */
function placeFactors(source: WeightSource, adapter: PeftAdapter): Map<string, PeftFactors> {
  const updates = new Map<string, PeftFactors>();
  for (const [key, factors] of adapter.factors) {
    const [layer, module] = key.split(".");
    const parent = /^[qkvo]_proj$/.test(module) ? "self_attn" : "mlp";
    const name = `model.layers.${layer}.${parent}.${module}.weight`;
    if (!source.has(name)) throw new AdapterError(source.path, key, "is in the adapter, but the model has no such projection");
    const [outputs, inputs] = source.shape(name);
    if (factors.A.length !== factors.rank * inputs || factors.B.length !== outputs * factors.rank) {
      throw new AdapterError(
        source.path,
        key,
        `the adapter's factors of rank ${factors.rank} do not fit a weight of [${outputs}, ${inputs}]`,
      );
    }
    updates.set(name, factors);
  }
  return updates;
}

/** weight += scale · B A, summed in float64 row by row. */
function addProduct(weight: Float32Array, { A, B, rank }: PeftFactors, scale: number): void {
  const inputs = A.length / rank;
  const row = new Float64Array(inputs);
  for (let output = 0; output < B.length / rank; output++) {
    row.fill(0);
    for (let r = 0; r < rank; r++) {
      const factor = scale * B[output * rank + r];
      for (let i = 0, a = r * inputs; i < inputs; i++, a++) row[i] += factor * A[a];
    }
    for (let i = 0, w = output * inputs; i < inputs; i++, w++) weight[w] += row[i];
  }
}

function writeShards(folder: string, tensors: readonly TensorToWrite[], maxBytes: number): void {
  const shards: { tensors: TensorToWrite[]; bytes: number }[] = [];
  for (const tensor of tensors) {
    const bytes = tensor.shape.reduce((product, n) => product * n, tensor.dtype === "F32" ? 4 : 2);
    const last = shards.at(-1);
    if (last && last.bytes + bytes <= maxBytes) {
      last.tensors.push(tensor);
      last.bytes += bytes;
    } else shards.push({ tensors: [tensor], bytes });
  }
  const metadata = { format: "pt" };
  if (shards.length === 1) {
    writeSafetensors(join(folder, "model.safetensors"), tensors, metadata);
    return;
  }
  const weightMap: Record<string, string> = {};
  const number = (n: number): string => String(n).padStart(5, "0");
  for (const [index, shard] of shards.entries()) {
    const file = `model-${number(index + 1)}-of-${number(shards.length)}.safetensors`;
    writeSafetensors(join(folder, file), shard.tensors, metadata);
    for (const { name } of shard.tensors) weightMap[name] = file;
  }
  const totalBytes = shards.reduce((sum, { bytes }) => sum + bytes, 0);
  writeJson(join(folder, SHARD_INDEX), { metadata: { total_size: totalBytes }, weight_map: weightMap });
}

function writeJson(path: string, value: unknown): void {
  writeFileAtomic(path, (append) => append(Buffer.from(`${JSON.stringify(value, null, 2)}\n`)));
}
