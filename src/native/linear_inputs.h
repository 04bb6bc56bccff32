// Inputs that the ops with linear layers share.
#pragma once
#include "lora_plan.h"
#include "op.h"

namespace ti {

// A linear layer as an op gets it, in five inputs from `at` on: weight T [packed], bias float32 [outer] or empty, layout int32, the two
// packed LoRA factors or empty.
constexpr int kLinearInputs = 5;

template <class T>
struct LinearInputs {
  int64_t inner, outer;
  LoraPlan plan;
  View<const T> weight, first, second;
  View<const float> bias;

  // row_step: that of the kernels. Forward: inner = the layer's inputs; backward: its outputs.
  LinearInputs(Op& op, int at, int64_t row_step, bool backward) {
    const LoraLayout layout = read_layout(op, at + 2);
    inner = backward ? layout.outputs : layout.inputs;
    outer = backward ? layout.inputs : layout.outputs;
    plan = backward ? backward_plan(layout, row_step) : forward_plan(layout, row_step);
    weight = op.input<T>(at, {packed_size<T>(inner, outer)});
    bias = op.optional<float>(at + 1, {outer});
    first = op.input<T>(at + 3, {plan.first_size});
    second = op.input<T>(at + 4, {plan.second_size});
  }

  // x T [rows, inner], projected T [rows, ranks]; scratch is the caller's to add. Valid as long as this object.
  LinearArguments<T> arguments(const T* x, int64_t rows, T* projected) const {
    return {x,
            rows,
            inner,
            outer,
            weight.data,
            bias.data,
            plan.groups.data(),
            static_cast<int64_t>(plan.groups.size()),
            plan.updates.empty() ? nullptr : plan.updates.data(),
            first.data,
            second.data,
            plan.ranks,
            plan.padded_ranks,
            projected,
            nullptr};
  }
};

}  // namespace ti
