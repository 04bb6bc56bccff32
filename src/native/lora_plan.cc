#include "lora_plan.h"

#include <algorithm>
#include <string>

namespace ti {
namespace {

// Places for the parts' projected columns, and sizes of the first factor's panels.
void add_group(LoraPlan& plan, const LoraPart& part, int64_t row_start, int64_t rows, int64_t row_step) {
  plan.groups.push_back({row_start, rows, part.rank, plan.ranks, plan.padded_ranks, plan.first_size});
  plan.first_size += panel_count(part.rank) * panel_size(rows, row_step);
  plan.ranks += part.rank;
  plan.padded_ranks += round_up(part.rank, row_step);
}

}  // namespace

int64_t LoraLayout::ranks() const {
  int64_t sum = 0;
  for (const LoraPart& part : parts) sum += part.rank;
  return sum;
}

LoraLayout read_layout(Op& op, int input) {
  constexpr int64_t kFields = 5, kMaximumRank = 4096;
  const auto values = op.input<int32_t>(input, {kAny});
  op.check(input, values.size >= 2 && (values.size - 2) % kFields == 0, "expected inputs, outputs and five numbers a LoRA part");
  LoraLayout layout{values[0], values[1], {}};
  op.check(input, layout.inputs > 0 && layout.outputs > 0, "inputs and outputs must be positive");
  int64_t end = 0;
  for (int64_t i = 2; i < values.size; i += kFields) {
    const LoraPart part{values[i], values[i + 1], values[i + 2], values[i + 3], values[i + 4]};
    const std::string name = "LoRA part " + std::to_string(layout.parts.size()) + ": ";
    if (part.rank < 1 || part.rank > kMaximumRank) op.reject(input, name + "the rank must be in [1, 4096]");
    if (part.offset_a < 0 || part.offset_b < 0) op.reject(input, name + "an offset is negative");
    if (part.output_start < end || part.output_end <= part.output_start || part.output_end > layout.outputs) {
      op.reject(input, name + "its outputs must be in order, not empty, not overlapping and inside the layer's");
    }
    end = part.output_end;
    layout.parts.push_back(part);
  }
  return layout;
}

void check_offsets(const Op& op, int input, const LoraLayout& layout, int64_t vector_size) {
  for (const LoraPart& part : layout.parts) {
    const int64_t end_a = part.offset_a + part.rank * layout.inputs;
    const int64_t end_b = part.offset_b + part.rank * (part.output_end - part.output_start);
    if (end_a > vector_size || end_b > vector_size) {
      op.reject(input, "a LoRA part ends at " + std::to_string(std::max(end_a, end_b)) + " of a vector of " +
                           std::to_string(vector_size) + " values");
    }
  }
}

LoraPlan forward_plan(const LoraLayout& layout, int64_t row_step) {
  LoraPlan plan;
  for (const LoraPart& part : layout.parts) add_group(plan, part, 0, layout.inputs, row_step);
  if (layout.parts.empty()) return plan;

  // A panel reads the ranks of the parts that own its columns: one, or those on both sides of a border inside the panel.
  for (int64_t panel = 0; panel < panel_count(layout.outputs); panel++) {
    const int64_t start = panel * kPanelColumns, end = start + kPanelColumns;
    PanelUpdate update{0, 0, plan.second_size};
    for (size_t i = 0; i < layout.parts.size(); i++) {
      const LoraPart& part = layout.parts[i];
      if (part.output_end <= start || part.output_start >= end) continue;
      const int64_t first = plan.groups[i].projected_padded;
      if (update.rows == 0) update.projected_padded = first;
      update.rows = first + round_up(part.rank, row_step) - update.projected_padded;
    }
    plan.second_size += update.rows * kPanelColumns;
    plan.updates.push_back(update);
  }
  return plan;
}

LoraPlan backward_plan(const LoraLayout& layout, int64_t row_step) {
  LoraPlan plan;
  // dy B contracts over the part's own outputs; the range starts and ends at whole steps, zeros fill the rest.
  for (const LoraPart& part : layout.parts) {
    const int64_t first = part.output_start / row_step * row_step;
    add_group(plan, part, first, round_up(part.output_end, row_step) - first, row_step);
  }
  if (layout.parts.empty()) return plan;
  for (int64_t panel = 0; panel < panel_count(layout.inputs); panel++) {
    plan.updates.push_back({0, plan.padded_ranks, plan.second_size});
    plan.second_size += plan.padded_ranks * kPanelColumns;
  }
  return plan;
}

}  // namespace ti
