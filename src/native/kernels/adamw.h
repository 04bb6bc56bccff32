// The optimiser step on the flat parameter vector, the norm that clipping needs, and copies between dtypes and rows.
#pragma once
#include "vector.h"

namespace ti::TI_SET {

// In place: p <- p · decay - rate · m / (sqrt(v) · inverse_root_correction + eps).
static void adamw(int64_t size, float* parameters, float* first, float* second, const float* gradient, const AdamWStep &s) {
  constexpr int64_t kBlock = 4096;
#pragma omp parallel for schedule(static)
  for (int64_t block = 0; block < size; block += kBlock) {
    float* p = parameters + block, *m = first + block, *v = second + block;
    const float* g = gradient + block;
    over(least(kBlock, size - block), [&](int64_t j, auto part) {
      const Vec grad = load(g + j, part) * s.gradient_scale;
      const Vec mean = fma(splat(s.beta1), load(m + j, part), s.one_minus_beta1 * grad);
      const Vec square = fma(splat(s.beta2), load(v + j, part), s.one_minus_beta2 * grad * grad);
      store(m + j, mean, part);
      store(v + j, square, part);
      const Vec denominator = fma(root(square), splat(s.inverse_root_correction), splat(s.epsilon));
      store(p + j, fma(load(p + j, part), splat(s.decay), -(s.rate * mean / denominator)), part);
    });
  }
}

// Blocks of squared_norm: their number depends on the size alone.
constexpr int64_t kNormBlock = 1 << 14;
static int64_t squared_norm_scratch(int64_t size) { return (size + kNormBlock - 1) / kNormBlock; }

// Sum of squares in double over blocks of fixed size, added in order: the same for any number of threads.
static double squared_norm(int64_t size, const float* x, double* partial) {
  const int64_t blocks = squared_norm_scratch(size);
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; b++) {
    double lanes[8] = {};
    const int64_t end = least(size, (b + 1) * kNormBlock);
    int64_t i = b * kNormBlock;
    for (; i + 8 <= end; i += 8)
      for (int l = 0; l < 8; l++) lanes[l] += double(x[i + l]) * double(x[i + l]);
    for (; i < end; i++) lanes[i % 8] += double(x[i]) * double(x[i]);
    partial[b] = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
  }
  double total = 0;
  for (int64_t b = 0; b < blocks; b++) total += partial[b];
  return total;
}

// float -> T, element by element.
template <class T>
static void convert(int64_t size, const float* from, T* to) {
  constexpr int64_t kBlock = 1 << 14;
#pragma omp parallel for schedule(static) if (size >= 4 * kBlock)
  for (int64_t block = 0; block < size; block += kBlock)
    over(least(kBlock, size - block), [&](int64_t j, auto part) { store(to + block + j, load(from + block + j, part), part); });
}

// Adds rows of T to rows of float, in the order given: a row may be named twice.
template <class T>
static void scatter_rows(int64_t count, int64_t width, const T* from, const int32_t* rows, float* to) {
  for (int64_t i = 0; i < count; i++) {
    float* target = to + rows[i] * width;
    over(width, [&](int64_t j, auto part) { store(target + j, load(target + j, part) + load(from + i * width + j, part), part); });
  }
}

}  // namespace ti::TI_SET
