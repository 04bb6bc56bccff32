/**
 * LoRA adapters as PEFT folders: `adapter_config.json` and `adapter_model.safetensors`, under PEFT's names, so that Python PEFT loads
 * what this engine trained and the other way round.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "./weights/atomic-file.js";
import { quoted } from "./weights/errors.js";
import { AdapterError, MAX_RANK, patternValue, readPeftConfig, type PeftConfig } from "./weights/peft-config.js";
import { openSafetensors, type SafetensorsFile } from "./weights/safetensors.js";
import { writeSafetensors, type TensorToWrite } from "./weights/safetensors-write.js";

export { AdapterError } from "./weights/peft-config.js";

/** Factors of one projection: it adds scale · B A to the weight, with {@link loraScale} of rank and alpha. */
export interface PeftFactors {
  /** [rank, inputs], row-major. */
  readonly A: Float32Array;
  /** [outputs, rank], row-major. */
  readonly B: Float32Array;
  readonly rank: number;
  readonly alpha: number;
}

export interface PeftAdapter {
  readonly r: number;
  readonly loraAlpha: number;
  readonly targetModules: readonly string[];
  /** Null: all layers. */
  readonly layers: readonly number[] | null;
  readonly useRslora: boolean;
  /** Ranks and alphas of modules that differ from r and loraAlpha, as PEFT names them. Each factor carries its own already. */
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
  readonly baseModel: string;
  /** By "layer.module", such as "12.q_proj". */
  readonly factors: ReadonlyMap<string, PeftFactors>;
}

const CONFIG = "adapter_config.json";
const WEIGHTS = "adapter_model.safetensors";

/** The module each projection stands in. */
const PARENTS: Readonly<Record<string, string>> = {
  q_proj: "self_attn",
  k_proj: "self_attn",
  v_proj: "self_attn",
  o_proj: "self_attn",
  gate_proj: "mlp",
  up_proj: "mlp",
  down_proj: "mlp",
};

const TENSOR_NAME =
  /^base_model\.model\.(?:model\.|model\.language_model\.|language_model\.model\.)layers\.(0|[1-9]\d{0,3})\.(self_attn|mlp)\.(\w+)\.lora_([AB])\.weight$/;

/** PEFT's scaling: alpha / rank, or alpha / sqrt(rank) with rank-stabilised LoRA. */
export function loraScale(rank: number, alpha: number, useRslora: boolean): number {
  return alpha / (useRslora ? Math.sqrt(rank) : rank);
}

/**
 * Reads a folder that PEFT (or {@link writePeft}) wrote. The dropout it was trained with has no part in what it computes.
 * @throws AdapterError naming file and field or tensor; WeightFileError for a damaged safetensors file
 */
export function readPeft(folder: string): PeftAdapter {
  for (const name of [CONFIG, WEIGHTS]) {
    if (existsSync(join(folder, name))) continue;
    const pickled = name === WEIGHTS && existsSync(join(folder, "adapter_model.bin"));
    throw new AdapterError(
      folder,
      name,
      pickled ? "is missing; adapter_model.bin is a pickle, which can run code and is not read" : "is missing",
    );
  }
  const config = readPeftConfig(join(folder, CONFIG));
  const file = openSafetensors(join(folder, WEIGHTS));
  try {
    const factors = readFactors(file, config);
    const targetModules = [...new Set([...factors.keys()].map((key) => key.slice(key.indexOf(".") + 1)))];
    checkComplete(factors, config, targetModules, file.path);
    return { ...config, targetModules, factors };
  } finally {
    file.close();
  }
}

function readFactors(file: SafetensorsFile, config: PeftConfig): Map<string, PeftFactors> {
  const names = new Map<string, { layer: string; module: string; A?: string; B?: string }>();
  for (const name of file.tensors.keys()) {
    const match = TENSOR_NAME.exec(name);
    const [, layer, parent, module, side] = match ?? [];
    if (!match || !Object.hasOwn(PARENTS, module) || PARENTS[module] !== parent) {
      throw new AdapterError(
        file.path,
        `tensor ${quoted(name)}`,
        "is not a LoRA factor of one of the seven projections of a decoder layer",
      );
    }
    const key = `${layer}.${module}`;
    const entry = names.get(key) ?? { layer, module };
    const sideName = side as "A" | "B";
    if (entry[sideName] !== undefined)
      throw new AdapterError(file.path, `tensor ${quoted(name)}`, `is a second lora_${sideName} of ${key}`);
    entry[sideName] = name;
    names.set(key, entry);
  }
  if (names.size === 0) throw new AdapterError(file.path, "tensors", "holds no LoRA factors");
  const factors = new Map<string, PeftFactors>();
  for (const [key, { layer, module, A, B }] of names) {
    if (A === undefined || B === undefined) throw new AdapterError(file.path, key, `has no lora_${A === undefined ? "A" : "B"}`);
    const fullName = `model.layers.${layer}.${PARENTS[module]}.${module}`;
    const rank = patternValue(config.rankPattern, fullName, config.r);
    const alpha = patternValue(config.alphaPattern, fullName, config.loraAlpha);
    const [shapeA, shapeB] = [file.tensors.get(A)!.shape, file.tensors.get(B)!.shape];
    if (shapeA.length !== 2 || shapeB.length !== 2 || shapeA[0] !== rank || shapeB[1] !== rank || !shapeA[1] || !shapeB[0]) {
      const given = `A [${shapeA.join(", ")}] and B [${shapeB.join(", ")}]`;
      throw new AdapterError(
        file.path,
        key,
        `has ${given}; the config's rank ${rank} asks for [${rank}, inputs] and [outputs, ${rank}]`,
      );
    }
    factors.set(key, { A: file.read(A), B: file.read(B), rank, alpha });
  }
  return factors;
}

