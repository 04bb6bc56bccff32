// One new token a row against caches of keys and values.
//
// Layout of a cache, per slot and kv head, for `capacity` tokens (rounded up to whole blocks of 16):
//   keys    [capacity / 16][d / P][16][P], P elements of a token side by side (P = 2 for bfloat16, 1 for float), so that 16 scores
//           grow side by side in a vector and no dot product ends in a sum over lanes;
//   values  [capacity][d], added up row by row.
// All query heads of a kv head go together, so each cache line is read from memory once. The tasks (kv head, row) run in the order
// of kv heads, then rows: samples of one prompt find its keys in the cache of the core.
#pragma once
#include "rope.h"

namespace ti::TI_SET {

static int64_t padded_tokens(int64_t tokens) { return (tokens + kTokenBlock - 1) / kTokenBlock * kTokenBlock; }

template <class T>
constexpr int64_t kPair = sizeof(T) == 2 ? 2 : 1;

// Writes one token's key and value (float [d] after rope, or T) into the cache of a slot and head.
template <class T, class From>
TI_INLINE void put_token(T* keys, T* values, int64_t token, int64_t dim, const From* key, const From* value) {
  constexpr int64_t P = kPair<T>;
  T* block = keys + token / kTokenBlock * kTokenBlock * dim + token % kTokenBlock * P;
  for (int64_t j = 0; j < dim; j++) store(block + j / P * P * kTokenBlock + j % P, to_float(key[j]));
  for (int64_t j = 0; j < dim; j++) store(values + token * dim + j, to_float(value[j]));
}

// A segment's own rows of packed, rotated q | k | v into a slot, from position 0.
template <class T>
static void fill_cache(const T* qkv, const Heads &heads, int64_t count, const int32_t* segments, const CacheView<T> &cache) {
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t s = 0; s < count; s++)
    for (int64_t h = 0; h < heads.keys; h++) {
      const int64_t start = segments[3 * s], length = segments[3 * s + 1], slot = segments[3 * s + 2];
      T* keys = cache.keys_of(slot, h, heads), *values = cache.values_of(slot, h, heads);
      for (int64_t t = 0; t < length; t++) {
        const T* row = qkv + (start + t) * heads.row() + (heads.queries + h) * heads.dim;
        put_token(keys, values, t, heads.dim, row, row + heads.keys * heads.dim);
      }
    }
}

// ---- scores
// Adds P products of one element (pair) of the query with 16 / kWidth vectors of tokens.
TI_INLINE Vec score_step(Vec sum, const float* keys, const float* query) { return fma(load(keys), splat(*query), sum); }
TI_INLINE Vec score_step(Vec sum, const bf16* keys, const bf16* query) {
  int32_t pair;
  std::memcpy(&pair, query, 4);
#if defined(__AVX512BF16__)
  __m512i k;
  std::memcpy(&k, keys, 64);
  return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)k, (__m512bh)_mm512_set1_epi32(pair));
#else
  UintVec k;
  std::memcpy(&k, keys, sizeof k);
  const Vec low = (Vec)(k << 16), high = (Vec)(k & 0xffff0000u);
  return fma(high, splat(to_float(query[1])), fma(low, splat(to_float(query[0])), sum));
#endif
}

