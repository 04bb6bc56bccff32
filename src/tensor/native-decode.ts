/** Native decoding: caches written in place and one attention step against them (src/native/ops_decode.cc). */
import { geometry } from "./native-arguments.js";
import { floatConstant, nothing } from "./native-constants.js";
import type { DecoderOps, LayerCache, Precision } from "./ops.js";
import { free, keep, scope, Tensor, TensorError } from "./tensor.js";
import { attribute, type TensorflowDevice } from "./tensorflow.js";

type DecodeOps = Pick<DecoderOps, "layerCache" | "fillCache" | "decodeAttention">;

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
      const [prompt, completion] = [native(prompts, "decodeAttention"), native(completions, "decodeAttention")];
      const full = rows.find(({ length }) => length >= completions.capacity);
      if (full) throw new TensorError(`decodeAttention: slot ${full.slot} is full (capacity ${completions.capacity})`);
      return scope(() => {
        const table = Int32Array.from(
          rows.flatMap(({ promptSlot, promptLength, slot, length }) => [promptSlot, promptLength, slot, length]),
        );
        const inputs = [qkv, prompt.keys, prompt.values, completion.keys, completion.values];
        const epsilon = rope.queryNorm || rope.keyNorm ? rope.normEpsilon : 0;
        inputs.push(
          device.upload(table, [rows.length, 4]),
          rope.frequencies,
          rope.queryNorm ?? nothing("float32"),
          rope.keyNorm ?? nothing("float32"),
          floatConstant(config.scale, epsilon),
          geometry(config),
        );
        return device.execute("TrueIntentsDecodeAttention", [], inputs, 1)[0];
      });
    },
  };
}

/** @throws TensorError for a cache of another op set. */
function native(cache: LayerCache, op: string): NativeCache {
  const { keys, values } = cache as Partial<NativeCache>;
  if (keys instanceof Tensor && values instanceof Tensor) return cache as NativeCache;
  throw new TensorError(`${op}: the cache was made by another op set`);
}
