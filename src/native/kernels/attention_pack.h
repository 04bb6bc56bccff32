// What the attention kernels share: the engine for an activation type, products of any size on it, and the packing of rows.
//
// Attention runs on the engines of the linear layers (engine.h): left operands are rows, right operands are packed in panels of 16
// columns. Both hold the engine's own type `Element`: bfloat16 where the instruction set multiplies it, float everywhere else.
#pragma once
#include "vector.h"

namespace ti::TI_SET {

template <class T>
struct AttentionEngine {
  using Type = RegisterEngine<float, float>;
};
#if defined(__AVX512BF16__)
template <>
struct AttentionEngine<bf16> {
  using Type = RegisterEngine<bf16, bf16>;
};
#endif

template <class T>
using EngineOf = typename AttentionEngine<T>::Type;
template <class T>
using ElementOf = typename EngineOf<T>::Left;

// Lengths of contractions and of packed rows are padded with zeros to this, whatever the engine's own step.
constexpr int64_t kPad = 32;

TI_INLINE int64_t padded(int64_t n) { return round_up(n, kPad); }

// out [rows, columns] = or += left · panels; columns are padded to whole panels in `out`, which has `stride` floats a row.
template <bool kAdd, class E, class X>
TI_INLINE void product(E& engine, int64_t rows, int64_t columns, const X* left, int64_t left_stride, const X* panels,
                       int64_t panel_size, int64_t k, float* out, int64_t stride) {
  alignas(64) float sums[E::kRows * E::kPanels * kPanelColumns];
  const int64_t count = panel_count(columns);
  const auto put = [&](int64_t row, int64_t many, int64_t panel, int64_t wide) {
    for (int64_t r = 0; r < many; r++) {
      float* to = out + (row + r) * stride + panel * kPanelColumns;
      const float* from = sums + r * wide * kPanelColumns;
      for (int64_t c = 0; c < wide * kPanelColumns; c += kWidth) store(to + c, kAdd ? load(to + c) + load(from + c) : load(from + c));
    }
  };
  for (int64_t row = 0; row < rows; row += E::kRows) {
    const int many = int(least(E::kRows, rows - row));
    const X* x = left + row * left_stride;
    int64_t panel = 0;
    for (; panel + E::kPanels <= count; panel += E::kPanels) {
      engine.template multiply<E::kPanels>(many, {x, left_stride, panels + panel * panel_size, panel_size, k}, {}, sums);
      put(row, many, panel, E::kPanels);
    }
    for (; panel < count; panel++) {
      engine.template multiply<1>(many, {x, left_stride, panels + panel * panel_size, panel_size, k}, {}, sums);
      put(row, many, panel, 1);
    }
  }
}

// ---- from rows [count, dim] of T, `stride` apart, to operands; every form is padded with zeros ---------------------------
// Left operand, as it is: [padded count, padded dim].
template <class T, class X>
TI_INLINE void copy_rows(const T* rows, int64_t stride, int64_t count, int64_t dim, X* to) {
  const int64_t wide = padded(dim);
  for (int64_t i = 0; i < padded(count); i++)
    for (int64_t j = 0; j < wide; j++) store(to + i * wide + j, i < count && j < dim ? to_float(rows[i * stride + j]) : 0.f);
}

// Left operand, transposed: [dim, padded count].
template <class T, class X>
TI_INLINE void copy_transposed(const T* rows, int64_t stride, int64_t count, int64_t dim, X* to) {
  const int64_t wide = padded(count);
  for (int64_t j = 0; j < dim; j++)
    for (int64_t i = 0; i < wide; i++) store(to + j * wide + i, i < count ? to_float(rows[i * stride + j]) : 0.f);
}

// Packed with the rows as k: [panels of dim][padded count, 16].
template <class T, class X>
TI_INLINE void pack_as_k(const T* rows, int64_t stride, int64_t count, int64_t dim, X* to) {
  const int64_t size = padded(count) * kPanelColumns;
  for (int64_t panel = 0; panel < panel_count(dim); panel++)
    for (int64_t i = 0; i < padded(count); i++)
      for (int64_t c = 0; c < kPanelColumns; c++) {
        const int64_t j = panel * kPanelColumns + c;
        store(to + panel * size + panel_index<X>(i, c), i < count && j < dim ? to_float(rows[i * stride + j]) : 0.f);
      }
}

// Packed with the rows as columns: [panels of padded count][padded dim, 16].
template <class T, class X>
TI_INLINE void pack_as_columns(const T* rows, int64_t stride, int64_t count, int64_t dim, X* to) {
  const int64_t size = padded(dim) * kPanelColumns;
  for (int64_t i = 0; i < padded(count); i++)
    for (int64_t j = 0; j < padded(dim); j++) {
      X* at = to + i / kPanelColumns * size + panel_index<X>(j, i % kPanelColumns);
      store(at, i < count && j < dim ? to_float(rows[i * stride + j]) : 0.f);
    }
}

// ---- which rows are keys -------------------------------------------------------------------------------------------------
// Keys of a segment: its prefix, then its own rows. A run of keys is packed once for all segments that read it in a row.
struct Segment {
  int64_t start, length, prefix_start, prefix_length;

  int64_t keys() const { return prefix_length + length; }
};

TI_INLINE Segment segment_of(const int32_t* segments, int64_t s) {
  return {segments[4 * s], segments[4 * s + 1], segments[4 * s + 2], segments[4 * s + 3]};
}

// Scratch cut into pieces, 64-byte aligned each. With a null base it only counts.
struct Pieces {
  char* base;
  int64_t used = 0;

  template <class X>
  X* take(int64_t count) {
    X* at = reinterpret_cast<X*>(base + used);
    used += round_up(count * int64_t(sizeof(X)), 64);
    return base ? at : nullptr;
  }
};

}  // namespace ti::TI_SET
