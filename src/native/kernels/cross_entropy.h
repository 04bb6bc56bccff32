// Cross-entropy of rows of logits at a temperature: two passes over a row (maximum, then sum of exponentials), one for the gradient.
#pragma once
#include "vector.h"

namespace ti::TI_SET {

// log of the sum of e^(x * inverseTemperature - top), in double. NaN and +infinity make it NaN; -infinity counts as impossible.
// Sums run in float over 4,096 logits and in double over these: a vocabulary of any size keeps float precision.
static double log_of_sum(const float* x, int64_t width, float inverseTemperature, float top) {
  constexpr int64_t kBlock = 4096;
  double total = 0;
  for (int64_t block = 0; block < width; block += kBlock) {
    Vec sums = {};
    over(least(kBlock, width - block), [&](int64_t j, auto part) {
      const Vec e = exponential(fma(load(x + block + j, part), splat(inverseTemperature), splat(-top)));
      sums += fill_rest(e, part, 0.f);
    });
    total += sum(sums);
  }
  return log(total);
}

static void cross_entropy(int64_t rows, int64_t width, const float* logits, const int32_t* targets, float temperature, float* nll,
                          float* logSumExp) {
  const float inverse = 1.f / temperature;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; i++) {
    const float* x = logits + i * width;
    const float top = row_maximum(x, width) * inverse;
    const double rest = log_of_sum(x, width, inverse, top);
    logSumExp[i] = float(top + rest);
    // Not logSumExp - logit: of a likely token that would leave only rounding.
    nll[i] = float(rest + (double(top) - double(x[targets[i]]) * inverse));
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
