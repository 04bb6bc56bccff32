/**
 * LoRA adapters on a decoder (Hu et al. 2021; names, initialisation and scaling as in Hugging Face PEFT).
 *
 * All factors of an adapter stand in one flat float32 vector, so that the optimiser, checkpoints and gradient norms are one array
 * each. A is [rank, inputs], B is [outputs, rank], row-major, as PEFT stores them.
 */
import type { Random } from "../random.js";
import type { BlockLora, LoraLayout, LoraPart, LoraWeight } from "../tensor/ops.js";
import { keep, scope, TensorError, type Tensor } from "../tensor/tensor.js";
import type { DecoderConfig } from "./config.js";
import type { Decoder } from "./decoder.js";
import { loraScale, type PeftAdapter } from "./peft.js";
import { MAX_RANK } from "./weights/peft-config.js";

export const PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const;
export type Projection = (typeof PROJECTIONS)[number];

export interface LoraOptions {
  /** Rank r. */
  readonly r: number;
  readonly loraAlpha: number;
  /** Default: all seven. */
  readonly targetModules?: readonly Projection[];
  /** Layers that get an adapter (PEFT: layers_to_transform). Default: all. */
  readonly layers?: readonly number[] | null;
  /** Scale alpha / sqrt(r) in place of alpha / r. Default false. */
  readonly useRslora?: boolean;
}

/** One projection's factors inside the flat vector. */
export interface LoraFactor extends LoraPart {
  readonly layer: number;
  readonly module: Projection;
  readonly inputs: number;
  readonly outputs: number;
  readonly loraAlpha: number;
}

export interface LoraAdapter {
  readonly options: Required<LoraOptions>;
  readonly factors: readonly LoraFactor[];
  readonly layouts: readonly BlockLora<LoraLayout>[];
  /** Length of the flat vector. */
  readonly size: number;
  /** float32 [size]. A training step may replace it (portable ops) or write it in place (native). */
  parameters: Tensor;
  free(): void;
}

/** An adapter's factors ready for compute; made anew after each optimiser step, freed by `free`. */
export interface ActiveLora {
  readonly blocks: readonly BlockLora<LoraWeight>[];
  free(): void;
}

/** A fresh adapter: A uniform in ±1/sqrt(inputs) (PEFT's Kaiming with a = sqrt 5), B zero, so that it starts as the base model. */
export function createLora(decoder: Decoder, options: LoraOptions, random: Random): LoraAdapter {
  const full = completeOptions(decoder.config, options);
  const factors = planFactors(decoder.config, (layer, module) =>
    full.targetModules.includes(module) && (full.layers === null || full.layers.includes(layer))
      ? { rank: full.r, loraAlpha: full.loraAlpha, useRslora: full.useRslora }
      : null,
  );
  const values = new Float32Array(vectorSize(factors));
  for (const factor of factors) {
    const bound = 1 / Math.sqrt(factor.inputs);
    const end = factor.offsetA + factor.rank * factor.inputs;
    for (let i = factor.offsetA; i < end; i++) values[i] = (2 * random.uniform() - 1) * bound;
  }
  return assemble(decoder, full, factors, values);
}

/** Puts a PEFT adapter on a decoder. @throws TensorError if a factor's shape does not fit the model, naming the module. */
export function loraFromPeft(decoder: Decoder, peft: PeftAdapter): LoraAdapter {
  const options = completeOptions(decoder.config, {
    r: peft.r,
    loraAlpha: peft.loraAlpha,
    targetModules: PROJECTIONS.filter((p) => peft.targetModules.includes(p)),
    layers: peft.layers,
    useRslora: peft.useRslora,
  });
  const known = new Set<string>();
  const factors = planFactors(decoder.config, (layer, module) => {
    const key = `${layer}.${module}`;
    const factor = peft.factors.get(key);
    if (factor === undefined) return null;
    known.add(key);
    return { rank: factor.rank, loraAlpha: factor.alpha, useRslora: peft.useRslora };
  });
  for (const key of peft.factors.keys())
    if (!known.has(key)) throw new TensorError(`the adapter has factors for ${key}, which this model does not have`);
  const values = new Float32Array(vectorSize(factors));
  for (const factor of factors) {
    const { A, B } = peft.factors.get(`${factor.layer}.${factor.module}`)!;
    if (A.length !== factor.rank * factor.inputs || B.length !== factor.outputs * factor.rank)
      throw new TensorError(
        `the adapter's ${factor.layer}.${factor.module} has ${A.length} and ${B.length} values; this model needs A [${factor.rank}, ${factor.inputs}] and B [${factor.outputs}, ${factor.rank}]`,
      );
    values.set(A, factor.offsetA);
    values.set(B, factor.offsetB);
  }
  return assemble(decoder, options, factors, values);
}

/** Copies an adapter out as PEFT factors, to be written by `writePeft`. */
export function loraToPeft(decoder: Decoder, adapter: LoraAdapter, baseModel: string): PeftAdapter {
  const values = decoder.ops.device.download(adapter.parameters) as Float32Array;
  const { r, loraAlpha, targetModules, layers, useRslora } = adapter.options;
  return {
    r,
    loraAlpha,
    targetModules: [...targetModules],
    layers: layers === null ? null : [...layers],
    useRslora,
    rankPattern: {},
    alphaPattern: {},
    baseModel,
    factors: new Map(
      adapter.factors.map((f) => [
        `${f.layer}.${f.module}`,
        {
          A: values.slice(f.offsetA, f.offsetA + f.rank * f.inputs),
          B: values.slice(f.offsetB, f.offsetB + f.outputs * f.rank),
          rank: f.rank,
          alpha: f.loraAlpha,
        },
      ]),
    ),
  };
}

