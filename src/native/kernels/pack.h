// Packing of matmul operands (see linear_layout.h). Included by kernels_linear.cc inside the namespace of an instruction set.

template <class T>
static void pack(const PackArguments<T>* jobs, int64_t count) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; i++) {
    const PackArguments<T>& job = jobs[i];
    // The inner loop runs along the source's rows.
    if (job.column_stride == 1) {
      for (int64_t row = 0; row < job.rows; row++) {
        const float* from = job.source + row * job.row_stride;
        T* to = job.panel + panel_index<T>(job.row_offset + row, job.column_offset);
        constexpr int64_t step = kRowStep<T> == 1 ? 1 : 2;
        for (int64_t column = 0; column < job.columns; column++) store(to + column * step, job.scale * from[column]);
      }
    } else {
      for (int64_t column = 0; column < job.columns; column++) {
        const float* from = job.source + column * job.column_stride;
        for (int64_t row = 0; row < job.rows; row++) {
          T* to = job.panel + panel_index<T>(job.row_offset + row, job.column_offset + column);
          store(to, job.scale * from[row * job.row_stride]);
        }
      }
    }
  }
}

// The operand of the backward pass from that of the forward pass; the padding must have been zeroed.
template <class T>
static void repack(const T* forward, int64_t inputs, int64_t outputs, T* backward) {
  const int64_t from_size = panel_size(inputs, kRowStep<T>), to_size = panel_size(outputs, kRowStep<T>);
#pragma omp parallel for schedule(static)
  for (int64_t panel = 0; panel < panel_count(inputs); panel++) {
    T* to = backward + panel * to_size;
    const int64_t first = panel * kPanelColumns;
    const int64_t valid = inputs - first < kPanelColumns ? inputs - first : kPanelColumns;
    for (int64_t output = 0; output < outputs; output++) {
      const T* from = forward + output / kPanelColumns * from_size;
      for (int64_t column = 0; column < valid; column++) {
        to[panel_index<T>(output, column)] = from[panel_index<T>(first + column, output % kPanelColumns)];
      }
    }
  }
}

template <class T>
static void embed(const T* packed, int64_t inputs, const int32_t* ids, int64_t count, float scale, float* rows) {
  const int64_t size = panel_size(inputs, kRowStep<T>);
#pragma omp parallel for schedule(static) if (count >= 16)
  for (int64_t i = 0; i < count; i++) {
    const T* panel = packed + ids[i] / kPanelColumns * size;
    float* row = rows + i * inputs;
    for (int64_t k = 0; k < inputs; k++) row[k] = scale * to_float(panel[panel_index<T>(k, ids[i] % kPanelColumns)]);
  }
}
