// Cross-entropy of rows of logits at a temperature: two passes over a row (maximum, then sum of exponentials), one for the gradient.
#pragma once
#include "vector.h"

namespace ti::TI_SET {

// log of the sum of e^(x · inverseTemperature). NaN and +infinity make it NaN; -infinity counts as an impossible token.
// Sums run in float over 4,096 logits and in double over these: a vocabulary of any size keeps float precision.
static float log_sum_exp(const float* x, int64_t width, float inverseTemperature) {
  constexpr int64_t kBlock = 4096;
  const float top = row_maximum(x, width) * inverseTemperature;
  double total = 0;
  for (int64_t block = 0; block < width; block += kBlock) {
    Vec sums = {};
    over(least(kBlock, width - block), [&](int64_t j, auto part) {
      const Vec e = exponential(fma(load(x + block + j, part), splat(inverseTemperature), splat(-top)));
      sums += fill_rest(e, part, 0.f);
    });
    total += sum(sums);
  }
  return float(double(top) + log(total));
}

static void cross_entropy(int64_t rows, int64_t width, const float* logits, const int32_t* targets, float temperature, float* nll,
                          float* logSumExp) {
  const float inverse = 1.f / temperature;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; i++) {
    const float* x = logits + i * width;
    logSumExp[i] = log_sum_exp(x, width, inverse);
    nll[i] = logSumExp[i] - x[targets[i]] * inverse;
  }
}

// d(sum of weights · nll)/d logits = weight / temperature · (softmax(logits / temperature) - one-hot target).
template <class T>
static void cross_entropy_gradient(int64_t rows, int64_t width, const float* logits, const int32_t* targets, const float* logSumExp,
                            const float* weights, float temperature, T* dLogits) {
  const float inverse = 1.f / temperature;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; i++) {
    const float* x = logits + i * width;
    T* d = dLogits + i * width;
    const float weight = weights[i] * inverse;
    const Vec shift = splat(-logSumExp[i]);
    over(width, [&](int64_t j, auto part) {
      store(d + j, exponential(fma(load(x + j, part), splat(inverse), shift)) * weight, part);
    });
    const Vec atTarget = exponential(fma(splat(x[targets[i]]), splat(inverse), shift));
    store(d + targets[i], (atTarget[0] - 1.f) * weight);
  }
}

}  // namespace ti::TI_SET
