// Packing of matmul operands (see linear_layout.h). Included by kernels_linear.cc inside the namespace of an instruction set.

template <class T>
static void pack(const PackArguments<T>& p) {
  const int64_t rows = round_up(p.rows, kRowStep<T>);
#pragma omp parallel for schedule(static)
  for (int64_t panel = 0; panel < panel_count(p.columns); panel++) {
    T* to = p.packed + panel * panel_size<T>(p.rows);
    const int64_t first = panel * kPanelColumns;
    const int64_t valid = p.columns - first < kPanelColumns ? p.columns - first : kPanelColumns;
    for (int64_t row = 0; row < rows; row++) {
      const float* from = p.source + row * p.row_stride + first * p.column_stride;
      for (int64_t column = 0; column < kPanelColumns; column++) {
        const bool inside = row < p.rows && column < valid;
        store(to + panel_index<T>(row, column), inside ? p.scale * from[column * p.column_stride] : 0.0f);
      }
    }
  }
}
