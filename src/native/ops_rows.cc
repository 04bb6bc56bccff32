// Row-wise ops: norms, rotary embedding, gates, rows gathered and scattered, casts.
#include <cstring>

#include "dispatch.h"
#include "head_inputs.h"
#include "op.h"
#include "ops.h"

namespace ti {
namespace {

void rms_norm(Op& op) {
  const bool has_residual = !op.is_empty(0), has_branch = !op.is_empty(1);
  const auto weight = op.input<float>(2, {kAny});
  const int64_t width = weight.size;
  op.check(2, width > 0, "must not be empty");
  const float epsilon = finite_setting(op, 3, 1, 0);
  op.check(3, epsilon >= 0, "must not be negative");
  op.check(0, has_residual || has_branch, "residual and branch are both empty");
  with_type(op.dtype(1), [&](auto type) {
    using T = decltype(type);
    View<const float> residual;
    View<const T> branch;
    if (has_residual) residual = op.input<float>(0, {kAny, width});
    if (has_branch) branch = op.input<T>(1, {has_residual ? residual.dim(0) : kAny, width});
    const int64_t rows = has_residual ? residual.dim(0) : branch.dim(0);
    const auto sum = op.output<float>(0, {rows, width});
    const auto normed = op.output<T>(1, {rows, width});
    const auto inverse_rms = op.output<float>(2, {rows});
    kernels().of<T>().rows->rms_norm(rows, width, residual.data, branch.data, weight.data, epsilon, sum.data, normed.data,
                                     inverse_rms.data);
  });
}

void rms_norm_gradient(Op& op) {
  const auto sums = op.input<float>(0, {kAny, kAny});
  const int64_t rows = sums.dim(0), width = sums.dim(1);
  op.check(0, width > 0, "rows must not be empty");
  const auto inverse_rms = op.input<float>(1, {rows});
  const auto weight = op.input<float>(2, {width});
  with_type(op.dtype(3), [&](auto type) {
    using T = decltype(type);
    const auto d_normed = op.input<T>(3, {rows, width});
    const auto d_sum = op.optional<float>(4, {rows, width});
    const auto residual = op.output<float>(0, {rows, width});
    const auto branch = op.output<T>(1, {rows, width});
    kernels().of<T>().rows->rms_norm_gradient(rows, width, sums.data, inverse_rms.data, weight.data, d_normed.data, d_sum.data,
                                              residual.data, branch.data);
  });
}

// qkv, then for the gradient d_rotated; positions, frequencies, query_norm, key_norm, epsilon, geometry from input `next` on.
template <bool gradient>
void rope(Op& op) {
  constexpr int next = gradient ? 2 : 1;
  Geometry g = geometry(op, next + 5);
  read_norms(op, next + 2, next + 3, finite_setting(op, next + 4, 1, 0), &g.heads);
  const auto frequencies = op.input<float>(next + 1, {g.heads.dim / 2});
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto qkv = op.input<T>(0, {kAny, g.heads.row()});
    const int64_t rows = qkv.dim(0);
    View<const T> d_rotated;
    if (gradient) d_rotated = op.input<T>(1, {rows, g.heads.row()});
    const auto positions = op.input<int32_t>(next, {rows});
    op.check_indices(next, positions, int64_t(1) << 31);
    const auto output = op.output<T>(0, {rows, g.heads.row()});
    if (rows == 0) return;
    const RowKernels<T>& kernel = *kernels().of<T>().rows;
    const Scratch<float> scratch(kernel.rope_scratch(g.heads.dim));
    kernel.rope(rows, g.heads, qkv.data, d_rotated.data, positions.data, frequencies.data, scratch.get(), output.data);
  });
}

void gated(Op& op) {
  const Gate activation = read_gate(op, 1);
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto gate_up = op.input<T>(0, {kAny, kAny});
    op.check(0, gate_up.dim(1) % 2 == 0, "rows must hold as many gates as values");
    const int64_t rows = gate_up.dim(0), width = gate_up.dim(1) / 2;
    const auto output = op.output<T>(0, {rows, width});
    kernels().of<T>().rows->gated(activation, rows, width, gate_up.data, output.data);
  });
}