// Scores of H query heads with one block of 16 tokens: out[h][16], `stride` apart.
template <int H, class T>
TI_INLINE void score_block(const T* keys, int64_t dim, const T* queries, float scale, float* out, int64_t stride) {
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
static void scores(const T* keys, int64_t from, int64_t to, int64_t dim, int64_t group, const T* queries, float scale, float* out,
                   int64_t stride) {
  for (int64_t t = from / kTokenBlock * kTokenBlock; t < to; t += kTokenBlock)
    for (int64_t h = 0; h < group;) {
      const T* q = queries + h * dim, *k = keys + t * dim;
      float* o = out + h * stride + t;
      const int64_t left = group - h;
      if (left >= 4) score_block<4>(k, dim, q, scale, o, stride), h += 4;
      else if (left == 3) score_block<3>(k, dim, q, scale, o, stride), h += 3;
      else if (left == 2) score_block<2>(k, dim, q, scale, o, stride), h += 2;
      else score_block<1>(k, dim, q, scale, o, stride), h += 1;
    }
}

// ---- values
// out[h][j …] += sum over tokens of weight[h][t] · value[t][j …] for H heads and up to V vectors of the value.
template <int H, int V, class T, class Last>
TI_INLINE void add_values(const T* values, int64_t count, int64_t dim, const float* weights, int64_t stride, float* out,
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
TI_INLINE void add_heads(const T* values, int64_t count, int64_t dim, const float* weights, int64_t stride, float* out) {
  int64_t j = 0;
  for (; j + 4 * kWidth <= dim; j += 4 * kWidth) add_values<H, 4>(values + j, count, dim, weights, stride, out + j, Whole{});
  for (; j + kWidth <= dim; j += kWidth) add_values<H, 1>(values + j, count, dim, weights, stride, out + j, Whole{});
  if (j < dim) add_values<H, 1>(values + j, count, dim, weights, stride, out + j, Part{int(dim - j)});
}

template <class T>
static void weighted_values(const T* values, int64_t from, int64_t to, int64_t dim, int64_t group, const float* weights,
                            int64_t stride, float* out) {
  constexpr int64_t kBlock = 64;  // tokens whose values stay in the innermost cache while the heads take their turns
  for (int64_t t = from; t < to; t += kBlock)
    for (int64_t h = 0; h < group;) {
      const T* v = values + t * dim;
      const float* w = weights + h * stride + t;
      float* o = out + h * dim;
      const int64_t left = group - h, count = least(kBlock, to - t);
      if (left >= 4) add_heads<4>(v, count, dim, w, stride, o), h += 4;
      else if (left == 3) add_heads<3>(v, count, dim, w, stride, o), h += 3;
      else if (left == 2) add_heads<2>(v, count, dim, w, stride, o), h += 2;
      else add_heads<1>(v, count, dim, w, stride, o), h += 1;
    }
}

// ---- the step
// The part of a prompt or completion that a row sees: tokens [from, to) of one slot; its scores start at `at` of the row's buffer.
struct Span {
  int64_t from, to, at;
};

// The softmax weights of one query head over both spans, in place of its scores; they sum to 1.
TI_INLINE void softmax(float* w, const Span& prompt, const Span& own) {
  const Span spans[] = {prompt, own};
  float top = row_maximum(w + own.at + own.from, own.to - own.from);
  if (prompt.from < prompt.to) {
    const float other = row_maximum(w + prompt.at + prompt.from, prompt.to - prompt.from);
    top = other > top || other != other ? other : top;
  }
  Vec total = {};
  for (const Span& span : spans) {
    float* from = w + span.at + span.from;
    over(span.to - span.from, [&](int64_t j, auto part) {
      const Vec e = exponential(load(from + j, part) - top);
      store(from + j, e, part);
      total += fill_rest(e, part, 0.f);
    });
  }
  const float inverse = 1.f / sum(total);
  for (const Span& span : spans) {
    float* from = w + span.at + span.from;
    over(span.to - span.from, [&](int64_t j, auto part) { store(from + j, load(from + j, part) * inverse, part); });
  }
}

// Where the scratch of a call is cut: cos and sin of each row, then per thread the scores, the sums and the rotated q and k of a group.
struct DecodeScratch {
  int64_t scores, per_thread, floats;

  template <class T>
  explicit DecodeScratch(const DecodeArguments<T>& a) {
    int64_t longest = 0;
    for (int64_t i = 0; i < a.rows; i++) {
      longest = most(longest, padded_tokens(a.table[4 * i + 1]) + padded_tokens(int64_t(a.table[4 * i + 3]) + 1));
    }
    scores = longest;
    per_thread = round_up(a.heads.group() * (longest + 2 * a.heads.dim) + a.heads.dim, 16);
    floats = a.rows * a.heads.dim + max_threads() * per_thread;
  }
};

template <class T>
static int64_t decode_scratch(const DecodeArguments<T>& a) {
  return DecodeScratch(a).floats * int64_t(sizeof(float));
}

// One row and kv head: rotate, append, attend. `mine` is the thread's scratch.
template <class T>
static void decode_task(const DecodeArguments<T>& a, int64_t i, int64_t kv_head, const float* cosines, float* mine, int64_t stride,
                        T* output) {
  const Heads& heads = a.heads;
  const int64_t dim = heads.dim, group = heads.group(), first_head = kv_head * group;
  const int64_t prompt_length = a.table[4 * i + 1], slot = a.table[4 * i + 2], length = a.table[4 * i + 3];
  const int64_t prompt_slot = prompt_length > 0 ? a.table[4 * i] : 0;
  const float* sines = cosines + dim / 2;
  float *weights = mine, *sums = weights + group * stride;
  T *queries = reinterpret_cast<T*>(sums + group * dim), *key = queries + group * dim;

  const T* row = a.qkv + i * heads.row();
  for (int64_t g = 0; g < group; g++) {
    rotate_head(row + (first_head + g) * dim, heads.query_norm, heads.epsilon, cosines, sines, dim, queries + g * dim);
  }
  rotate_head(row + (heads.queries + kv_head) * dim, heads.key_norm, heads.epsilon, cosines, sines, dim, key);
  T *own_keys = a.completions.keys_of(slot, kv_head, heads), *own_values = a.completions.values_of(slot, kv_head, heads);
  put_token(own_keys, own_values, length, dim, key, row + (heads.queries + heads.keys + kv_head) * dim);

  const int64_t first = a.window > 0 ? most(0, prompt_length + length + 1 - a.window) : 0;
  const Span prompt = {least(first, prompt_length), prompt_length, 0};
  const Span own = {most(0, first - prompt_length), length + 1, padded_tokens(prompt_length)};
  const T *prompt_keys = a.prompts.keys_of(prompt_slot, kv_head, heads), *prompt_values = a.prompts.values_of(prompt_slot, kv_head, heads);
  scores(prompt_keys, prompt.from, prompt.to, dim, group, queries, a.scale, weights, stride);
  scores(own_keys, own.from, own.to, dim, group, queries, a.scale, weights + own.at, stride);
  for (int64_t g = 0; g < group; g++) softmax(weights + g * stride, prompt, own);
  for (int64_t j = 0; j < group * dim; j++) sums[j] = 0.f;
  weighted_values(prompt_values, prompt.from, prompt.to, dim, group, weights, stride, sums);
  weighted_values(own_values, own.from, own.to, dim, group, weights + own.at, stride, sums);
  T* out = output + (i * heads.queries + first_head) * dim;
  over(group * dim, [&](int64_t j, auto part) { store(out + j, load(sums + j, part), part); });
}

// -> output T [rows, H d]. A row's result does not depend on the other rows.
template <class T>
static void decode_attention(const DecodeArguments<T>& a, char* scratch, T* output) {
  const DecodeScratch sizes(a);
  const int64_t dim = a.heads.dim;
  float *angles = reinterpret_cast<float*>(scratch), *threads = angles + a.rows * dim;
  for (int64_t i = 0; i < a.rows; i++) {
    rotation(a.table[4 * i + 1] + a.table[4 * i + 3], a.frequencies, dim / 2, angles + i * dim, angles + i * dim + dim / 2);
  }
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (int64_t task = 0; task < a.rows * a.heads.keys; task++) {
    const int64_t i = task % a.rows, kv_head = task / a.rows;
    decode_task(a, i, kv_head, angles + i * dim, threads + thread_index() * sizes.per_thread, sizes.scores, output);
  }
}

}  // namespace ti::TI_SET
