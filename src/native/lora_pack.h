// Packing of LoRA factors out of the flat parameter vector.
#pragma once
#include "lora_plan.h"

namespace ti {

// Packs the two factors of a direction into zeroed memory of the plan's sizes. scales: one a part, folded into B.
template <class T>
void pack_forward(const LoraLayout& layout, const LoraPlan& plan, const float* parameters, const float* scales, int64_t row_step,
                  T* first, T* second, std::vector<PackArguments<T>>& jobs) {
  for (size_t i = 0; i < layout.parts.size(); i++) {
    const LoraPart& part = layout.parts[i];
    const ProjectionGroup& group = plan.groups[i];
    const int64_t size = panel_size(group.rows, row_step);
    // A^T [inputs, rank]
    for (int64_t column = 0; column < part.rank; column += kPanelColumns) {
      jobs.push_back({parameters + part.offset_a + column * layout.inputs, layout.inputs,
                      std::min(kPanelColumns, part.rank - column), 1, layout.inputs, 1.0f,
                      first + group.packed + column / kPanelColumns * size, 0, 0});
    }
    // B^T [rank, outputs of the part]
    for (int64_t panel = part.output_start / kPanelColumns; panel * kPanelColumns < part.output_end; panel++) {
      const PanelUpdate& update = plan.updates[panel];
      const int64_t start = std::max(part.output_start, panel * kPanelColumns);
      const int64_t end = std::min(part.output_end, (panel + 1) * kPanelColumns);
      jobs.push_back({parameters + part.offset_b + (start - part.output_start) * part.rank, part.rank, end - start, 1, part.rank,
                      scales[i], second + update.packed, group.projected_padded - update.projected_padded,
                      start - panel * kPanelColumns});
    }
  }
}

template <class T>
void pack_backward(const LoraLayout& layout, const LoraPlan& plan, const float* parameters, const float* scales, int64_t row_step,
                   T* first, T* second, std::vector<PackArguments<T>>& jobs) {
  for (size_t i = 0; i < layout.parts.size(); i++) {
    const LoraPart& part = layout.parts[i];
    const ProjectionGroup& group = plan.groups[i];
    const int64_t size = panel_size(group.rows, row_step);
    // B [outputs of the part, rank]
    for (int64_t column = 0; column < part.rank; column += kPanelColumns) {
      jobs.push_back({parameters + part.offset_b + column, part.output_end - part.output_start,
                      std::min(kPanelColumns, part.rank - column), part.rank, 1, scales[i],
                      first + group.packed + column / kPanelColumns * size, part.output_start - group.row_start, 0});
    }
    // A [rank, inputs]
    for (int64_t column = 0; column < layout.inputs; column += kPanelColumns) {
      jobs.push_back({parameters + part.offset_a + column, part.rank, std::min(kPanelColumns, layout.inputs - column),
                      layout.inputs, 1, 1.0f, second + plan.updates[column / kPanelColumns].packed, group.projected_padded, 0});
    }
  }
}

}  // namespace ti
