// Where the LoRA factors of one joined linear layer stand: in the flat parameter vector, and packed for the kernels.
#pragma once
#include <cstdint>
#include <vector>

#include "linear_layout.h"
#include "op.h"

namespace ti {

struct LoraPart {
  int64_t rank;
  int64_t offset_a, offset_b;        // in the parameter vector: A [rank, inputs], B [output_end - output_start, rank]
  int64_t output_start, output_end;  // the columns of the joined output
};

struct LoraLayout {
  int64_t inputs, outputs;
  std::vector<LoraPart> parts;

  int64_t ranks() const;
};

// Reads and checks an int32 input [inputs, outputs, then rank, offset A, offset B, output start, output end of each part].
LoraLayout read_layout(Op& op, int input);

// Checks that every part lies inside a vector of this size.
void check_offsets(const Op& op, int input, const LoraLayout& layout, int64_t vector_size);

// How one direction's two factors are packed. Forward: x A^T, then B^T. Backward: dy B, then A.
struct LoraPlan {
  std::vector<ProjectionGroup> groups;
  std::vector<PanelUpdate> updates;
  int64_t ranks = 0, padded_ranks = 0;
  int64_t first_size = 0, second_size = 0;  // elements of the packed factors
};

// row_step: to what the kernels pad contractions.
LoraPlan forward_plan(const LoraLayout& layout, int64_t row_step);
LoraPlan backward_plan(const LoraLayout& layout, int64_t row_step);

}  // namespace ti
