// Decoding: caches of keys and values, and one step of attention against them. Caches are written in place.
#include <cstring>

#include "decode_inputs.h"
#include "dispatch.h"
#include "ops.h"

namespace ti {
namespace {

// sizes int32 [4]: slots, key/value heads, capacity, head size -> keys and values, zeros.
void layer_cache(Op& op) {
  const std::vector<int64_t> sizes = op.settings(0, 4);
  for (const int64_t size : sizes) op.check(0, size > 0, "slots, heads, capacity and head size must be positive");
  op.check(0, sizes[3] % 2 == 0, "the head size must be even");
  const Shape shape = {sizes[0], sizes[1], (sizes[2] + kTokenBlock - 1) / kTokenBlock * kTokenBlock, sizes[3]};
  with_type(op.output_dtype(0), [&](auto type) {
    using T = decltype(type);
    for (int i = 0; i < 2; i++) {
      const auto half = op.output<T>(i, shape);
      std::memset(static_cast<void*>(half.data), 0, half.size * sizeof(T));
    }
  });
}

// segments int32 [n, 3]: first row, length, slot.
void fill_cache(Op& op) {
  const Geometry g = geometry(op, 4);
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const CacheView<T> to = cache<T>(op, 0, g.heads);
    const auto qkv = op.input<T>(2, {kAny, g.heads.row()});
    const auto segments = op.input<int32_t>(3, {kAny, 3});
    std::vector<bool> filled(to.slots);
    for (int64_t s = 0; s < segments.dim(0); s++) {
      const int64_t start = segments[3 * s], length = segments[3 * s + 1], slot = segments[3 * s + 2];
      if (start < 0 || length < 0 || start + length > qkv.dim(0)) {
        reject_row(op, 3, s, "rows [" + std::to_string(start) + ", " + std::to_string(start + length) + ") are outside the " + std::to_string(qkv.dim(0)) + " rows");
      }
      if (length > to.capacity) reject_row(op, 3, s, outside("length", length, to.capacity + 1));
      if (slot < 0 || slot >= to.slots) reject_row(op, 3, s, outside("slot", slot, to.slots));
      if (filled[slot]) reject_row(op, 3, s, "slot " + std::to_string(slot) + " is filled twice");
      filled[slot] = true;
    }
    kernels().of<T>().attention->fill_cache(qkv.data, g.heads, segments.dim(0), segments.data, to);
  });
}

void decode_attention(Op& op) {
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto qkv = op.input<T>(0, {kAny, kAny});
    DecodeArguments<T> a = read_decode<T>(op, 1, qkv.dim(0));
    a.qkv = op.input<T>(0, {a.rows, a.heads.row()}).data;
    const auto output = op.output<T>(0, {a.rows, a.heads.queries * a.heads.dim});
    if (qkv.empty()) return;
    const AttentionKernels<T>& kernel = *kernels().of<T>().attention;
    const Scratch<char> scratch(kernel.decode_scratch(a));
    kernel.decode(a, scratch.get(), output.data);
  });
}

}  // namespace

void register_decode_ops() {
  register_op<layer_cache>("TrueIntentsLayerCache", {"sizes: int32"}, {"keys: U", "values: U"});
  register_op<fill_cache>("TrueIntentsFillCache", {"keys: T", "values: T", "qkv: T", "segments: int32", "geometry: int32"}, {});
  register_op<decode_attention>("TrueIntentsDecodeAttention",
                                {"qkv: T", "prompt_keys: T", "prompt_values: T", "completion_keys: T", "completion_values: T",
                                 "rows: int32", "frequencies: float", "query_norm: float", "key_norm: float", "scale_epsilon: float",
                                 "geometry: int32"},
                                {"output: T"});
}

}  // namespace ti
