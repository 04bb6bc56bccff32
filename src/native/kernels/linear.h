// y = x W + bias + (x F1) F2 in one parallel region: convert x if the engine needs it, project (x F1), then all columns of y.
// Threads share the work by rows and columns of y, never along k. Included inside the namespace of an instruction set.

// ---- the left operand as an engine reads it
template <class E>
TI_INLINE int64_t left_stride(int64_t inner) {
  return round_up(inner, E::kStep);
}

// Whether x [.., inner] can be read where it is.
template <class E, class T>
constexpr bool kSameType = __is_same(typename E::Left, T);

template <class E, class T>
TI_INLINE bool reads_in_place(int64_t inner) {
  return kSameType<E, T> && inner % E::kStep == 0;
}

TI_INLINE void store_left(float* to, float value, float) { *to = value; }
TI_INLINE void store_left(bf16* to, float value, bf16) { store(to, value); }
// Widened operands still hold bfloat16 values.
TI_INLINE void store_left(float* to, float value, bf16) {
  bf16 rounded;
  store(&rounded, value);
  *to = to_float(rounded);
}

template <class E, class T>
TI_INLINE void convert_row(const T* from, int64_t inner, typename E::Left* to) {
  for (int64_t k = 0; k < inner; k++) store_left(to + k, to_float(from[k]), T());
  for (int64_t k = inner; k < left_stride<E>(inner); k++) store_left(to + k, 0.0f, T());
}

// ---- results
template <class Y>
TI_INLINE void store_columns(const float* sums, const float* bias, int64_t count, Y* y) {
  if (bias != nullptr) {
    for (int64_t i = 0; i < count; i++) store(y + i, sums[i] + bias[i]);
  } else if (count == kPanelColumns) {
#if defined(__AVX512BF16__)
    if constexpr (sizeof(Y) == 2) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(sums)));
      return;
    }
#endif
    for (int64_t i = 0; i < kPanelColumns; i++) store(y + i, sums[i]);
  } else {
    for (int64_t i = 0; i < count; i++) store(y + i, sums[i]);
  }
}

TI_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// ---- scratch: [converted x][projected rows, padded]
template <class E, class T>
struct LinearScratch {
  typename E::Left* x;
  typename E::Left* projected;
  size_t bytes;

  explicit LinearScratch(const LinearArguments<T>& a) {
    const int64_t x_size = reads_in_place<E, T>(a.inner) ? 0 : a.rows * left_stride<E>(a.inner);
    const int64_t aligned = round_up(x_size, 64);
    x = static_cast<typename E::Left*>(a.scratch);
    projected = x + aligned;
    bytes = static_cast<size_t>(aligned + a.rows * a.padded_ranks) * sizeof(typename E::Left);
  }
};

template <class E, class T>
static size_t linear_scratch(const LinearArguments<T>& a) {
  return LinearScratch<E, T>(a).bytes;
}

// ---- stage 1: projected = x F1
template <class E, class T>
TI_INLINE void project(E& engine, const LinearArguments<T>& a, const typename E::Left* x, int64_t x_stride,
                       const ProjectionGroup& group, int64_t panel, int64_t first_row, int64_t last_row,
                       typename E::Left* projected) {
  alignas(64) float sums[E::kRows * kPanelColumns];
  const int64_t size = panel_size(group.rows, E::kStep);
  const int64_t columns = smaller(group.columns - panel * kPanelColumns, kPanelColumns);
  for (int64_t row = first_row; row < last_row; row += E::kRows) {
    const int rows = static_cast<int>(smaller(E::kRows, last_row - row));
    engine.template multiply<1>(rows,
                                {x + row * x_stride + group.row_start, x_stride, a.first_factor + group.packed + panel * size,
                                 size, round_up(group.rows, E::kStep)},
                                {}, sums);
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t c = 0; c < columns; c++) {
        const int64_t column = panel * kPanelColumns + c;
        const float value = sums[r * kPanelColumns + c];
        store(a.projected + (row + r) * a.ranks + group.projected + column, value);
        store_left(projected + (row + r) * a.padded_ranks + group.projected_padded + column, value, T());
      }
    }
  }
}