/** A file that lost some tensors would otherwise load as a weaker adapter. The number of layers is not known here: the last one present counts. */
function checkComplete(
  factors: ReadonlyMap<string, PeftFactors>,
  config: PeftConfig,
  present: readonly string[],
  path: string,
): void {
  const plain = config.targetModules?.every((name) => /^\w+$/.test(name)) ? config.targetModules : present;
  const last = Math.max(...[...factors.keys()].map((key) => Number.parseInt(key, 10)));
  const layers = new Set(config.layers ?? Array.from({ length: last + 1 }, (_, i) => i));
  for (const layer of layers) {
    for (const module of plain) {
      if (!factors.has(`${layer}.${module}`))
        throw new AdapterError(path, `${layer}.${module}`, "is missing; the config asks for it");
    }
  }
  for (const key of factors.keys()) {
    if (!layers.has(Number.parseInt(key, 10)))
      throw new AdapterError(path, key, "is in the file, but layers_to_transform leaves its layer out");
  }
}

/**
 * Writes a folder that PEFT loads. Files are replaced atomically, the weights before the config; other files of the folder stay.
 * @throws AdapterError if a factor's name, rank or size is impossible, before anything is written
 */
export function writePeft(folder: string, adapter: PeftAdapter): void {
  const tensors = [...adapter.factors].flatMap(([key, factors]) => factorTensors(folder, key, factors));
  if (tensors.length === 0) throw new AdapterError(folder, "factors", "an adapter without factors cannot be written");
  mkdirSync(folder, { recursive: true });
  writeSafetensors(join(folder, WEIGHTS), tensors, { format: "pt" });
  const config = {
    base_model_name_or_path: adapter.baseModel,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: adapter.layers,
    lora_alpha: adapter.loraAlpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: "LORA",
    r: adapter.r,
    ...patterns(adapter),
    target_modules: [...adapter.targetModules].sort(),
    task_type: "CAUSAL_LM",
    use_dora: false,
    use_rslora: adapter.useRslora,
  };
  writeFileAtomic(join(folder, CONFIG), (append) => append(Buffer.from(`${JSON.stringify(config, null, 2)}\n`)));
}

function factorTensors(folder: string, key: string, { A, B, rank }: PeftFactors): TensorToWrite[] {
  const name = moduleName(key);
  if (name === null) throw new AdapterError(folder, quoted(key), 'is not "layer.module" with one of the seven projections');
  if (
    !Number.isInteger(rank) ||
    rank < 1 ||
    rank > MAX_RANK ||
    A.length % rank !== 0 ||
    B.length % rank !== 0 ||
    A.length * B.length === 0
  ) {
    throw new AdapterError(folder, key, `A of ${A.length} and B of ${B.length} values are not factors of rank ${rank}`);
  }
  const prefix = `base_model.model.${name}`;
  return [
    { name: `${prefix}.lora_A.weight`, shape: [rank, A.length / rank], dtype: "F32", values: () => A },
    { name: `${prefix}.lora_B.weight`, shape: [B.length / rank, rank], dtype: "F32", values: () => B },
  ];
}

/** "12.q_proj" -> "model.layers.12.self_attn.q_proj"; null for anything else. */
function moduleName(key: string): string | null {
  const [, layer, module] = /^(0|[1-9]\d{0,3})\.(\w+)$/.exec(key) ?? [];
  return layer !== undefined && Object.hasOwn(PARENTS, module) ? `model.layers.${layer}.${PARENTS[module]}.${module}` : null;
}

/** The adapter's patterns, preceded by an entry for every factor that they do not describe. */
function patterns({ factors, r, loraAlpha, rankPattern, alphaPattern }: PeftAdapter): {
  rank_pattern: Record<string, number>;
  alpha_pattern: Record<string, number>;
} {
  const ranks: Record<string, number> = {};
  const alphas: Record<string, number> = {};
  for (const [key, { rank, alpha }] of factors) {
    const name = moduleName(key)!;
    if (patternValue(rankPattern, name, r) !== rank) ranks[name] = rank;
    if (patternValue(alphaPattern, name, loraAlpha) !== alpha) alphas[name] = alpha;
  }
  return { rank_pattern: { ...ranks, ...rankPattern }, alpha_pattern: { ...alphas, ...alphaPattern } };
}
