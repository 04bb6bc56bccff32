// One new token a row against caches of keys and values.
//
// Layout of a cache, per slot and kv head, for `capacity` tokens (rounded up to whole blocks of 16):
//   keys    [capacity / 16][d / P][16][P], P elements of a token side by side (P = 2 for bfloat16, 1 for float), so that 16 scores
//           grow side by side in a vector and no dot product ends in a sum over lanes;
//   values  [capacity][d], added up row by row.
// All query heads of a kv head go together, so each cache line is read from memory once. The tasks (kv head, row) run in the order
// of kv heads, then rows: samples of one prompt find its keys in the cache of the core.
#pragma once
#include <omp.h>

#include "cross_entropy.h"
#include "rope.h"

namespace KERNEL_NAMESPACE {

constexpr int64_t kTokenBlock = 16;

inline int64_t padded_tokens(int64_t tokens) { return (tokens + kTokenBlock - 1) / kTokenBlock * kTokenBlock; }

template <class T>
constexpr int64_t kPair = sizeof(T) == 2 ? 2 : 1;

/// Writes one token's key and value (float [d] after rope, or T) into the cache of a slot and head.
template <class T, class From>
KERNEL_INLINE void put_token(T *keys, T *values, int64_t token, int64_t dim, const From *key, const From *value) {
  constexpr int64_t P = kPair<T>;
  T *block = keys + token / kTokenBlock * kTokenBlock * dim + token % kTokenBlock * P;
  for (int64_t j = 0; j < dim; j++) put(block + j / P * P * kTokenBlock + j % P, widen(key[j]));
  for (int64_t j = 0; j < dim; j++) put(values + token * dim + j, widen(value[j]));
}

template <class T>
struct CacheView {
  T *keys, *values;
  int64_t slots, capacity;  // capacity in tokens, a multiple of 16

  T *keys_of(int64_t slot, int64_t head, int64_t heads, int64_t dim) const { return keys + (slot * heads + head) * capacity * dim; }
  T *values_of(int64_t slot, int64_t head, int64_t heads, int64_t dim) const { return values + (slot * heads + head) * capacity * dim; }
};

/// A segment's own rows of packed, rotated q | k | v into a slot, from position 0.
template <class T>
void fill_cache(const T *qkv, const Heads &heads, int64_t count, const int32_t *segments, const CacheView<T> &cache) {
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t s = 0; s < count; s++)
    for (int64_t h = 0; h < heads.keys; h++) {
      const int64_t start = segments[3 * s], length = segments[3 * s + 1], slot = segments[3 * s + 2];
      T *keys = cache.keys_of(slot, h, heads.keys, heads.dim), *values = cache.values_of(slot, h, heads.keys, heads.dim);
      for (int64_t t = 0; t < length; t++) {
        const T *row = qkv + (start + t) * heads.row() + (heads.queries + h) * heads.dim;
        put_token(keys, values, t, heads.dim, row, row + heads.keys * heads.dim);
      }
    }
}

// ---- scores -------------------------------------------------------------------------------------------------------------
/// Adds P products of one element (pair) of the query with 16 / kWidth vectors of tokens.
KERNEL_INLINE Vec score_step(Vec sum, const float *keys, const float *query) { return fma(load(keys), splat(*query), sum); }
KERNEL_INLINE Vec score_step(Vec sum, const uint16_t *keys, const uint16_t *query) {
  int32_t pair;
  memcpy(&pair, query, 4);
#if defined(__AVX512BF16__)
  __m512i k;
  memcpy(&k, keys, 64);
  return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)k, (__m512bh)_mm512_set1_epi32(pair));
#else
  UintVec k;
  memcpy(&k, keys, sizeof k);
  const Vec low = (Vec)(k << 16), high = (Vec)(k & 0xffff0000u);
  return fma(high, splat(widen(query[1])), fma(low, splat(widen(query[0])), sum));
#endif
}

/// Scores of H query heads with one block of 16 tokens: out[h][16], `stride` apart.
template <int H, class T>
KERNEL_INLINE void score_block(const T *keys, int64_t dim, const T *queries, float scale, float *out, int64_t stride) {
  constexpr int V = kTokenBlock / kWidth;
  constexpr int64_t P = kPair<T>;
  Vec sums[H][V] = {};
  for (int64_t j = 0; j < dim; j += P)
    for (int v = 0; v < V; v++)
      for (int h = 0; h < H; h++)
        sums[h][v] = score_step(sums[h][v], keys + j * kTokenBlock + v * kWidth * P, queries + h * dim + j);
  for (int h = 0; h < H; h++)
    for (int v = 0; v < V; v++) store(out + h * stride + v * kWidth, sums[h][v] * scale);
}

