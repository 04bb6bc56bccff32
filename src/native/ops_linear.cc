// Linear layers with LoRA: packing of weights, products in both directions, gradients of the factors.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "dispatch.h"
#include "linear_inputs.h"
#include "lora_pack.h"
#include "lora_plan.h"
#include "op.h"
#include "ops.h"

namespace ti {
namespace {

// weight float32 [outputs, inputs], PyTorch's layout -> the packed operand [inputs, outputs] of the forward pass.
void pack_weight(Op& op) {
  const auto weight = op.input<float>(0, {kAny, kAny});
  const int64_t outputs = weight.dim(0), inputs = weight.dim(1);
  with_type(op.output_dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto packed = op.output<T>(0, {packed_size<T>(inputs, outputs)});
    if (packed.empty()) return;
    std::memset(packed.data, 0, packed.size * sizeof(T));
    std::vector<PackArguments<T>> jobs;
    const int64_t size = panel_size(inputs, kRowStep<T>);
    for (int64_t column = 0; column < outputs; column += kPanelColumns) {
      jobs.push_back({weight.data + column * inputs, inputs, std::min(kPanelColumns, outputs - column), 1, inputs, 1.0f,
                      packed.data + column / kPanelColumns * size, 0, 0});
    }
    kernels().of<T>().linear->pack(jobs.data(), static_cast<int64_t>(jobs.size()));
  });
}

// forward T [packed], sizes [inputs, outputs] -> the operand [outputs, inputs] of the backward pass.
void pack_backward_weight(Op& op) {
  const auto sizes = op.settings(1, 2);
  op.check(1, sizes[0] > 0 && sizes[1] > 0, "inputs and outputs must be positive");
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto forward = op.input<T>(0, {packed_size<T>(sizes[0], sizes[1])});
    const auto backward = op.output<T>(0, {packed_size<T>(sizes[1], sizes[0])});
    std::memset(backward.data, 0, backward.size * sizeof(T));
    kernels().of<T>().linear->repack(forward.data, sizes[0], sizes[1], backward.data);
  });
}

// table T [packed], sizes [inputs, outputs], ids int32 [N], scale float32 [1] -> float32 [N, inputs].
void embed(Op& op) {
  const auto sizes = op.settings(1, 2);
  op.check(1, sizes[0] > 0 && sizes[1] > 0, "inputs and outputs must be positive");
  const auto ids = op.input<int32_t>(2, {kAny});
  const auto scale = op.input<float>(3, {1});
  op.check_indices(2, ids, sizes[1]);
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto table = op.input<T>(0, {packed_size<T>(sizes[0], sizes[1])});
    const auto rows = op.output<float>(0, {ids.size, sizes[0]});
    kernels().of<T>().linear->embed(table.data, sizes[0], ids.data, ids.size, scale[0], rows.data);
  });
}

template <class T>
T* zeroed(Op& op, int output, int64_t size) {
  const auto view = op.output<T>(output, {size});
  if (size > 0) std::memset(view.data, 0, size * sizeof(T));
  return view.data;
}

// parameters float32 [P], layout int32, scales float32 [parts] -> packed A^T and B^T of the forward pass, and, if the int32
// setting `training` is 1, packed B and A of the backward pass (else empty).
void pack_lora(Op& op) {
  const auto parameters = op.input<float>(0, {kAny});
  const LoraLayout layout = read_layout(op, 1);
  const auto scales = op.input<float>(2, {static_cast<int64_t>(layout.parts.size())});
  const bool training = op.settings(3, 1)[0] != 0;
  check_offsets(op, 1, layout, parameters.size);
  with_type(op.output_dtype(0), [&](auto type) {
    using T = decltype(type);
    const LinearKernels<T>& linear = *kernels().of<T>().linear;
    std::vector<PackArguments<T>> jobs;
    const LoraPlan forward = forward_plan(layout, linear.row_step);
    T* first = zeroed<T>(op, 0, forward.first_size);
    T* second = zeroed<T>(op, 1, forward.second_size);
    pack_forward(layout, forward, parameters.data, scales.data, linear.row_step, first, second, jobs);
    const LoraPlan backward = training ? backward_plan(layout, linear.row_step) : LoraPlan();
    first = zeroed<T>(op, 2, backward.first_size);
    second = zeroed<T>(op, 3, backward.second_size);
    if (training) pack_backward(layout, backward, parameters.data, scales.data, linear.row_step, first, second, jobs);
    linear.pack(jobs.data(), static_cast<int64_t>(jobs.size()));
  });
}

template <class T, class Y>
void run_linear(const LinearArguments<T>& arguments, Y* y) {
  const LinearKernels<T>& linear = *kernels().of<T>().linear;
  if constexpr (std::is_same_v<T, Y>) {
    linear.linear(arguments, y);
  } else {
    linear.linear_float(arguments, y);
  }
}

// x T [N, inner], then a linear layer. Forward: inner = inputs; backward (x is dy): inner = outputs. -> y U [N, outer],
// projected T [N, ranks].
template <bool backward>
void linear(Op& op) {
  with_type(op.dtype(0), [&](auto type) {
    using T = decltype(type);
    const LinearKernels<T>& kernel = *kernels().of<T>().linear;
    const LinearInputs<T> layer(op, 1, kernel.row_step, backward);
    const auto x = op.input<T>(0, {kAny, layer.inner});
    const int64_t rows = x.dim(0);
    const auto projected = op.output<T>(1, {rows, layer.plan.ranks});
    LinearArguments<T> arguments = layer.arguments(x.data, rows, projected.data);
    const Scratch<char> scratch(static_cast<int64_t>(kernel.linear_scratch(arguments)));
    arguments.scratch = scratch.get();
    with_type(op.output_dtype(0), [&](auto result) {
      using Y = decltype(result);
      if constexpr (std::is_same_v<Y, T> || std::is_same_v<Y, float>) {
        const auto y = op.output<Y>(0, {rows, layer.outer});
        if (rows > 0) run_linear(arguments, y.data);
      } else {
        op.reject(0, "float32 activations cannot give a bfloat16 result");
      }
    });
  });
}

