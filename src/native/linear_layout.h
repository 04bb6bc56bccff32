// How matrices are stored for the matmul kernels, and the arguments of those kernels.
//
// A packed operand is the right-hand matrix of a product, [k, n], cut into panels of 16 columns. Inside a panel the rows follow
// each other: float32 as 16 floats a row, bfloat16 as 16 pairs for every two rows (rows 2i and 2i + 1 interleaved), which is what
// AMX tiles (32 rows x 16 columns, 1 KB) and AVX-512's bf16 dot product read; the widening kernels shift and mask the pairs.
// k is padded with zero rows to whole tiles for bfloat16, n with zero columns to whole panels.
#pragma once
#include <cstdint>

#include "bfloat16.h"

namespace ti {

constexpr int64_t kPanelColumns = 16;

template <class T>
constexpr int64_t kRowStep = 1;
template <>
inline constexpr int64_t kRowStep<bf16> = 32;

TI_INLINE int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
TI_INLINE int64_t panel_count(int64_t n) { return (n + kPanelColumns - 1) / kPanelColumns; }

// Elements of one panel, and of a packed operand.
template <class T>
TI_INLINE int64_t panel_size(int64_t k) {
  return round_up(k, kRowStep<T>) * kPanelColumns;
}
template <class T>
TI_INLINE int64_t packed_size(int64_t k, int64_t n) {
  return panel_count(n) * panel_size<T>(k);
}

// Where element (row, column of the panel) stands inside a panel.
template <class T>
TI_INLINE int64_t panel_index(int64_t row, int64_t column) {
  if (kRowStep<T> == 1) return row * kPanelColumns + column;
  return (row / 2) * (2 * kPanelColumns) + 2 * column + row % 2;
}

// packed <- scale * source, where element (row, column) of the operand is source[row * row_stride + column * column_stride].
template <class T>
struct PackArguments {
  const float* source;
  int64_t rows, columns;
  int64_t row_stride, column_stride;
  float scale;
  T* packed;
};

}  // namespace ti