// ---- stage 2: y = x W + bias + projected F2
// One float32 accumulator loses digits over a very long k (the head's backward sums over the vocabulary), so such sums are taken in
// pieces, each on registers, and then added. The pieces are the same for every row count and thread count.
constexpr int64_t kPiece = 2048;

template <int P, class E, class T>
TI_INLINE void multiply_pieces(E& engine, int rows, Term<typename E::Left, T> first, const Term<typename E::Left, T>& second,
                               float* sums) {
  int64_t left = first.k;
  first.k = smaller(left, kPiece);
  engine.template multiply<P>(rows, first, second, sums);
  while ((left -= first.k) > 0) {
    alignas(64) float piece[E::kRows * P * kPanelColumns];
    first.x += first.k;
    first.panels += first.k * kPanelColumns;
    first.k = smaller(left, kPiece);
    engine.template multiply<P>(rows, first, {}, piece);
    for (int64_t i = 0; i < rows * P * kPanelColumns; i++) sums[i] += piece[i];
  }
}

template <int P, class E, class T, class Y>
TI_INLINE void multiply_panels(E& engine, const LinearArguments<T>& a, const typename E::Left* x, int64_t x_stride,
                               const typename E::Left* projected, int64_t panel, int64_t last_panel, int64_t first_row,
                               int64_t last_row, Y* y) {
  alignas(64) float sums[E::kRows * P * kPanelColumns];
  const int64_t weight_size = panel_size(a.inner, kRowStep<T>);
  const PanelUpdate update = a.updates ? a.updates[panel] : PanelUpdate{0, 0, 0};
  // The first rows to meet these panels bring the next ones along: else nothing would be read from memory while the others compute.
  // Of a long contraction only the next piece: more would not stay in the cache until it is read.
  const int64_t ahead = panel + 2 * P <= last_panel ? smaller(P * weight_size, kPiece * kPanelColumns) : 0;
  for (int64_t row = first_row; row < last_row; row += E::kRows) {
    const int rows = static_cast<int>(smaller(E::kRows, last_row - row));
    multiply_pieces<P, E, T>(
        engine, rows,
        {x + row * x_stride, x_stride, a.weight + panel * weight_size, weight_size, round_up(a.inner, E::kStep),
         row == first_row ? ahead : 0},
        {projected + row * a.padded_ranks + update.projected_padded, a.padded_ranks, a.second_factor + update.packed,
         update.rows * kPanelColumns, update.rows},
        sums);
    for (int64_t p = 0; p < P; p++) {
      const int64_t column = (panel + p) * kPanelColumns;
      const float* bias = a.bias ? a.bias + column : nullptr;
      for (int64_t r = 0; r < rows; r++) {
        store_columns(sums + (r * P + p) * kPanelColumns, bias, smaller(kPanelColumns, a.columns - column),
                      y + (row + r) * a.columns + column);
      }
    }
  }
}

// How many panels from this one on can share one pass: as many as wanted if they add the same ranks.
TI_INLINE bool same_update(const PanelUpdate* updates, int64_t panel, int64_t count) {
  if (updates == nullptr) return true;
  for (int64_t i = 1; i < count; i++) {
    if (updates[panel + i].projected_padded != updates[panel].projected_padded ||
        updates[panel + i].rows != updates[panel].rows) {
      return false;
    }
  }
  return true;
}

template <class E, class T, class Y>
TI_INLINE void multiply_range(E& engine, const LinearArguments<T>& a, const typename E::Left* x, int64_t x_stride,
                              const typename E::Left* projected, int64_t first_panel, int64_t last_panel, int64_t first_row,
                              int64_t last_row, Y* y) {
  int64_t panel = first_panel;
  const bool few = last_row - first_row <= E::kFewRowsLimit;
  while (panel < last_panel) {
    const int64_t left = last_panel - panel;
    if (few && left >= E::kManyPanels && same_update(a.updates, panel, E::kManyPanels)) {
      multiply_panels<E::kManyPanels>(engine, a, x, x_stride, projected, panel, last_panel, first_row, last_row, y);
      panel += E::kManyPanels;
    } else if (left >= E::kPanels && same_update(a.updates, panel, E::kPanels)) {
      multiply_panels<E::kPanels>(engine, a, x, x_stride, projected, panel, last_panel, first_row, last_row, y);
      panel += E::kPanels;
    } else {
      multiply_panels<1>(engine, a, x, x_stride, projected, panel, last_panel, first_row, last_row, y);
      panel++;
    }
  }
}

