// What kernels.cc and kernels_linear.cc of one instruction set share. TI_SET is the set's name, given by the build.
#pragma once
#include "kernels_table.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace ti::TI_SET {

extern const LinearKernels<float> linear_f32;
extern const LinearKernels<bf16> linear_bf16;
extern const RowKernels<float> rows_f32;
extern const RowKernels<bf16> rows_bf16;
extern const AttentionKernels<float> attention_f32;
extern const AttentionKernels<bf16> attention_bf16;
extern const LossKernels loss_kernels;

TI_INLINE int max_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

TI_INLINE int thread_count() {
#ifdef _OPENMP
  return omp_get_num_threads();
#else
  return 1;
#endif
}

TI_INLINE int thread_index() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

}  // namespace ti::TI_SET
