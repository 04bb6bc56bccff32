// Decoding: caches of keys and values, and one step of attention against them. Caches are written in place.
#include <cstring>

#include "dispatch.h"
#include "head_inputs.h"
#include "op.h"
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

template <class T>
CacheView<T> cache(Op& op, int keys, const Heads& heads) {
  const auto k = op.in_place<T>(keys, {kAny, heads.keys, kAny, heads.dim});
  const auto v = op.in_place<T>(keys + 1, {k.dim(0), heads.keys, k.dim(2), heads.dim});
  op.check(keys, k.dim(2) % kTokenBlock == 0, "the capacity must be a multiple of 16 tokens");
  op.check(keys, k.empty() || k.data != v.data, "keys and values must be different tensors");
  return {k.data, v.data, k.dim(0), k.dim(2)};
}

[[noreturn]] void reject_row(const Op& op, int input, int64_t row, const std::string& problem) {
  op.reject(input, "row " + std::to_string(row) + ": " + problem);
}

std::string outside(const char* what, int64_t value, int64_t limit) {
  return std::string(what) + " " + std::to_string(value) + " is outside [0, " + std::to_string(limit) + ")";
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

// Each row has its own completion slot; nobody reads a slot that this step writes, except its own row.
template <class T>
void check_rows(const Op& op, int input, const View<const int32_t>& rows, const CacheView<T>& prompts, const CacheView<T>& completions) {
  std::vector<bool> written(completions.slots);
  for (int64_t i = 0; i < rows.dim(0); i++) {
    const int64_t prompt_slot = rows[4 * i], prompt_length = rows[4 * i + 1], slot = rows[4 * i + 2], length = rows[4 * i + 3];
    if (prompt_length < 0 || prompt_length > prompts.capacity) reject_row(op, input, i, outside("prompt length", prompt_length, prompts.capacity + 1));
    if (prompt_length > 0 && (prompt_slot < 0 || prompt_slot >= prompts.slots)) reject_row(op, input, i, outside("prompt slot", prompt_slot, prompts.slots));
    if (slot < 0 || slot >= completions.slots) reject_row(op, input, i, outside("slot", slot, completions.slots));
    if (length < 0 || length >= completions.capacity) reject_row(op, input, i, outside("length", length, completions.capacity));
    if (written[slot]) reject_row(op, input, i, "slot " + std::to_string(slot) + " belongs to another row too");
    written[slot] = true;
  }
  if (prompts.keys != completions.keys) return;
  for (int64_t i = 0; i < rows.dim(0); i++) {
    if (rows[4 * i + 1] > 0 && written[rows[4 * i]]) reject_row(op, input, i, "prompt slot " + std::to_string(rows[4 * i]) + " is written in this step");
  }
}

void decode_attention(Op& op) {
  Geometry g = geometry(op, 10);
  const float scale = finite_setting(op, 9, 2, 0);
  read_norms(op, 7, 8, finite_setting(op, 9, 2, 1), &g.heads);
  const auto frequencies = op.input<float>(6, {g.heads.dim / 2});
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto qkv = op.input<T>(0, {kAny, g.heads.row()});
    const CacheView<T> prompts = cache<T>(op, 1, g.heads), completions = cache<T>(op, 3, g.heads);
    const auto rows = op.input<int32_t>(5, {qkv.dim(0), 4});
    check_rows(op, 5, rows, prompts, completions);
    const auto output = op.output<T>(0, {qkv.dim(0), g.heads.queries * g.heads.dim});
    if (qkv.empty()) return;
    const DecodeArguments<T> a = {qkv.dim(0), g.heads, scale, g.window, qkv.data, prompts, completions, rows.data, frequencies.data};
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
