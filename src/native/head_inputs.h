// Settings that several ops share: numbers, the activation, the geometry of heads, QK norm weights.
#pragma once
#include "fused_kernels.h"
#include "op.h"

namespace ti {

// One finite float setting of an input float [count].
inline float finite_setting(Op& op, int input, int64_t count, int64_t index) {
  const float value = op.input<float>(input, {count})[index];
  if (!(value - value == 0)) op.reject(input, "value " + std::to_string(value) + " at index " + std::to_string(index) + " is not finite");
  return value;
}

// int32 [1]: 0 silu, 1 gelu_tanh.
inline Gate read_gate(Op& op, int input) {
  const int64_t value = op.settings(input, 1)[0];
  op.check(input, value == 0 || value == 1, "the activation must be 0 (silu) or 1 (gelu_tanh)");
  return static_cast<Gate>(value);
}

// Geometry int32 [4]: query heads, key/value heads, head size, window.
struct Geometry {
  Heads heads;
  int64_t window;
};

inline Geometry geometry(Op& op, int input) {
  const std::vector<int64_t> g = op.settings(input, 4);
  op.check(input, g[0] > 0 && g[1] > 0 && g[0] % g[1] == 0, "query heads must be a positive multiple of key/value heads");
  op.check(input, g[2] > 0 && g[2] % 2 == 0, "the head size must be positive and even");
  op.check(input, g[2] <= 1 << 16 && g[0] <= 1 << 16, "there must be at most 65536 heads of at most 65536 elements");
  op.check(input, g[3] >= 0, "the window must not be negative");
  return {{g[0], g[1], g[2], nullptr, nullptr, 0}, g[3]};
}

// QK norm weights, float [d] each; empty tensors: none.
inline void read_norms(Op& op, int query_norm, int key_norm, float epsilon, Heads* heads) {
  heads->query_norm = op.optional<float>(query_norm, {heads->dim}).data;
  heads->key_norm = op.optional<float>(key_norm, {heads->dim}).data;
  heads->epsilon = epsilon;
}

}  // namespace ti
