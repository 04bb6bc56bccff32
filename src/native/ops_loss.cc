// Cross-entropy, the optimiser and sampling.
#include "dispatch.h"
#include "head_inputs.h"
#include "op.h"
#include "ops.h"

namespace ti {
namespace {

struct ScoredRows {
  View<const float> logits;
  View<const int32_t> targets;
  float temperature;
};

// logits float [M, V], targets int32 [M], temperature float [1] at these inputs.
ScoredRows scored_rows(Op& op, int temperature) {
  ScoredRows rows;
  rows.logits = op.input<float>(0, {kAny, kAny});
  rows.targets = op.input<int32_t>(1, {rows.logits.dim(0)});
  op.check_indices(1, rows.targets, rows.logits.dim(1));
  rows.temperature = finite_setting(op, temperature, 1, 0);
  op.check(temperature, rows.temperature > 0, "must be above 0");
  return rows;
}

void cross_entropy(Op& op) {
  const ScoredRows rows = scored_rows(op, 2);
  const int64_t count = rows.logits.dim(0);
  const auto nll = op.output<float>(0, {count});
  const auto log_sum_exp = op.output<float>(1, {count});
  kernels().loss->cross_entropy(count, rows.logits.dim(1), rows.logits.data, rows.targets.data, rows.temperature, nll.data,
                                log_sum_exp.data);
}

void cross_entropy_gradient(Op& op) {
  const ScoredRows rows = scored_rows(op, 4);
  const int64_t count = rows.logits.dim(0);
  const auto log_sum_exp = op.input<float>(2, {count});
  const auto weights = op.input<float>(3, {count});
  with_type(op.output_dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto d_logits = op.output<T>(0, rows.logits.dims);
    kernels().of<T>().rows->cross_entropy_gradient(count, rows.logits.dim(1), rows.logits.data, rows.targets.data,
                                                   log_sum_exp.data, weights.data, rows.temperature, d_logits.data);
  });
}

// In place: parameters, first and second moment. step: the fields of AdamWStep in their order.
void adamw(Op& op) {
  const auto gradient = op.input<float>(3, {kAny});
  const auto parameters = op.in_place<float>(0, {gradient.size});
  const auto first = op.in_place<float>(1, {gradient.size});
  const auto second = op.in_place<float>(2, {gradient.size});
  op.check(0, gradient.empty() || (parameters.data != first.data && parameters.data != second.data && first.data != second.data),
           "parameters and moments must be different tensors");
  float s[9];
  for (int i = 0; i < 9; i++) s[i] = finite_setting(op, 4, 9, i);
  kernels().loss->adamw(gradient.size, parameters.data, first.data, second.data, gradient.data,
                        {s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]});
}

// The sum as two floats, large and rest: a float64 cannot leave as one of this engine's dtypes.
void squared_norm(Op& op) {
  const auto x = op.input<float>(0, {kAny});
  const auto norm = op.output<float>(0, {2});
  const Scratch<double> scratch(kernels().loss->squared_norm_scratch(x.size));
  const double total = kernels().loss->squared_norm(x.size, x.data, scratch.get());
  norm[0] = static_cast<float>(total);
  norm[1] = total - total == 0 ? static_cast<float>(total - norm[0]) : 0.0f;
}

void sample(Op& op) {
  const auto logits = op.input<float>(0, {kAny, kAny});
  const int64_t rows = logits.dim(0), width = logits.dim(1);
  op.check(0, width > 0, "rows must not be empty");
  const float temperature = finite_setting(op, 1, 2, 0), top_p = finite_setting(op, 1, 2, 1);
  op.check(1, temperature >= 0, "the temperature must not be negative");
  op.check(1, top_p > 0 && top_p <= 1, "topP must be in (0, 1]");
  View<const float> uniforms;
  if (temperature > 0) {
    uniforms = op.input<float>(2, {rows});
    for (int64_t i = 0; i < rows; i++) {
      if (!(uniforms[i] >= 0 && uniforms[i] < 1)) {
        op.reject(2, "value " + std::to_string(uniforms[i]) + " at index " + std::to_string(i) + " is outside [0, 1)");
      }
    }
  }
  const auto ids = op.output<int32_t>(0, {rows});
  const auto log_probs = op.output<float>(1, {rows});
  const Scratch<float> scratch(temperature > 0 ? kernels().loss->sample_scratch(width) : 0);
  const int64_t bad = kernels().loss->sample(rows, width, logits.data, temperature, top_p, uniforms.data, scratch.get(), ids.data,
                                             log_probs.data);
  if (bad < rows) op.reject(0, "row " + std::to_string(bad) + " has no finite maximum (NaN or infinite logits)");
}

}  // namespace

void register_loss_ops() {
  register_op<cross_entropy>("TrueIntentsCrossEntropy", {"logits: float", "targets: int32", "temperature: float"},
                             {"nll: float", "log_sum_exp: float"});
  register_op<cross_entropy_gradient>("TrueIntentsCrossEntropyGradient",
                                      {"logits: float", "targets: int32", "log_sum_exp: float", "weights: float", "temperature: float"},
                                      {"d_logits: U"});
  register_op<adamw>("TrueIntentsAdamW", {"parameters: float", "first_moment: float", "second_moment: float", "gradient: float", "step: float"},
                     {});
  register_op<squared_norm>("TrueIntentsSquaredNorm", {"x: float"}, {"norm: float"});
  register_op<sample>("TrueIntentsSample", {"logits: float", "temperature_top_p: float", "uniforms: float"},
                      {"ids: int32", "log_probs: float"});
}

}  // namespace ti
