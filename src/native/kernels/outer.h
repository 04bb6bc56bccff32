// Gradients of LoRA factors: sums over tokens of left[token, i] * right[token, column], added in place to the gradient vector.
// Work is shared by strips of columns, never by tokens, so the sums do not depend on the number of threads. Included inside the
// namespace of an instruction set.

// Panels of one strip: two cache lines of every bfloat16 row. Tokens packed at a time: a strip then stays in the second-level
// cache.
constexpr int64_t kStripPanels = 4;
constexpr int64_t kStripColumns = kStripPanels * kPanelColumns;
constexpr int64_t kTokenBlock = 1024;

// Packs rows [0, rows) of `columns` columns as panels; zeros to the engine's step and to whole panels.
TI_INLINE void pack_strip(const float* from, int64_t stride, int64_t rows, int64_t padded_rows, int64_t columns, float* to) {
  for (int64_t panel = 0; panel * kPanelColumns < columns; panel++) {
    const int64_t valid = smaller(kPanelColumns, columns - panel * kPanelColumns);
    float* out = to + panel * padded_rows * kPanelColumns;
    for (int64_t row = 0; row < rows; row++) {
      const float* values = from + row * stride + panel * kPanelColumns;
      for (int64_t c = 0; c < kPanelColumns; c++) out[row * kPanelColumns + c] = c < valid ? values[c] : 0.0f;
    }
  }
}

TI_INLINE void pack_strip(const bf16* from, int64_t stride, int64_t rows, int64_t padded_rows, int64_t columns, bf16* to) {
  for (int64_t panel = 0; panel * kPanelColumns < columns; panel++) {
    const int64_t valid = smaller(kPanelColumns, columns - panel * kPanelColumns);
    bf16* out = to + panel * padded_rows * kPanelColumns;
    for (int64_t row = 0; row < padded_rows; row += 2) {
      const bf16* even = from + row * stride + panel * kPanelColumns;
      const bf16* odd = even + stride;
      uint32_t pairs[kPanelColumns] = {};
      if (row + 1 < rows && valid == kPanelColumns) {
        for (int64_t c = 0; c < kPanelColumns; c++) pairs[c] = even[c].bits | static_cast<uint32_t>(odd[c].bits) << 16;
      } else if (row < rows) {
        for (int64_t c = 0; c < valid; c++) {
          pairs[c] = even[c].bits | (row + 1 < rows ? static_cast<uint32_t>(odd[c].bits) << 16 : 0);
        }
      }
      __builtin_memcpy(out + row * kPanelColumns, pairs, sizeof pairs);
    }
  }
}

template <class E, class T>
struct OuterScratch {
  int64_t tokens;      // padded
  int64_t strip_size;  // elements a thread
  typename E::Left* left;
  T* strips;
  size_t bytes;

  explicit OuterScratch(const OuterArguments<T>& a) {
    tokens = round_up(a.rows, E::kStep);
    strip_size = kStripPanels * panel_size(smaller(tokens, kTokenBlock), E::kStep);
    int64_t left_size = 0;
    for (int64_t i = 0; i < a.count; i++) left_size += a.products[i].left_columns * tokens;
    left = static_cast<typename E::Left*>(a.scratch);
    const size_t left_bytes = static_cast<size_t>(round_up(left_size * static_cast<int64_t>(sizeof(typename E::Left)), 64));
    strips = reinterpret_cast<T*>(static_cast<char*>(a.scratch) + left_bytes);
    bytes = left_bytes + static_cast<size_t>(max_threads() * strip_size) * sizeof(T);
  }
};

template <class E, class T>
static size_t outer_scratch(const OuterArguments<T>& a) {
  return OuterScratch<E, T>(a).bytes;
}

template <int P, class E, class T>
TI_INLINE void outer_panels(E& engine, const OuterProduct<T>& product, const typename E::Left* left, int64_t tokens,
                            int64_t block_tokens, const T* panels, int64_t first_column) {
  alignas(64) float sums[E::kRows * P * kPanelColumns];
  const int64_t size = block_tokens * kPanelColumns;
  const int64_t columns = smaller(P * kPanelColumns, product.right_columns - first_column);
  for (int64_t i = 0; i < product.left_columns; i += E::kRows) {
    const int rows = static_cast<int>(smaller(E::kRows, product.left_columns - i));
    engine.template multiply<P>(rows, {left + i * tokens, tokens, panels, size, block_tokens}, {}, sums);
    for (int64_t r = 0; r < rows; r++) {
      float* target = product.targets[i + r] + first_column * product.column_stride;
      for (int64_t c = 0; c < columns; c++) target[c * product.column_stride] += product.scale * sums[r * P * kPanelColumns + c];
    }
  }
}

template <class E, class T>
TI_INLINE void outer_strip(E& engine, const OuterArguments<T>& a, const OuterProduct<T>& product, const typename E::Left* left,
                           int64_t tokens, int64_t strip, T* packed) {
  const int64_t first_column = strip * kStripColumns;
  const int64_t columns = smaller(kStripColumns, product.right_columns - first_column);
  for (int64_t token = 0; token < a.rows; token += kTokenBlock) {
    const int64_t rows = smaller(kTokenBlock, a.rows - token), padded = round_up(rows, E::kStep);
    pack_strip(product.right + token * product.right_stride + first_column, product.right_stride, rows, padded, columns, packed);
    const int64_t panels = panel_count(columns);
    int64_t panel = 0;
    for (; panel + E::kPanels <= panels; panel += E::kPanels) {
      outer_panels<E::kPanels>(engine, product, left + token, tokens, padded, packed + panel * padded * kPanelColumns,
                               first_column + panel * kPanelColumns);
    }
    for (; panel < panels; panel++) {
      outer_panels<1>(engine, product, left + token, tokens, padded, packed + panel * padded * kPanelColumns,
                      first_column + panel * kPanelColumns);
    }
  }
}

template <class E, class T>
static void outer(const OuterArguments<T>& a) {
  const OuterScratch<E, T> scratch(a);
  constexpr int64_t kTransposed = 32;
#pragma omp parallel
  {
    E engine;
    int64_t offset = 0;
    for (int64_t i = 0; i < a.count; i++) {
      const OuterProduct<T>& product = a.products[i];
      typename E::Left* left = scratch.left + offset;
      offset += product.left_columns * scratch.tokens;
#pragma omp for schedule(static) nowait
      for (int64_t first = 0; first < scratch.tokens; first += kTransposed) {
        const int64_t last = smaller(scratch.tokens, first + kTransposed);
        for (int64_t column = 0; column < product.left_columns; column++) {
          for (int64_t token = first; token < last; token++) {
            const float value = token < a.rows ? to_float(product.left[token * product.left_stride + column]) : 0.0f;
            store_left(left + column * scratch.tokens + token, value, T());
          }
        }
      }
    }
#pragma omp barrier
    offset = 0;
    for (int64_t i = 0; i < a.count; i++) {
      const OuterProduct<T>& product = a.products[i];
      const typename E::Left* left = scratch.left + offset;
      offset += product.left_columns * scratch.tokens;
#pragma omp for schedule(dynamic) nowait
      for (int64_t strip = 0; strip < (product.right_columns + kStripColumns - 1) / kStripColumns; strip++) {
        outer_strip(engine, a, product, left, scratch.tokens, strip, scratch.strips + thread_index() * scratch.strip_size);
      }
    }
  }
}
