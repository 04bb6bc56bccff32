// Drawing one token a row: greedy, by temperature, or from the nucleus. A row's choice depends on its own logits and number only.
#pragma once
#include "cross_entropy.h"

namespace ti::TI_SET {

// Buckets of equal leading bits (sign, exponent, 5 bits of mantissa) of a float in [0, 1]: ordered as the floats are.
constexpr int kBucketShift = 18, kBuckets = (0x3f800000 >> kBucketShift) + 1;

static int bucket_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const int bucket = int(bits >> kBucketShift);
  return bucket < kBuckets ? bucket : kBuckets - 1;  // e^(rounding) may pass 1 by an ulp
}

// What a thread needs to draw from one row.
struct DrawScratch {
  float* weights;  // [width]: e^((logit - largest) / temperature)
  double* masses;  // [kBuckets]
  int32_t* edge;   // [width]: ids of the bucket that the nucleus ends in
};

// The nucleus: all ids with a weight above `weight`, and those of exactly `weight` up to id `last`.
struct Nucleus {
  float weight;
  int64_t last;
  double mass;
  bool has(float w, int64_t id) const { return w > weight || (w == weight && id <= last); }
};

static void sift_down(const float* weights, int32_t* heap, int64_t at, int64_t count) {
  const auto before = [&](int32_t a, int32_t b) { return weights[a] != weights[b] ? weights[a] > weights[b] : a < b; };
  for (int64_t child = 2 * at + 1; child < count; at = child, child = 2 * at + 1) {
    if (child + 1 < count && before(heap[child + 1], heap[child])) child++;
    if (!before(heap[child], heap[at])) return;
    const int32_t moved = heap[at];
    heap[at] = heap[child];
    heap[child] = moved;
  }
}

// The fewest most likely ids (ties: lowest first) that reach `target` of mass. No full sort: a histogram finds the bucket where
// the nucleus ends, and only that bucket is sorted.
static Nucleus find_nucleus(int64_t width, double target, const DrawScratch &s) {
  for (int b = 0; b < kBuckets; b++) s.masses[b] = 0;
  for (int64_t j = 0; j < width; j++) s.masses[bucket_of(s.weights[j])] += s.weights[j];
  int bucket = kBuckets - 1;
  double mass = 0;
  while (bucket > 0 && mass + s.masses[bucket] < target) mass += s.masses[bucket--];
  int64_t count = 0;
  for (int64_t j = 0; j < width; j++)
    if (bucket_of(s.weights[j]) == bucket) s.edge[count++] = int32_t(j);
  // The bucket's ids as a heap, likeliest at the root; they leave it one by one until the mass is reached.
  for (int64_t i = count / 2 - 1; i >= 0; i--) sift_down(s.weights, s.edge, i, count);
  Nucleus nucleus = {0.f, -1, mass};
  while (count > 0 && (nucleus.last < 0 || nucleus.mass < target)) {
    const int32_t id = s.edge[0];
    nucleus = {s.weights[id], id, nucleus.mass + s.weights[id]};
    s.edge[0] = s.edge[--count];
    sift_down(s.weights, s.edge, 0, count);
  }
  return nucleus;
}

// The id at which the running sum of weights (in id order) passes uniform · mass.
static int64_t draw(int64_t width, float temperature, float topP, float uniform, const float* x, float top, const DrawScratch &s) {
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

// Scratch of sample(), in 4-byte words: weights and ids of one row and masses of buckets, per thread.
static int64_t sample_scratch(int64_t width) { return max_threads() * (2 * round_up(width, 16) + 2 * kBuckets); }

// Returns the first row whose logits have no finite maximum (NaN or infinite), or `rows` when all is well.
// uniforms and scratch are read only at a temperature above 0.
static int64_t sample(int64_t rows, int64_t width, const float* logits, float temperature, float topP, const float* uniforms,
                      float* scratch, int32_t* ids, float* logProbs) {
  const bool greedy = temperature == 0;
  int64_t bad = rows;
#pragma omp parallel for schedule(static) reduction(min : bad)
  for (int64_t i = 0; i < rows; i++) {
    const float *x = logits + i * width, top = row_maximum(x, width);
    if (!(top > -kInfinity && top < kInfinity)) {
      bad = least(bad, i);
      continue;
    }
    int64_t id = 0;
    if (greedy) {
      while (x[id] != top) id++;
    } else {
      float* mine = scratch + thread_index() * (2 * round_up(width, 16) + 2 * kBuckets);
      float* weights = mine + 2 * kBuckets;
      int32_t* edge = reinterpret_cast<int32_t*>(weights + round_up(width, 16));
      id = draw(width, temperature, topP, uniforms[i], x, top, {weights, reinterpret_cast<double*>(mine), edge});
    }
    const float inverse = greedy ? 1.f : 1.f / temperature;
    ids[i] = int32_t(id);
    logProbs[i] = float(double(x[id] - top) * inverse - log_of_sum(x, width, inverse, top * inverse));
  }
  return bad;
}

}  // namespace ti::TI_SET
