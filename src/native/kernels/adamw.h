// The optimiser step on the flat parameter vector, the norm that clipping needs, and copies between dtypes and rows.
#pragma once
#include <algorithm>
#include <memory>
#include <new>

#include "vector.h"

namespace KERNEL_NAMESPACE {

/// The numbers one step of torch.optim.AdamW multiplies with. The caller computes them in double (1 - 0.999 in float is off by 1e-5).
struct AdamWStep {
  float beta1, oneMinusBeta1, beta2, oneMinusBeta2;
  /// 1 - lr · weight decay; lr / (1 - beta1^t); 1 / sqrt(1 - beta2^t), t the number of this step from 1.
  float decay, rate, inverseRootCorrection, epsilon;
  float gradientScale;
};

/// In place: p <- p · decay - rate · m / (sqrt(v) · inverseRootCorrection + eps).
inline void adamw(int64_t size, float *parameters, float *first, float *second, const float *gradient, const AdamWStep &s) {
  constexpr int64_t kBlock = 4096;
#pragma omp parallel for schedule(static)
  for (int64_t block = 0; block < size; block += kBlock) {
    float *p = parameters + block, *m = first + block, *v = second + block;
    const float *g = gradient + block;
    over(std::min(kBlock, size - block), [&](int64_t j, auto part) {
      const Vec grad = load(g + j, part) * s.gradientScale;
      const Vec mean = fma(splat(s.beta1), load(m + j, part), s.oneMinusBeta1 * grad);
      const Vec square = fma(splat(s.beta2), load(v + j, part), s.oneMinusBeta2 * grad * grad);
      store(m + j, mean, part);
      store(v + j, square, part);
      const Vec denominator = fma(root(square), splat(s.inverseRootCorrection), splat(s.epsilon));
      store(p + j, fma(load(p + j, part), splat(s.decay), -(s.rate * mean / denominator)), part);
    });
  }
}

/// Sum of squares in double over blocks of fixed size, added in order: the same for any number of threads. NaN when memory is short.
inline double squared_norm(int64_t size, const float *x) {
  constexpr int64_t kBlock = 1 << 14;
  const int64_t blocks = (size + kBlock - 1) / kBlock;
  const std::unique_ptr<double[]> partial(new (std::nothrow) double[blocks]);
  if (!partial) return __builtin_nan("");
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; b++) {
    double lanes[8] = {};
    const int64_t end = std::min(size, (b + 1) * kBlock);
    for (int64_t i = b * kBlock; i < end; i += 8)
      for (int64_t l = 0; l < std::min<int64_t>(8, end - i); l++) lanes[l] += double(x[i + l]) * double(x[i + l]);
    partial[b] = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
  }
  double total = 0;
  for (int64_t b = 0; b < blocks; b++) total += partial[b];
  return total;
}

/// float -> T, element by element.
template <class T>
void convert(int64_t size, const float *from, T *to) {
  constexpr int64_t kBlock = 1 << 14;
#pragma omp parallel for schedule(static) if (size >= 4 * kBlock)
  for (int64_t block = 0; block < size; block += kBlock)
    over(std::min(kBlock, size - block), [&](int64_t j, auto part) { store(to + block + j, load(from + block + j, part), part); });
}

/// Adds rows of T to rows of float, in the order given: a row may be named twice.
template <class T>
void scatter_rows(int64_t count, int64_t width, const T *from, const int32_t *rows, float *to) {
  for (int64_t i = 0; i < count; i++) {
    float *target = to + rows[i] * width;
    over(width, [&](int64_t j, auto part) { store(target + j, load(target + j, part) + load(from + i * width + j, part), part); });
  }
}

}  // namespace KERNEL_NAMESPACE
