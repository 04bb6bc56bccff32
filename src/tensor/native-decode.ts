/** Native decoding: caches written in place and one step against them (src/native/ops_decode.cc, ops_decode_block.cc). */
import { activationInput, geometry } from "./native-arguments.js";
import { floatConstant, nothing } from "./native-constants.js";
import { linearInputs } from "./native-linear.js";
import type { AttentionConfig, DecodeRow, DecoderOps, LayerCache, Precision, RopeConfig } from "./ops.js";
import { free, keep, scope, Tensor, TensorError } from "./tensor.js";
import { attribute, type TensorflowDevice } from "./tensorflow.js";

type DecodeOps = Pick<DecoderOps, "layerCache" | "fillCache" | "decodeAttention" | "decodeBlocks">;

/** Keys and values T [slots, K, capacity rounded up to 16, d], in the layout of src/native/kernels/decode.h. */
interface NativeCache extends LayerCache {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** @internal Composed by `nativeOps`. */
export function nativeDecode(device: TensorflowDevice, precision: Precision): DecodeOps {
  const asPrecision = [attribute.dtype("U", precision)];
  return {
    layerCache(slots, capacity, { kvHeads, headDim }) {
      const [keys, values] = scope(() => {
        const sizes = device.upload(Int32Array.of(slots, kvHeads, capacity, headDim), [4]);
        return device.execute("TrueIntentsLayerCache", asPrecision, [sizes], 2);
      }).map(keep);
      const cache: NativeCache = { slots, capacity, heads: kvHeads, headDim, keys, values, free: () => free(keys, values) };
      return cache;
    },

    fillCache(cache, qkv, segments, config) {
      const { keys, values } = native(cache, "fillCache");
      const long = segments.find(({ length }) => length > cache.capacity);
      if (long) throw new TensorError(`fillCache: ${long.length} tokens for slot ${long.slot} of capacity ${cache.capacity}`);
      scope(() => {
        const table = Int32Array.from(segments.flatMap(({ start, length, slot }) => [start, length, slot]));
        const inputs = [keys, values, qkv, device.upload(table, [segments.length, 3]), geometry(config)];
        device.execute("TrueIntentsFillCache", [], inputs, 0);
      });
    },

    decodeAttention(qkv, prompts, completions, rows, config, rope) {
      return scope(() => {
        const inputs = [qkv, ...attentionInputs("decodeAttention", prompts, completions, rows, uploadRows(rows), config, rope)];
        return device.execute("TrueIntentsDecodeAttention", [], inputs, 1)[0];
      });
    },

    decodeBlocks(input, blocks, rows, { rmsNormEpsilon, activation }) {
      return scope(() => {
        const table = uploadRows(rows);
        return blocks.reduce((entering, { weights, lora, prompts, completions }) => {
          const inputs = [
            entering.residual,
            entering.branch ?? nothing(precision),
            weights.attentionNorm,
            weights.postAttentionNorm ?? nothing("float32"),
            weights.feedforwardNorm,
            weights.postFeedforwardNorm ?? nothing("float32"),
            floatConstant(rmsNormEpsilon),
            activationInput(activation),
            ...attentionInputs("decodeBlocks", prompts, completions, rows, table, weights.attention, weights.rope),
            ...linearInputs(weights.qkv, lora.qkv),
            ...linearInputs(weights.output, lora.output),
            ...linearInputs(weights.gateUp, lora.gateUp),
            ...linearInputs(weights.down, lora.down),
          ];
          const [residual, branch] = device.execute("TrueIntentsDecodeBlock", [], inputs, 2);
          if (entering !== input) free(entering.residual, entering.branch);
          return { residual, branch };
        }, input);
      });
    },
  };

  function uploadRows(rows: readonly DecodeRow[]): Tensor {
    const table = rows.flatMap(({ promptSlot, promptLength, slot, length }) => [promptSlot, promptLength, slot, length]);
    return device.upload(Int32Array.from(table), [rows.length, 4]);
  }
}

/** What src/native/decode_inputs.h reads. */
function attentionInputs(
  op: string,
  prompts: LayerCache,
  completions: LayerCache,
  rows: readonly DecodeRow[],
  table: Tensor,
  config: AttentionConfig,
  rope: RopeConfig,
): Tensor[] {
  const [prompt, completion] = [native(prompts, op), native(completions, op)];
  const full = rows.find(({ length }) => length >= completions.capacity);
  if (full) throw new TensorError(`${op}: slot ${full.slot} is full (capacity ${completions.capacity})`);
  return [
    prompt.keys,
    prompt.values,
    completion.keys,
    completion.values,
    table,
    rope.frequencies,
    rope.queryNorm ?? nothing("float32"),
    rope.keyNorm ?? nothing("float32"),
    floatConstant(config.scale, rope.queryNorm || rope.keyNorm ? rope.normEpsilon : 0),
    geometry(config),
  ];
}

/** @throws TensorError for a cache of another op set. */
function native(cache: LayerCache, op: string): NativeCache {
  const { keys, values } = cache as Partial<NativeCache>;
  if (keys instanceof Tensor && values instanceof Tensor) return cache as NativeCache;
  throw new TensorError(`${op}: the cache was made by another op set`);
}
