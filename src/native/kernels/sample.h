// Drawing one token a row: greedy, by temperature, or from the nucleus. A row's choice depends on its own logits and number only.
#pragma once
#include "cross_entropy.h"

namespace ti::TI_SET {

// Logits whose weights are added in float before they are added in double.
constexpr int64_t kSampleBlock = 256;

// Buckets of equal leading bits (exponent, 5 bits of mantissa) of a float in [0, 1]: ordered as the floats are.
constexpr int kBucketShift = 18, kBuckets = (0x3f800000 >> kBucketShift) + 1;

static int bucket_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const int bucket = int(bits >> kBucketShift);
  return bucket < kBuckets ? bucket : kBuckets - 1;  // e^(rounding) may pass 1 by an ulp
}

// What a thread needs to draw from one row: e^((logit - largest) / temperature), room for as many ids, and sums of
// blocks or buckets.
struct DrawScratch {
  float* weights;
  int32_t* ids;
  double* masses;

  static int64_t words(int64_t width) { return 2 * round_up(width, 16) + 2 * most(width / kSampleBlock + 1, kBuckets); }
  DrawScratch(float* words, int64_t width)
      : weights(words), ids(reinterpret_cast<int32_t*>(words + round_up(width, 16))),
        masses(reinterpret_cast<double*>(words + 2 * round_up(width, 16))) {}
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

// Ids of weight `least_weight` or more into `ids`, in order; returns how many. Their weights sum to `mass`.
static int64_t gather_likely(int64_t width, const float* weights, float least_weight, int32_t* ids, double* mass) {
  int64_t count = 0;
  *mass = 0;
  const auto take = [&](int64_t j) {
    if (weights[j] < least_weight) return;
    ids[count++] = int32_t(j);
    *mass += weights[j];
  };
  int64_t j = 0;
  for (; j + kWidth <= width; j += kWidth) {
    if (!any(load(weights + j) >= least_weight)) continue;
    for (int lane = 0; lane < kWidth; lane++) take(j + lane);
  }
  for (; j < width; j++) take(j);
  return count;
}

// The fewest most likely of the ids (ties: lowest first) whose weights reach `target`; reorders the ids. No full sort: sums of
// buckets tell in which one the nucleus ends, and only that bucket is put in order.
static Nucleus find_nucleus(int64_t count, double target, const DrawScratch& s) {
  for (int b = 0; b < kBuckets; b++) s.masses[b] = 0;
  for (int64_t i = 0; i < count; i++) s.masses[bucket_of(s.weights[s.ids[i]])] += s.weights[s.ids[i]];
  int bucket = kBuckets - 1;
  double mass = 0;
  while (bucket > 0 && mass + s.masses[bucket] < target) mass += s.masses[bucket--];
  int64_t inside = 0;
  for (int64_t i = 0; i < count; i++)
    if (bucket_of(s.weights[s.ids[i]]) == bucket) s.ids[inside++] = s.ids[i];
  // As a heap, likeliest at the root; ids leave it one by one until the mass is reached.
  for (int64_t i = inside / 2 - 1; i >= 0; i--) sift_down(s.weights, s.ids, i, inside);
  Nucleus nucleus = {0.f, -1, mass};
  while (inside > 0 && (nucleus.last < 0 || nucleus.mass < target)) {
    const int32_t id = s.ids[0];
    nucleus = {s.weights[id], id, nucleus.mass + s.weights[id]};
    s.ids[0] = s.ids[--inside];
    sift_down(s.weights, s.ids, 0, inside);
  }
  return nucleus;
}

// One draw from the nucleus of mass `target`: first only ids of some weight are looked at, and more while these do not suffice.
static int64_t draw_from_nucleus(int64_t width, double target, float uniform, const DrawScratch& s) {
  constexpr float kThresholds[] = {0x1p-6f, 0x1p-12f, 0x1p-20f, 0.f};
  int step = 0;
  double mass = 0;
  int64_t count = gather_likely(width, s.weights, kThresholds[0], s.ids, &mass);
  while (mass < target && step < 3) count = gather_likely(width, s.weights, kThresholds[++step], s.ids, &mass);
  const Nucleus nucleus = find_nucleus(count, target, s);
  count = gather_likely(width, s.weights, kThresholds[step], s.ids, &mass);
  const double stop = double(uniform) * nucleus.mass;
  double passed = 0;
  int64_t chosen = 0;
  for (int64_t i = 0; i < count; i++) {
    if (!nucleus.has(s.weights[s.ids[i]], s.ids[i])) continue;
    chosen = s.ids[i];  // rounding may leave the sum just short of the end: then the last possible id
    passed += s.weights[chosen];
    if (passed > stop) break;
  }
  return chosen;
}

// The id at which the running sum of weights (in id order) passes uniform * mass.
static int64_t draw(int64_t width, float temperature, float topP, float uniform, const float* x, float top, const DrawScratch& s) {
  const float inverse = 1.f / temperature;
  double mass = 0;
  for (int64_t block = 0; block < width; block += kSampleBlock) {
    Vec sums = {};
    over(least(kSampleBlock, width - block), [&](int64_t j, auto part) {
      const Vec weight = exponential((load(x + block + j, part) - top) * inverse);
      store(s.weights + block + j, weight, part);
      sums += fill_rest(weight, part, 0.f);
    });
    mass += s.masses[block / kSampleBlock] = sum(sums);
  }
  if (topP < 1.f) return draw_from_nucleus(width, double(topP) * mass, uniform, s);
  const double target = double(uniform) * mass;
  double passed = 0;
  int64_t chosen = 0;
  for (int64_t block = 0; block < width && passed <= target; block += kSampleBlock) {
    const double here = s.masses[block / kSampleBlock];
    const int64_t end = least(width, block + kSampleBlock);
    if (passed + here <= target && end < width) {
      passed += here;
      continue;
    }
    for (int64_t j = block; j < end && passed <= target; j++) {
      if (s.weights[j] > 0) chosen = j;  // as above
      passed += s.weights[j];
    }
  }
  return chosen;
}

// Scratch of sample(), in 4-byte words.
static int64_t sample_scratch(int64_t width) { return max_threads() * DrawScratch::words(width); }

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
      const DrawScratch mine(scratch + thread_index() * DrawScratch::words(width), width);
      id = draw(width, temperature, topP, uniforms[i], x, top, mine);
    }
    const float inverse = greedy ? 1.f : 1.f / temperature;
    ids[i] = int32_t(id);
    logProbs[i] = float(double(x[id] - top) * inverse - log_of_sum(x, width, inverse, top * inverse));
  }
  return bad;
}

}  // namespace ti::TI_SET
