// RMSNorm over rows, with the addition of a branch to the residual stream that precedes it in every block.
#pragma once
#include "vector.h"

namespace ti::TI_SET {

// 1 / sqrt(mean of squares + epsilon); the sum runs in two vectors, always in the same order.
template <class T>
TI_INLINE float inverse_rms(const T* x, int64_t width, float epsilon) {
  Vec squares = {};
  over(width, [&](int64_t j, auto part) {
    const Vec v = load(x + j, part);  // lanes past the end are 0
    squares = fma(v, v, squares);
  });
  return 1.f / sqrtf(sum(squares) / float(width) + epsilon);
}

// sum = residual + branch (either may be null); normed = sum · inverseRms · weight. `sum` may be null when residual is the sum.
template <class T>
static void rms_norm(int64_t rows, int64_t width, const float* residual, const T* branch, const float* weight, float epsilon, float* sum,
              T* normed, float* inverseRms) {
#pragma omp parallel for schedule(static) if (rows >= kParallelRows)
  for (int64_t i = 0; i < rows; i++) {
    const int64_t at = i * width;
    over(width, [&](int64_t j, auto part) {
      Vec v = residual ? load(residual + at + j, part) : Vec{};
      if (branch) v += load(branch + at + j, part);
      store(sum + at + j, v, part);
    });
    const float scale = inverseRms[i] = inverse_rms(sum + at, width, epsilon);
    over(width, [&](int64_t j, auto part) {
      store(normed + at + j, load(sum + at + j, part) * scale * load(weight + j, part), part);
    });
  }
}

// total = inverseRms · (g - sum · inverseRms² · mean(g · sum)) + dSum with g = dNormed · weight, as float and as T.
template <class T>
static void rms_norm_gradient(int64_t rows, int64_t width, const float* sums, const float* inverseRms, const float* weight,
                       const T* dNormed, const float* dSum, float* dResidual, T* dBranch) {
#pragma omp parallel for schedule(static) if (rows >= kParallelRows)
  for (int64_t i = 0; i < rows; i++) {
    const int64_t at = i * width;
    const float scale = inverseRms[i];
    Vec products = {};
    over(width, [&](int64_t j, auto part) {
      products = fma(load(dNormed + at + j, part) * load(weight + j, part), load(sums + at + j, part), products);
    });
    const float mean = sum(products) / float(width) * scale * scale * scale;
    over(width, [&](int64_t j, auto part) {
      const Vec g = load(dNormed + at + j, part) * load(weight + j, part);
      Vec d = g * scale - load(sums + at + j, part) * mean;
      if (dSum) d += load(dSum + at + j, part);
      store(dResidual + at + j, d, part);
      store(dBranch + at + j, d, part);
    });
  }
}

}  // namespace ti::TI_SET
