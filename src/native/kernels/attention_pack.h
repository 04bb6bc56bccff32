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
#if defined(__AMX_BF16__) || defined(TI_EMULATE_AMX)
template <>
struct AttentionEngine<bf16> {
  using Type = AmxEngine;
};
#elif defined(__AVX512BF16__)
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

// ---- from rows [count, dim] of T, `stride` apart, to operands; every form is padded with zeros
// Up to kWidth elements of a row from j on; zeros past its end.
template <class T>
TI_INLINE Vec load_row(const T* row, int64_t j, int64_t dim) {
  if (j + kWidth <= dim) return load(row + j);
  return j < dim ? load(row + j, Part{int(dim - j)}) : Vec{};
}

// Left operand, as it is: [padded count, padded dim].
template <class T, class X>
TI_INLINE void copy_rows(const T* rows, int64_t stride, int64_t count, int64_t dim, X* to) {
  const int64_t wide = padded(dim);
  for (int64_t i = 0; i < padded(count); i++)
    for (int64_t j = 0; j < wide; j += kWidth) store(to + i * wide + j, i < count ? load_row(rows + i * stride, j, dim) : Vec{});
}

// Left operand, transposed: [dim, padded count].
template <class T, class X>
TI_INLINE void copy_transposed(const T* rows, int64_t stride, int64_t count, int64_t dim, X* to) {
  const int64_t wide = padded(count);
  for (int64_t i = 0; i < wide; i += kWidth)
    for (int64_t j = 0; j < dim; j += kWidth) {
      Vec square[kWidth];
      for (int r = 0; r < kWidth; r++) square[r] = i + r < count ? load_row(rows + (i + r) * stride, j, dim) : Vec{};
      transpose(square);
      for (int64_t c = 0; c < least(kWidth, dim - j); c++) store(to + (j + c) * wide + i, square[c]);
    }
}

// One vector of a row, or for bfloat16 of a row and the next, as they stand in a panel with the rows as k.
TI_INLINE void store_as_k(float* to, Vec row, Vec) { store(to, row); }
TI_INLINE void store_as_k(bf16* to, Vec row, Vec next) {
  HalfVec halves[2] = {narrow(row), narrow(next)};
  const UintVec pairs = (UintVec)widen(halves[1]) | (UintVec)widen(halves[0]) >> 16;
  std::memcpy(to, &pairs, sizeof pairs);
}

// Rows [row, row + count) of a right operand with the rows as k: [panels of dim][panel_size / 16, 16], zeros up to row + `full`.
template <class T, class X>
TI_INLINE void pack_rows(const T* rows, int64_t stride, int64_t row, int64_t count, int64_t full, int64_t dim, int64_t panel_size, X* to) {
  constexpr int64_t step = sizeof(X) == 2 ? 2 : 1;
  for (int64_t r = 0; r < full; r += step)
    for (int64_t j = 0; j < round_up(dim, kPanelColumns); j += kWidth) {
      const Vec here = r < count ? load_row(rows + r * stride, j, dim) : Vec{};
      const Vec next = step == 2 && r + 1 < count ? load_row(rows + (r + 1) * stride, j, dim) : Vec{};
      store_as_k(to + j / kPanelColumns * panel_size + (row + r) * kPanelColumns + j % kPanelColumns * step, here, next);
    }
}

// Packed with the rows as k: [panels of dim][padded count, 16].
template <class T, class X>
TI_INLINE void pack_as_k(const T* rows, int64_t stride, int64_t count, int64_t dim, X* to) {
  pack_rows(rows, stride, 0, count, padded(count), dim, padded(count) * kPanelColumns, to);
}

// The 32-bit words that a panel with the rows as columns keeps together: a float, or a pair of bfloat16.
TI_INLINE Vec load_words(const float* row, int64_t word, int64_t dim) { return load_row(row, word, dim); }
TI_INLINE Vec load_words(const bf16* row, int64_t word, int64_t dim) {
  const int64_t left = least(2 * kWidth, dim - 2 * word);
  if (left <= 0) return Vec{};
  bf16 padded_row[2 * kWidth] = {};
  std::memcpy(padded_row, row + 2 * word, left * sizeof(bf16));
  Vec words;
  std::memcpy(&words, padded_row, sizeof words);
  return words;
}

// Packed with the rows as columns: [panels of padded count][padded dim, 16].
template <class T, class X>
TI_INLINE void pack_as_columns(const T* rows, int64_t stride, int64_t count, int64_t dim, X* to) {
  constexpr int64_t step = sizeof(X) == 2 ? 2 : 1;
  const int64_t size = padded(dim) * kPanelColumns;
  for (int64_t i = 0; i < padded(count); i += kWidth)
    for (int64_t word = 0; word < padded(dim) / step; word += kWidth) {
      Vec square[kWidth];
      for (int r = 0; r < kWidth; r++) {
        const T* row = rows + (i + r) * stride;
        if (i + r >= count) square[r] = Vec{};
        else if constexpr (sizeof(T) == sizeof(X)) square[r] = load_words(row, word, dim);
        else square[r] = load_row(row, word, dim);
      }
      transpose(square);
      X* at = to + i / kPanelColumns * size + i % kPanelColumns * step;
      for (int64_t c = 0; c < least(kWidth, padded(dim) / step - word); c++) {
        std::memcpy(at + (word + c) * step * kPanelColumns, &square[c], sizeof(Vec));
      }
    }
}

// ---- which rows are keys
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