/** Converts the factors for compute. `training` adds the forms that the backward needs. */
export function activateLora(decoder: Decoder, adapter: LoraAdapter, training: boolean): ActiveLora {
  const made: Tensor[] = [];
  const weight = (layout: LoraLayout | null): LoraWeight | null => {
    if (layout === null) return null;
    const lora = decoder.ops.loraWeight(adapter.parameters, layout, training);
    for (const tensor of lora.tensors) made.push(keep(tensor));
    return lora;
  };
  const free = (): void => {
    for (const tensor of made) tensor.free();
  };
  try {
    const blocks = scope(() =>
      adapter.layouts.map((l) => ({
        qkv: weight(l.qkv),
        output: weight(l.output),
        gateUp: weight(l.gateUp),
        down: weight(l.down),
      })),
    );
    return { blocks, free };
  } catch (error) {
    free();
    throw error;
  }
}

function completeOptions(config: DecoderConfig, options: LoraOptions): Required<LoraOptions> {
  const { r, loraAlpha, targetModules = PROJECTIONS, layers = null, useRslora = false } = options;
  if (!Number.isInteger(r) || r < 1 || r > MAX_RANK)
    throw new TensorError(`LoRA rank r is ${r}; it must be an integer from 1 to ${MAX_RANK}`);
  for (const layer of layers ?? [])
    if (!Number.isInteger(layer) || layer < 0 || layer >= config.layerCount)
      throw new TensorError(`LoRA names layer ${layer}; the model has layers 0 to ${config.layerCount - 1}`);
  return { r, loraAlpha, targetModules, layers, useRslora };
}

interface FactorChoice {
  readonly rank: number;
  readonly loraAlpha: number;
  readonly useRslora: boolean;
}

/** Input width and output width of each projection, and its place in the joined layer. */
function projectionShapes(config: DecoderConfig): Record<Projection, { inputs: number; outputs: number; outputStart: number }> {
  const { hiddenSize, intermediateSize, headCount, kvHeadCount, headDim } = config;
  const q = headCount * headDim;
  const kv = kvHeadCount * headDim;
  return {
    q_proj: { inputs: hiddenSize, outputs: q, outputStart: 0 },
    k_proj: { inputs: hiddenSize, outputs: kv, outputStart: q },
    v_proj: { inputs: hiddenSize, outputs: kv, outputStart: q + kv },
    o_proj: { inputs: q, outputs: hiddenSize, outputStart: 0 },
    gate_proj: { inputs: hiddenSize, outputs: intermediateSize, outputStart: 0 },
    up_proj: { inputs: hiddenSize, outputs: intermediateSize, outputStart: intermediateSize },
    down_proj: { inputs: intermediateSize, outputs: hiddenSize, outputStart: 0 },
  };
}

function planFactors(config: DecoderConfig, choose: (layer: number, module: Projection) => FactorChoice | null): LoraFactor[] {
  const shapes = projectionShapes(config);
  const factors: LoraFactor[] = [];
  let offset = 0;
  for (let layer = 0; layer < config.layerCount; layer++) {
    for (const module of PROJECTIONS) {
      const choice = choose(layer, module);
      if (choice === null) continue;
      const { rank, loraAlpha, useRslora } = choice;
      const { inputs, outputs, outputStart } = shapes[module];
      const offsetB = offset + rank * inputs;
      const scale = loraScale(rank, loraAlpha, useRslora);
      factors.push({
        layer,
        module,
        inputs,
        outputs,
        rank,
        loraAlpha,
        scale,
        offsetA: offset,
        offsetB,
        outputStart,
        outputEnd: outputStart + outputs,
      });
      offset = offsetB + outputs * rank;
    }
  }
  if (factors.length === 0) throw new TensorError("the adapter has no factors: no target module in any layer");
  return factors;
}

function vectorSize(factors: readonly LoraFactor[]): number {
  const last = factors.at(-1)!;
  return last.offsetB + last.outputs * last.rank;
}

function assemble(decoder: Decoder, options: Required<LoraOptions>, factors: LoraFactor[], values: Float32Array): LoraAdapter {
  const widths = {
    qkv: decoder.layers[0].qkv,
    output: decoder.layers[0].output,
    gateUp: decoder.layers[0].gateUp,
    down: decoder.layers[0].down,
  };
  const layout = (layer: number, joined: keyof typeof widths, modules: readonly Projection[]): LoraLayout | null => {
    const parts = factors.filter((f) => f.layer === layer && modules.includes(f.module));
    return parts.length === 0 ? null : { inputs: widths[joined].inputs, outputs: widths[joined].outputs, parts };
  };
  const layouts = decoder.layers.map((_, layer) => ({
    qkv: layout(layer, "qkv", ["q_proj", "k_proj", "v_proj"]),
    output: layout(layer, "output", ["o_proj"]),
    gateUp: layout(layer, "gateUp", ["gate_proj", "up_proj"]),
    down: layout(layer, "down", ["down_proj"]),
  }));
  const adapter: LoraAdapter = {
    options,
    factors,
    layouts,
    size: values.length,
    parameters: keep(decoder.ops.device.upload(values, [values.length])),
    free: () => adapter.parameters.free(),
  };
  return adapter;
}