template <class T>
inline void scores(const T *keys, int64_t from, int64_t to, int64_t dim, int64_t group, const T *queries, float scale, float *out,
                   int64_t stride) {
  for (int64_t t = from / kTokenBlock * kTokenBlock; t < to; t += kTokenBlock)
    for (int64_t h = 0; h < group;) {
      const T *q = queries + h * dim, *k = keys + t * dim;
      float *o = out + h * stride + t;
      const int64_t left = group - h;
      if (left >= 4) score_block<4>(k, dim, q, scale, o, stride), h += 4;
      else if (left == 3) score_block<3>(k, dim, q, scale, o, stride), h += 3;
      else if (left == 2) score_block<2>(k, dim, q, scale, o, stride), h += 2;
      else score_block<1>(k, dim, q, scale, o, stride), h += 1;
    }
}

// ---- values -------------------------------------------------------------------------------------------------------------
/// out[h][j …] += sum over tokens of weight[h][t] · value[t][j …] for H heads and up to V vectors of the value.
template <int H, int V, class T, class Last>
KERNEL_INLINE void add_values(const T *values, int64_t count, int64_t dim, const float *weights, int64_t stride, float *out,
                              Last last) {
  Vec sums[H][V];
  for (int h = 0; h < H; h++)
    for (int v = 0; v < V; v++)
      sums[h][v] = v + 1 < V ? load(out + h * dim + v * kWidth) : load(out + h * dim + v * kWidth, last);
  for (int64_t t = 0; t < count; t++)
    for (int v = 0; v < V; v++) {
      const Vec row = v + 1 < V ? load(values + t * dim + v * kWidth) : load(values + t * dim + v * kWidth, last);
      for (int h = 0; h < H; h++) sums[h][v] = fma(row, splat(weights[h * stride + t]), sums[h][v]);
    }
  for (int h = 0; h < H; h++)
    for (int v = 0; v < V; v++) {
      if (v + 1 < V) store(out + h * dim + v * kWidth, sums[h][v]);
      else store(out + h * dim + v * kWidth, sums[h][v], last);
    }
}

template <int H, class T>
KERNEL_INLINE void add_heads(const T *values, int64_t count, int64_t dim, const float *weights, int64_t stride, float *out) {
  int64_t j = 0;
  for (; j + 4 * kWidth <= dim; j += 4 * kWidth) add_values<H, 4>(values + j, count, dim, weights, stride, out + j, Whole{});
  for (; j + kWidth <= dim; j += kWidth) add_values<H, 1>(values + j, count, dim, weights, stride, out + j, Whole{});
  if (j < dim) add_values<H, 1>(values + j, count, dim, weights, stride, out + j, Part{int(dim - j)});
}

template <class T>
inline void weighted_values(const T *values, int64_t from, int64_t to, int64_t dim, int64_t group, const float *weights,
                            int64_t stride, float *out) {
  constexpr int64_t kBlock = 64;  // tokens whose values stay in the innermost cache while the heads take their turns
  for (int64_t t = from; t < to; t += kBlock)
    for (int64_t h = 0; h < group;) {
      const T *v = values + t * dim;
      const float *w = weights + h * stride + t;
      float *o = out + h * dim;
      const int64_t left = group - h, count = std::min(kBlock, to - t);
      if (left >= 4) add_heads<4>(v, count, dim, w, stride, o), h += 4;
      else if (left == 3) add_heads<3>(v, count, dim, w, stride, o), h += 3;
      else if (left == 2) add_heads<2>(v, count, dim, w, stride, o), h += 2;
      else add_heads<1>(v, count, dim, w, stride, o), h += 1;
    }
}

// ---- the step -----------------------------------------------------------------------------------------------------------
/// The part of a prompt or completion that a row sees: tokens [from, to) of one slot; its scores start at `at` of the row's buffer.
struct Span {
  int64_t from, to, at;
};

