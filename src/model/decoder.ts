/**
 * A decoder-only language model on an op set: frozen weights in the form that the ops want, and the geometry of each layer.
 *
 * One decoder serves Llama, Qwen 2/2.5, Qwen 3 and Gemma 3; what differs (biases, QK norm, extra norms, sliding windows, two rope
 * bases, activation) is data in {@link DecoderConfig}, read in `forward.ts` and `backward.ts`.
 */
import type { BlockWeights, DecoderOps, LinearWeight } from "../tensor/ops.js";
import { keep, scope, tensorsIn, type Tensor } from "../tensor/tensor.js";
import type { DecoderConfig } from "./config.js";

export type DecoderLayer = BlockWeights;

export interface Decoder {
  readonly config: DecoderConfig;
  readonly ops: DecoderOps;
  readonly embedding: LinearWeight;
  /** The same object as `embedding` when the model ties them. */
  readonly head: LinearWeight;
  readonly layers: readonly DecoderLayer[];
  readonly finalNorm: Tensor;
  /** Frees every weight. Adapters and caches are their makers' to free. */
  free(): void;
}

/** Where weights come from: Hugging Face tensor names, row-major float32 values ([outputs, inputs] for linear layers). */
export interface WeightReader {
  readonly config: DecoderConfig;
  read(name: string): Float32Array;
}

/**
 * Reads all weights, layer by layer, so that little more than the result is in memory at once.
 * @param onLayer called after each layer with (done, total)
 */
export function loadDecoder(ops: DecoderOps, weights: WeightReader, onLayer?: (done: number, total: number) => void): Decoder {
  const { config } = weights;
  const owned: Tensor[] = [];
  try {
    return scope(() => {
      const own = <T>(value: T): T => {
        for (const tensor of tensorsIn(value)) owned.push(keep(tensor));
        return value;
      };
      const vector = (values: Float32Array): Tensor => own(ops.device.upload(values, [values.length]));
      const norm = (name: string): Tensor => {
        const values = weights.read(name);
        return vector(config.normPlusOne ? values.map((v) => v + 1) : values);
      };
      const linear = (inputs: number, names: readonly string[], bias = false): LinearWeight =>
        own(
          ops.linearWeight(
            inputs,
            names.map((name) => ({
              weight: weights.read(`${name}.weight`),
              bias: bias ? weights.read(`${name}.bias`) : null,
            })),
          ),
        );

      const frequencies = {
        global: vector(config.ropeFrequencies.global),
        local: config.ropeFrequencies.local === null ? null : vector(config.ropeFrequencies.local),
      };
      const embedding = linear(config.hiddenSize, ["model.embed_tokens"]);
      const head = config.tiedEmbeddings ? embedding : linear(config.hiddenSize, ["lm_head"]);
      const layers = config.layers.map((geometry, index): DecoderLayer => {
        const name = `model.layers.${index}`;
        const attended = config.headCount * config.headDim;
        const layer: DecoderLayer = {
          attentionNorm: norm(`${name}.input_layernorm.weight`),
          qkv: linear(
            config.hiddenSize,
            ["q", "k", "v"].map((p) => `${name}.self_attn.${p}_proj`),
            config.qkvBias,
          ),
          rope: {
            frequencies: frequencies[geometry.rope] ?? frequencies.global,
            queryNorm: config.qkNorm ? norm(`${name}.self_attn.q_norm.weight`) : null,
            keyNorm: config.qkNorm ? norm(`${name}.self_attn.k_norm.weight`) : null,
            normEpsilon: config.rmsNormEpsilon,
          },
          attention: {
            heads: config.headCount,
            kvHeads: config.kvHeadCount,
            headDim: config.headDim,
            scale: config.attentionScale,
            window: geometry.window,
          },
          output: linear(attended, [`${name}.self_attn.o_proj`]),
          // With post norms the names shift: Gemma's norm before the feed-forward is `pre_feedforward_layernorm`.
          postAttentionNorm: config.postNorms ? norm(`${name}.post_attention_layernorm.weight`) : null,
          feedforwardNorm: norm(`${name}.${config.postNorms ? "pre_feedforward_layernorm" : "post_attention_layernorm"}.weight`),
          gateUp: linear(config.hiddenSize, [`${name}.mlp.gate_proj`, `${name}.mlp.up_proj`]),
          down: linear(config.intermediateSize, [`${name}.mlp.down_proj`]),
          postFeedforwardNorm: config.postNorms ? norm(`${name}.post_feedforward_layernorm.weight`) : null,
        };
        onLayer?.(index + 1, config.layers.length);
        return layer;
      });
      const decoder = { config, ops, embedding, head, layers, finalNorm: norm("model.norm.weight") };
      return { ...decoder, free: () => freeAll(decoder) };
    });
  } catch (error) {
    for (const tensor of owned) tensor.free();
    throw error;
  }
}

/** Everything a decoder holds, including the backward forms that training added later. */
function freeAll(decoder: Omit<Decoder, "free">): void {
  const { embedding, head, layers, finalNorm } = decoder;
  for (const tensor of tensorsIn({ embedding, head, layers, finalNorm })) tensor.free();
}

/** Makes the forms of the weights that the backward pass needs; does nothing the second time. */
export function prepareTraining(decoder: Decoder): void {
  const weights = [decoder.head, ...decoder.layers.flatMap((l) => [l.qkv, l.output, l.gateUp, l.down])];
  for (const weight of weights) {
    if (weight.backward !== null) continue;
    scope(() => {
      decoder.ops.prepareBackward(weight);
      if (weight.backward !== null) keep(weight.backward);
    });
  }
}
