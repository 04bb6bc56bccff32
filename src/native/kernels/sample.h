// Drawing one token a row: greedy, by temperature, or from the nucleus. A row's choice depends on its own logits and number only.
#pragma once
#include <omp.h>

#include <memory>
#include <new>
#include <vector>

#include "cross_entropy.h"

namespace KERNEL_NAMESPACE {

/// Buckets of equal leading bits (sign, exponent, 5 bits of mantissa) of a float in [0, 1]: ordered as the floats are.
constexpr int kBucketShift = 18, kBuckets = (0x3f800000 >> kBucketShift) + 1;

inline int bucket_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  const int bucket = int(bits >> kBucketShift);
  return bucket < kBuckets ? bucket : kBuckets - 1;  // e^(rounding) may pass 1 by an ulp
}

/// What a thread needs to draw from one row.
struct DrawScratch {
  float *weights;  // [width]: e^((logit - largest) / temperature)
  double *masses;  // [kBuckets]
  int32_t *edge;   // [width]: ids of the bucket that the nucleus ends in
};

/// The nucleus: all ids with a weight above `weight`, and those of exactly `weight` up to id `last`.
struct Nucleus {
  float weight;
  int64_t last;
  double mass;
  bool has(float w, int64_t id) const { return w > weight || (w == weight && id <= last); }
};

/// The fewest most likely ids (ties: lowest first) that reach `target` of mass. No full sort: a histogram finds the bucket where
/// the nucleus ends, and only that bucket is sorted.
inline Nucleus find_nucleus(int64_t width, double target, const DrawScratch &s) {
  std::fill(s.masses, s.masses + kBuckets, 0.);
  for (int64_t j = 0; j < width; j++) s.masses[bucket_of(s.weights[j])] += s.weights[j];
  int bucket = kBuckets - 1;
  double mass = 0;
  while (bucket > 0 && mass + s.masses[bucket] < target) mass += s.masses[bucket--];
  int64_t count = 0;
  for (int64_t j = 0; j < width; j++)
    if (bucket_of(s.weights[j]) == bucket) s.edge[count++] = int32_t(j);
  std::sort(s.edge, s.edge + count, [&](int32_t a, int32_t b) {
    return s.weights[a] != s.weights[b] ? s.weights[a] > s.weights[b] : a < b;
  });
  Nucleus nucleus = {s.weights[s.edge[0]], s.edge[0], mass};
  for (int64_t i = 0; i < count; i++) {
    nucleus = {s.weights[s.edge[i]], s.edge[i], nucleus.mass + s.weights[s.edge[i]]};
    if (nucleus.mass >= target) break;
  }
  return nucleus;
}

/// The id at which the running sum of weights (in id order) passes uniform · mass.
inline int64_t draw(int64_t width, float temperature, float topP, float uniform, const float *x, float top, const DrawScratch &s) {
  const float inverse = 1.f / temperature;
  over(width, [&](int64_t j, auto part) { store(s.weights + j, exponential((load(x + j, part) - top) * inverse), part); });
  double mass = 0;
  for (int64_t j = 0; j < width; j++) mass += s.weights[j];
  Nucleus nucleus = {0.f, -1, mass};
  if (topP < 1.f) nucleus = find_nucleus(width, double(topP) * mass, s);
  const double target = double(uniform) * nucleus.mass;
  double passed = 0;
  int64_t chosen = 0;
  for (int64_t j = 0; j < width; j++) {
    if (!nucleus.has(s.weights[j], j)) continue;
    chosen = j;  // rounding may leave the sum just short of the target at the end: then the last possible id
    passed += s.weights[j];
    if (passed > target) break;
  }
  return chosen;
}

/// Returns the first row whose logits have no finite maximum (NaN or infinite), rows when all is well, -1 when memory is short.
inline int64_t sample(int64_t rows, int64_t width, const float *logits, float temperature, float topP, const float *uniforms,
                      int32_t *ids, float *logProbs) {
  const bool greedy = temperature == 0;
  const int threads = greedy ? 1 : std::max(1, std::min<int>(omp_get_max_threads(), int(rows)));
  const size_t scratch = greedy ? 0 : size_t(threads) * width;
  const std::unique_ptr<float[]> weights(new (std::nothrow) float[scratch + 1]);
  const std::unique_ptr<int32_t[]> edges(new (std::nothrow) int32_t[scratch + 1]);
  const std::unique_ptr<double[]> masses(new (std::nothrow) double[size_t(threads) * kBuckets]);
  if (!weights || !edges || !masses) return -1;
  int64_t bad = rows;
#pragma omp parallel for schedule(static) reduction(min : bad) num_threads(greedy ? omp_get_max_threads() : threads)
  for (int64_t i = 0; i < rows; i++) {
    const float *x = logits + i * width, top = row_maximum(x, width);
    if (!(top > -kInfinity && top < kInfinity)) {
      bad = std::min(bad, i);
      continue;
    }
    int64_t id = 0;
    if (greedy) {
      while (x[id] != top) id++;
    } else {
      const size_t mine = omp_get_thread_num();
      id = draw(width, temperature, topP, uniforms[i], x, top, {weights.get() + mine * width, masses.get() + mine * kBuckets, edges.get() + mine * width});
    }
    const float inverse = greedy ? 1.f : 1.f / temperature;
    ids[i] = int32_t(id);
    logProbs[i] = x[id] * inverse - log_sum_exp(x, width, inverse);
  }
  return bad;
}

}  // namespace KERNEL_NAMESPACE