// vector float32 [P], written in place: adds dA = dProjected^T x and dB = scale dy^T projected at the parts' offsets.
// layout int32, scales float32 [parts], x T [N, inputs], projected T [N, ranks], dy T [N, outputs], dProjected T [N, ranks].
void add_lora_gradient(Op& op) {
  const auto vector = op.in_place<float>(0, {kAny});
  const LoraLayout layout = read_layout(op, 1);
  const auto scales = op.input<float>(2, {static_cast<int64_t>(layout.parts.size())});
  check_offsets(op, 1, layout, vector.size);
  const auto done = op.output<int32_t>(0, {0});
  (void)done;
  with_type(op.dtype(3), [&](auto type) {
    using T = decltype(type);
    const LinearKernels<T>& kernel = *kernels().of<T>().linear;
    const auto x = op.input<T>(3, {kAny, layout.inputs});
    const int64_t rows = x.dim(0), ranks = layout.ranks();
    const auto projected = op.input<T>(4, {rows, ranks});
    const auto dy = op.input<T>(5, {rows, layout.outputs});
    const auto d_projected = op.input<T>(6, {rows, ranks});
    if (rows == 0 || ranks == 0) return;

    // Where the sums of each rank go: rows of A, columns of B.
    std::vector<float*> rows_of_a, columns_of_b;
    for (const LoraPart& part : layout.parts) {
      for (int64_t i = 0; i < part.rank; i++) {
        rows_of_a.push_back(vector.data + part.offset_a + i * layout.inputs);
        columns_of_b.push_back(vector.data + part.offset_b + i);
      }
    }
    std::vector<OuterProduct<T>> products;
    products.push_back({d_projected.data, ranks, ranks, x.data, layout.inputs, layout.inputs, rows_of_a.data(), 1, 1.0f});
    int64_t rank = 0;
    for (size_t i = 0; i < layout.parts.size(); i++) {
      const LoraPart& part = layout.parts[i];
      products.push_back({projected.data + rank, ranks, part.rank, dy.data + part.output_start, layout.outputs,
                          part.output_end - part.output_start, columns_of_b.data() + rank, part.rank, scales[i]});
      rank += part.rank;
    }
    OuterArguments<T> arguments{products.data(), static_cast<int64_t>(products.size()), rows, nullptr};
    const Scratch<char> scratch(static_cast<int64_t>(kernel.outer_scratch(arguments)));
    arguments.scratch = scratch.get();
    kernel.outer(arguments);
  });
}

// seconds float32 [1] -> operations per second float32 [1] of the innermost product in type U, the best of several tries.
void matmul_peak(Op& op) {
  const float seconds = op.input<float>(0, {1})[0];
  op.check(0, seconds > 0 && seconds <= 10, "expected a time in (0, 10] seconds");
  const auto result = op.output<float>(1, {1});
  with_type(op.output_dtype(0), [&](auto type) {
    using T = decltype(type);
    using Clock = std::chrono::steady_clock;
    op.output<T>(0, {0});
    // Floats, because some engines read widened operands.
    const Scratch<float> operands(kPeakOperands);
    std::memset(operands.get(), 0, kPeakOperands * sizeof(float));
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    double best = 0;
    do {
      const auto start = Clock::now();
      const double operations = kernels().of<T>().linear->peak(reinterpret_cast<const T*>(operands.get()), 2000);
      best = std::max(best, operations / std::chrono::duration<double>(Clock::now() - start).count());
    } while (Clock::now() < end);
    result[0] = static_cast<float>(best);
  });
}

}  // namespace

void register_linear_ops() {
  register_op<pack_weight>("TrueIntentsPackWeight", {"weight: float"}, {"packed: U"});
  register_op<pack_backward_weight>("TrueIntentsPackBackwardWeight", {"forward: T", "sizes: int32"}, {"backward: T"});
  register_op<embed>("TrueIntentsEmbed", {"table: T", "sizes: int32", "ids: int32", "scale: float"}, {"rows: float"});
  register_op<pack_lora>("TrueIntentsPackLora", {"parameters: float", "layout: int32", "scales: float", "training: int32"},
                         {"first: U", "second: U", "backward_first: U", "backward_second: U"});
  const std::vector<std::string> operands = {"x: T",          "weight: T",       "bias: float",
                                             "layout: int32", "first_factor: T", "second_factor: T"};
  register_op<linear<false>>("TrueIntentsLinear", operands, {"y: U", "projected: T"});
  register_op<linear<true>>("TrueIntentsLinearGradient", operands, {"dx: U", "d_projected: T"});
  register_op<add_lora_gradient>(
      "TrueIntentsAddLoraGradient",
      {"vector: float", "layout: int32", "scales: float", "x: T", "projected: T", "dy: T", "d_projected: T"}, {"done: int32"});
  register_op<matmul_peak>("TrueIntentsMatmulPeak", {"seconds: float"}, {"type: U", "operations_per_second: float"});
}

}  // namespace ti