void gated_gradient(Op& op) {
  const Gate activation = read_gate(op, 2);
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto gate_up = op.input<T>(0, {kAny, kAny});
    op.check(0, gate_up.dim(1) % 2 == 0, "rows must hold as many gates as values");
    const int64_t rows = gate_up.dim(0), width = gate_up.dim(1) / 2;
    const auto d_output = op.input<T>(1, {rows, width});
    const auto d_gate_up = op.output<T>(0, {rows, 2 * width});
    const auto output = op.output<T>(1, {rows, width});
    kernels().of<T>().rows->gated_gradient(activation, rows, width, gate_up.data, d_output.data, d_gate_up.data, output.data);
  });
}

void gather_rows(Op& op) {
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto x = op.input<T>(0, {kAny, kAny});
    const auto rows = op.input<int32_t>(1, {kAny});
    op.check_indices(1, rows, x.dim(0));
    const int64_t width = x.dim(1);
    const auto output = op.output<T>(0, {rows.size, width});
    if (width == 0) return;
    for (int64_t i = 0; i < rows.size; i++) std::memcpy(output.data + i * width, x.data + rows[i] * width, width * sizeof(T));
  });
}

void scatter_rows(Op& op) {
  const int64_t count = op.settings(2, 1)[0];
  op.check(2, count >= 0, "the number of rows must not be negative");
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto dy = op.input<T>(0, {kAny, kAny});
    const auto rows = op.input<int32_t>(1, {dy.dim(0)});
    op.check_indices(1, rows, count);
    const auto output = op.output<float>(0, {count, dy.dim(1)});
    if (output.empty()) return;
    std::memset(output.data, 0, output.size * sizeof(float));
    kernels().of<T>().rows->scatter_rows(rows.size, dy.dim(1), dy.data, rows.data, output.data);
  });
}

// A matrix or vector of floats as the activation type.
void cast(Op& op) {
  with_type(op.output_dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto x = op.input<float>(0, {kAny, kAny});
    const auto output = op.output<T>(0, x.dims);
    kernels().of<T>().rows->convert(x.size, x.data, output.data);
  });
}

}  // namespace

void register_row_ops() {
  register_op<rms_norm>("TrueIntentsRmsNorm", {"residual: float", "branch: T", "weight: float", "epsilon: float"},
                        {"sum: float", "normed: T", "inverse_rms: float"});
  register_op<rms_norm_gradient>("TrueIntentsRmsNormGradient",
                                 {"sum: float", "inverse_rms: float", "weight: float", "d_normed: T", "d_sum: float"},
                                 {"residual: float", "branch: T"});
  register_op<rope<false>>("TrueIntentsRope",
                           {"qkv: T", "positions: int32", "frequencies: float", "query_norm: float", "key_norm: float",
                            "epsilon: float", "geometry: int32"},
                           {"rotated: T"});
  register_op<rope<true>>("TrueIntentsRopeGradient",
                          {"qkv: T", "d_rotated: T", "positions: int32", "frequencies: float", "query_norm: float",
                           "key_norm: float", "epsilon: float", "geometry: int32"},
                          {"d_qkv: T"});
  register_op<gated>("TrueIntentsGated", {"gate_up: T", "activation: int32"}, {"output: T"});
  register_op<gated_gradient>("TrueIntentsGatedGradient", {"gate_up: T", "d_output: T", "activation: int32"},
                              {"d_gate_up: T", "output: T"});
  register_op<gather_rows>("TrueIntentsGatherRows", {"x: T", "rows: int32"}, {"output: T"});
  register_op<scatter_rows>("TrueIntentsScatterRows", {"dy: T", "rows: int32", "count: int32"}, {"output: float"});
  register_op<cast>("TrueIntentsCast", {"x: float"}, {"output: U"});
}

}  // namespace ti