// Rows of x that stay in the second-level cache while panels stream past, and panels of one task.
constexpr int64_t kRowBlockBytes = 256 << 10;
constexpr int64_t kTaskPanels = 8;

template <class E>
TI_INLINE int64_t row_block(int64_t rows, int64_t inner) {
  const int64_t fitting = kRowBlockBytes / (left_stride<E>(inner) * static_cast<int64_t>(sizeof(typename E::Left)) + 1);
  const int64_t block = round_up(fitting < 1 ? 1 : fitting, E::kRows);
  // Blocks of equal length: a short last one would read all weights for little work.
  const int64_t count = (rows + block - 1) / block;
  return round_up((rows + count - 1) / count, E::kRows);
}

template <class E, class T, class Y>
static void linear(const LinearArguments<T>& a, Y* y) {
  const LinearScratch<E, T> scratch(a);
  const bool in_place = reads_in_place<E, T>(a.inner);
  const int64_t x_stride = left_stride<E>(a.inner);
  const int64_t panels = panel_count(a.columns);
  const int64_t block = row_block<E>(a.rows, a.inner);
  const int64_t row_blocks = (a.rows + block - 1) / block;

  // Many rows: tasks of a row block x a few panels, handed out as threads get free. Few rows: the time goes into streaming the
  // weights, so every thread gets one run of panels.
  const bool few = a.rows <= 2 * E::kRows;
  const int64_t threads = max_threads();
  const int64_t share = round_up((panels + threads - 1) / threads, a.rows <= E::kFewRowsLimit ? E::kManyPanels : E::kPanels);
  const int64_t task_panels = few ? share : kTaskPanels;
  const int64_t panel_tasks = (panels + task_panels - 1) / task_panels;
  const int64_t project_rows = few ? a.rows : round_up((a.rows + threads - 1) / threads, E::kRows);

#pragma omp parallel
  {
    E engine;
    const typename E::Left* x = scratch.x;
    if constexpr (kSameType<E, T>) {
      if (in_place) x = a.x;
    }
    if (!in_place) {
#pragma omp for schedule(static)
      for (int64_t row = 0; row < a.rows; row++) {
        convert_row<E>(a.x + row * a.inner, a.inner, scratch.x + row * x_stride);
      }
    }
    if (a.group_count > 0) {
      if (a.padded_ranks > a.ranks) {
#pragma omp for schedule(static)
        for (int64_t row = 0; row < a.rows; row++) {
          for (int64_t c = 0; c < a.padded_ranks; c++) store_left(scratch.projected + row * a.padded_ranks + c, 0.0f, T());
        }
      }
      for (int64_t g = 0; g < a.group_count; g++) {
        const int64_t group_panels = panel_count(a.groups[g].columns);
        const int64_t blocks = (a.rows + project_rows - 1) / project_rows;
#pragma omp for schedule(dynamic) nowait
        for (int64_t task = 0; task < group_panels * blocks; task++) {
          const int64_t first = task / group_panels * project_rows;
          project(engine, a, x, x_stride, a.groups[g], task % group_panels, first, smaller(a.rows, first + project_rows),
                  scratch.projected);
        }
      }
#pragma omp barrier
    }
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < row_blocks * panel_tasks; task++) {
      const int64_t first_row = task / panel_tasks * block, first_panel = task % panel_tasks * task_panels;
      multiply_range(engine, a, x, x_stride, scratch.projected, first_panel, smaller(panels, first_panel + task_panels),
                     first_row, smaller(a.rows, first_row + block), y);
    }
  }
}
