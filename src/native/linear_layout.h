// How matrices are stored for the matmul kernels, and the arguments of those kernels.
//
// A packed operand is the right-hand matrix of a product, [k, n], cut into panels of 16 columns. Inside a panel the rows follow
// each other: float32 as 16 floats a row, bfloat16 as 16 pairs for every two rows (rows 2i and 2i + 1 interleaved), which is what
// AMX tiles (32 rows x 16 columns, 1 KB) and AVX-512's bf16 dot product read; the widening kernels shift and mask the pairs.
// k is padded with zero rows to whole tiles for bfloat16, n with zero columns to whole panels.
#pragma once
#include <cstddef>
#include <cstdint>

#include "bfloat16.h"

namespace ti {

constexpr int64_t kPanelColumns = 16;

// Rows to which frozen weights are padded, so that every instruction set can read one packing.
template <class T>
constexpr int64_t kRowStep = 1;
template <>
inline constexpr int64_t kRowStep<bf16> = 32;

TI_INLINE int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
TI_INLINE int64_t panel_count(int64_t n) { return (n + kPanelColumns - 1) / kPanelColumns; }

// Elements of one panel of k rows, and of a packed frozen weight.
TI_INLINE int64_t panel_size(int64_t k, int64_t row_step) { return round_up(k, row_step) * kPanelColumns; }
template <class T>
TI_INLINE int64_t packed_size(int64_t k, int64_t n) {
  return panel_count(n) * panel_size(k, kRowStep<T>);
}

// Where element (row, column of the panel) stands inside a panel.
template <class T>
TI_INLINE int64_t panel_index(int64_t row, int64_t column) {
  if (kRowStep<T> == 1) return row * kPanelColumns + column;
  return (row / 2) * (2 * kPanelColumns) + 2 * column + row % 2;
}

// Writes scale * source into part of one zeroed panel: element (row, column), row < rows and column < columns <= 16, is
// source[row * row_stride + column * column_stride] and goes to (row_offset + row, column_offset + column).
template <class T>
struct PackArguments {
  const float* source;
  int64_t rows, columns;
  int64_t row_stride, column_stride;
  float scale;
  T* panel;
  int64_t row_offset, column_offset;
};

// x times the first LoRA factor of one part: rows [row_start, row_start + rows) of the contraction, `columns` ranks.
// Its packed panels stand at `packed` in the factor.
struct ProjectionGroup {
  int64_t row_start, rows;
  int64_t columns;
  int64_t projected;         // first column in the projected output
  int64_t projected_padded;  // the same where every part is padded to whole steps
  int64_t packed;
};

// What one panel of the output adds from the projected rows: `rows` (padded) ranks from `projected_padded` on.
struct PanelUpdate {
  int64_t projected_padded, rows;
  int64_t packed;
};

// y = x W + bias + (x F1) F2, F1 and F2 block-structured. Without LoRA group_count is 0 and updates is null.
template <class T>
struct LinearArguments {
  const T* x;  // [rows, inner]
  int64_t rows, inner, columns;
  const T* weight;    // packed [inner, columns]
  const float* bias;  // [columns] or null
  const ProjectionGroup* groups;
  int64_t group_count;
  const PanelUpdate* updates;  // one a panel of columns
  const T* first_factor;
  const T* second_factor;
  int64_t ranks, padded_ranks;
  T* projected;  // [rows, ranks]
  void* scratch;
};

// Adds scale * (sum over rows of left[row, i] * right[row, column]) to targets[i][column * column_stride].
template <class T>
struct OuterProduct {
  const T* left;
  int64_t left_stride, left_columns;
  const T* right;
  int64_t right_stride, right_columns;
  float* const* targets;
  int64_t column_stride;
  float scale;
};

template <class T>
struct OuterArguments {
  const OuterProduct<T>* products;
  int64_t count;
  int64_t rows;
  void* scratch;
};

}  // namespace ti
