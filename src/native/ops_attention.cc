// Attention over packed segments, forward and backward.
#include <cstring>

#include "dispatch.h"
#include "head_inputs.h"
#include "op.h"
#include "ops.h"

namespace ti {
namespace {

std::string in_segment(int64_t s, const std::string& problem) { return "segment " + std::to_string(s) + ": " + problem; }

std::string range_text(int64_t start, int64_t length) {
  return "[" + std::to_string(start) + ", " + std::to_string(start + length) + ")";
}

// Ranges inside the rows, queries disjoint, no prefix among its segment's own queries.
void check_segments(const Op& op, int input, const View<const int32_t>& segments, int64_t rows) {
  std::vector<bool> taken(rows);
  for (int64_t s = 0; s < segments.dim(0); s++) {
    const int64_t start = segments[4 * s], length = segments[4 * s + 1];
    const int64_t prefix_start = segments[4 * s + 2], prefix_length = segments[4 * s + 3];
    if (start < 0 || length < 0 || start + length > rows) {
      op.reject(input, in_segment(s, "queries " + range_text(start, length) + " are outside the " + std::to_string(rows) + " rows"));
    }
    if (prefix_start < 0 || prefix_length < 0 || prefix_start + prefix_length > rows) {
      op.reject(input, in_segment(s, "prefix " + range_text(prefix_start, prefix_length) + " is outside the " + std::to_string(rows) + " rows"));
    }
    if (prefix_length > 0 && prefix_start < start + length && start < prefix_start + prefix_length) {
      op.reject(input, in_segment(s, "prefix " + range_text(prefix_start, prefix_length) + " overlaps its own queries " + range_text(start, length)));
    }
    for (int64_t i = start; i < start + length; i++) {
      if (taken[i]) op.reject(input, in_segment(s, "row " + std::to_string(i) + " is a query of another segment too"));
      taken[i] = true;
    }
  }
}

// qkv T, segments int32 [S, 4], scale float [1], geometry int32 [4] as inputs 0 to 3.
template <class T>
AttentionArguments<T> attention_arguments(Op& op) {
  const Geometry g = geometry(op, 3);
  const float scale = finite_setting(op, 2, 1, 0);
  const auto qkv = op.input<T>(0, {kAny, g.heads.row()});
  const auto segments = op.input<int32_t>(1, {kAny, 4});
  check_segments(op, 1, segments, qkv.dim(0));
  return {qkv.dim(0), g.heads, scale, g.window, qkv.data, segments.data, segments.dim(0)};
}

void attention(Op& op) {
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const AttentionArguments<T> a = attention_arguments<T>(op);
    const auto output = op.output<T>(0, {a.rows, a.heads.queries * a.heads.dim});
    const auto log_sum_exp = op.output<float>(1, {a.heads.queries, a.rows});
    if (a.rows == 0) return;
    const AttentionKernels<T>& kernel = *kernels().of<T>().attention;
    const Scratch<char> scratch(kernel.forward_scratch(a));
    kernel.forward(a, scratch.get(), output.data, log_sum_exp.data);
  });
}

void attention_gradient(Op& op) {
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const AttentionArguments<T> a = attention_arguments<T>(op);
    const int64_t width = a.heads.queries * a.heads.dim;
    const auto output = op.input<T>(4, {a.rows, width});
    const auto log_sum_exp = op.input<float>(5, {a.heads.queries, a.rows});
    const auto d_output = op.input<T>(6, {a.rows, width});
    const auto d_qkv = op.output<T>(0, {a.rows, a.heads.row()});
    if (a.rows == 0) return;
    const AttentionKernels<T>& kernel = *kernels().of<T>().attention;
    const Scratch<char> scratch(kernel.backward_scratch(a));
    kernel.backward(a, output.data, log_sum_exp.data, d_output.data, scratch.get(), d_qkv.data);
  });
}

}  // namespace

void register_attention_ops() {
  register_op<attention>("TrueIntentsAttention", {"qkv: T", "segments: int32", "scale: float", "geometry: int32"},
                         {"output: T", "log_sum_exp: float"});
  register_op<attention_gradient>("TrueIntentsAttentionGradient",
                                  {"qkv: T", "segments: int32", "scale: float", "geometry: int32", "output: T", "log_sum_exp: float",
                                   "d_output: T"},
                                  {"d_qkv: T"});
}

}  // namespace ti