/// qkv T [rows, (H + 2K) d] before rope; rows int32 [rows, 4]: prompt slot, prompt length, slot, length -> output T [rows, H d].
/// Returns false when memory is short.
template <class T>
bool decode_attention(int64_t rows, const Heads &heads, float scale, int64_t window, const T *qkv, const CacheView<T> &prompts,
                      const CacheView<T> &completions, const int32_t *table, const float *frequencies, T *output) {
  const int64_t dim = heads.dim, half = dim / 2, group = heads.queries / heads.keys;
  int64_t longest = 0;
  for (int64_t i = 0; i < rows; i++)
    longest = std::max(longest, padded_tokens(table[4 * i + 1]) + padded_tokens(int64_t(table[4 * i + 3]) + 1));
  // Per row: cos and sin. Per thread: scores, sums and rotated queries of a group, and a key. In floats; queries are T.
  const size_t perThread = size_t(group) * longest + size_t(group) * dim * 2 + 2 * dim;
  const std::unique_ptr<float[]> scratch(new (std::nothrow) float[size_t(rows) * dim + perThread * omp_get_max_threads()]);
  if (!scratch) return false;
  float *angles = scratch.get();
  for (int64_t i = 0; i < rows; i++)
    rotation(table[4 * i + 1] + table[4 * i + 3], frequencies, half, angles + i * dim, angles + i * dim + half);
#pragma omp parallel for schedule(static) if (rows > 1)
  for (int64_t task = 0; task < rows * heads.keys; task++) {
    const int64_t kvHead = task / rows, i = task % rows, firstHead = kvHead * group;
    const int64_t promptSlot = table[4 * i], promptLength = table[4 * i + 1], slot = table[4 * i + 2], length = table[4 * i + 3];
    float *weights = angles + rows * dim + perThread * omp_get_thread_num(), *sums = weights + group * longest;
    T *queries = reinterpret_cast<T *>(sums + group * dim), *key = queries + group * dim;
    const T *row = qkv + i * heads.row();
    const float *cosines = angles + i * dim, *sines = cosines + half;
    for (int64_t g = 0; g < group; g++)
      rotate_head(row + (firstHead + g) * dim, heads.queryNorm, heads.epsilon, cosines, sines, dim, queries + g * dim);
    rotate_head(row + (heads.queries + kvHead) * dim, heads.keyNorm, heads.epsilon, cosines, sines, dim, key);
    T *ownKeys = completions.keys_of(slot, kvHead, heads.keys, dim), *ownValues = completions.values_of(slot, kvHead, heads.keys, dim);
    put_token(ownKeys, ownValues, length, dim, key, row + (heads.queries + heads.keys + kvHead) * dim);

    const int64_t first = window > 0 ? std::max<int64_t>(0, promptLength + length + 1 - window) : 0;
    const Span prompt = {std::min(first, promptLength), promptLength, 0};
    const Span own = {std::max<int64_t>(0, first - promptLength), length + 1, padded_tokens(promptLength)};
    const T *promptKeys = prompts.keys_of(promptSlot, kvHead, heads.keys, dim), *promptValues = prompts.values_of(promptSlot, kvHead, heads.keys, dim);
    scores(promptKeys, prompt.from, prompt.to, dim, group, queries, scale, weights, longest);
    scores(ownKeys, own.from, own.to, dim, group, queries, scale, weights + own.at, longest);
    for (int64_t g = 0; g < group; g++) {
      float *w = weights + g * longest;
      const int64_t seen = prompt.to - prompt.from;
      float top = row_maximum(w + own.at + own.from, own.to - own.from);
      if (seen > 0) {
        const float other = row_maximum(w + prompt.from, seen);
        top = other > top || other != other ? other : top;
      }
      Vec total = {};
      const auto weigh = [&](const Span &span) {
        over(span.to - span.from, [&](int64_t j, auto part) {
          const Vec e = exponential(load(w + span.at + span.from + j, part) - top);
          store(w + span.at + span.from + j, e, part);
          total += fill_rest(e, part, 0.f);
        });
      };
      weigh(prompt);
      weigh(own);
      const float inverse = 1.f / sum(total);
      for (const Span &span : {prompt, own})
        over(span.to - span.from, [&](int64_t j, auto part) {
          store(w + span.at + span.from + j, load(w + span.at + span.from + j, part) * inverse, part);
        });
    }
    std::fill(sums, sums + group * dim, 0.f);
    weighted_values(promptValues, prompt.from, prompt.to, dim, group, weights, longest, sums);
    weighted_values(ownValues, own.from, own.to, dim, group, weights + own.at, longest, sums);
    over(group * dim, [&](int64_t j, auto part) { store(output + (i * heads.queries + firstHead) * dim + j, load(sums + j, part), part); });
  }
  return true;
}

}  // namespace KERNEL_NAMESPACE
