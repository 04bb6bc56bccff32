// One vector of floats, as wide as the instruction set this file is compiled for, and what the kernels do with it.
//
// Activations are bfloat16 or float in memory and always float in registers. `over(n, body)` walks a row in whole
// vectors and ends with one partial vector, so that no kernel needs a scalar tail and every element sees the same arithmetic.
// All functions propagate NaN; none depends on how many threads run.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
// gcc 12's own headers leave the unused source of a masked intrinsic uninitialised and then warn about it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "../fused_kernels.h"
#include "../kernels_set.h"

namespace ti::TI_SET {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif

typedef float Vec __attribute__((vector_size(kWidth * 4)));
typedef int32_t IntVec __attribute__((vector_size(kWidth * 4)));
typedef uint32_t UintVec __attribute__((vector_size(kWidth * 4)));
typedef uint16_t HalfVec __attribute__((vector_size(kWidth * 2)));

using ti::store;

TI_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
TI_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// Below this many rows a thread costs more to wake than it saves.
constexpr int64_t kParallelRows = 32;

// ---- whole vectors and the last, partial one
struct Whole {};
struct Part {
  int count;
};

TI_INLINE Vec splat(float x) { return Vec{} + x; }

TI_INLINE Vec load(const float* from, Whole = {}) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
TI_INLINE Vec widen(HalfVec half) {
#if defined(__AVX512F__)
  return (Vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)half), 16);
#elif defined(__AVX2__)
  return (Vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)half), 16);
#else
  return (Vec)(__builtin_convertvector(half, UintVec) << 16);
#endif
}
TI_INLINE Vec load(const bf16* from, Whole = {}) {
  HalfVec half;
  std::memcpy(&half, from, sizeof half);
  return widen(half);
}
template <class T>
TI_INLINE Vec load(const T* from, Part part) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  const __mmask16 mask = __mmask16((1u << part.count) - 1);
  if constexpr (sizeof(T) == 4) return (Vec)_mm512_maskz_loadu_ps(mask, from);
  else return widen((HalfVec)_mm256_maskz_loadu_epi16(mask, from));
#else
  T padded[kWidth] = {};
  std::memcpy(padded, from, part.count * sizeof(T));
  return load(padded);
#endif
}

TI_INLINE void store(float* to, Vec v, Whole = {}) { std::memcpy(to, &v, sizeof v); }
TI_INLINE HalfVec narrow(Vec v) {
#if defined(__AVX512BF16__)
  return (HalfVec)_mm512_cvtneps_pbh((__m512)v);
#else
  const UintVec bits = (UintVec)v, rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
  const UintVec chosen = (UintVec)(v != v ? (IntVec)quiet : (IntVec)rounded);
#if defined(__AVX512F__)
  return (HalfVec)_mm512_cvtepi32_epi16((__m512i)chosen);
#else
  return __builtin_convertvector(chosen, HalfVec);
#endif
#endif
}
TI_INLINE void store(bf16* to, Vec v, Whole = {}) {
  const HalfVec half = narrow(v);
  std::memcpy(to, &half, sizeof half);
}
template <class T>
TI_INLINE void store(T* to, Vec v, Part part) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  const __mmask16 mask = __mmask16((1u << part.count) - 1);
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(to, mask, (__m512)v);
  else _mm256_mask_storeu_epi16(to, mask, (__m256i)narrow(v));
#else
  T padded[kWidth];
  store(padded, v);
  std::memcpy(to, padded, part.count * sizeof(T));
#endif
}

// body(j, width) for j = 0, kWidth, 2 kWidth, … < n; `width` is Whole, or Part for the rest: pass it to load and store.
template <class Body>
TI_INLINE void over(int64_t n, Body &&body) {
  int64_t j = 0;
  for (; j + kWidth <= n; j += kWidth) body(j, Whole{});
  if (j < n) body(j, Part{int(n - j)});
}

// Lanes that hold no element become `filler`, so that a sum or a maximum over the vector ignores them.
TI_INLINE Vec fill_rest(Vec v, Whole, float) { return v; }
TI_INLINE Vec fill_rest(Vec v, Part part, float filler) {
  IntVec lane;
  for (int i = 0; i < kWidth; i++) lane[i] = i;
  return lane < part.count ? v : splat(filler);
}

// ---- arithmetic
// a · b + c, rounded once where the set has it: spelled out so that every path of a kernel does the same.
TI_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}
// The larger lane by lane; NaN if either is NaN.
TI_INLINE Vec maximum(Vec a, Vec b) {
  const Vec larger = a > b ? a : b;  // b where a is NaN, b (NaN) where b is NaN
  return a != a ? a : larger;
}
TI_INLINE Vec root(Vec v) {
#if defined(__AVX512F__)
  return (Vec)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX__)
  return (Vec)_mm256_sqrt_ps((__m256)v);
#else
  Vec out;
  for (int i = 0; i < kWidth; i++) out[i] = sqrtf(v[i]);
  return out;
#endif
}
TI_INLINE Vec nearest(Vec v) {
#if defined(__AVX512F__)
  return (Vec)_mm512_roundscale_ps((__m512)v, 0);
#elif defined(__AVX__)
  return (Vec)_mm256_round_ps((__m256)v, 0 | 8);
#else
  const Vec big = splat(12582912.f);  // 1.5 · 2^23: adding it leaves no fraction bits
  return (v + big) - big;
#endif
}

// a and b lane by lane in turns: the first half of both, or the second.
template <bool second>
TI_INLINE Vec interleave(Vec a, Vec b) {
#if defined(__AVX512F__)
  if constexpr (!second) return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  else return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif defined(__AVX__)
  if constexpr (!second) return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  else return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
  if constexpr (!second) return __builtin_shufflevector(a, b, 0, 4, 1, 5);
  else return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}

// A square of 32-bit words turned around its diagonal: a perfect shuffle of the rows for every bit of a lane's number.
TI_INLINE void transpose(Vec (&square)[kWidth]) {
#pragma GCC unroll 4
  for (int bit = 1; bit < kWidth; bit *= 2) {
    Vec shuffled[kWidth];
#pragma GCC unroll 8
    for (int i = 0; i < kWidth / 2; i++) {
      shuffled[2 * i] = interleave<false>(square[i], square[i + kWidth / 2]);
      shuffled[2 * i + 1] = interleave<true>(square[i], square[i + kWidth / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; i++) square[i] = shuffled[i];
  }
}

TI_INLINE bool any(IntVec mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#else
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

// Sum over lanes, always in the same tree.
TI_INLINE float sum(Vec v) {
  for (int half = kWidth / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) v[i] += v[i + half];
  return v[0];
}
// Largest lane; NaN if any is NaN.
TI_INLINE float maximum(Vec v) {
  float best = v[0];
  for (int i = 1; i < kWidth; i++) best = best > v[i] || best != best ? best : v[i];
  return best;
}

constexpr float kInfinity = __builtin_inff();

// The largest logit, NaN if any is NaN.
TI_INLINE float row_maximum(const float* x, int64_t width) {
  Vec best = splat(-kInfinity);
  over(width, [&](int64_t j, auto part) { best = maximum(best, fill_rest(load(x + j, part), part, -kInfinity)); });
  return maximum(best);
}

// e^x within 2 ulp (measured by test/tensor/native-rows.test.ts through the gates); results below 2^-126 are 0, above the
// largest float infinity, NaN stays NaN. Cody-Waite reduction by ln 2 in two parts, then a polynomial of degree 6.
TI_INLINE Vec exponential(Vec x) {
  const Vec tooSmall = splat(-87.336544f), tooLarge = splat(89.f);
  Vec y = x < tooSmall ? tooSmall : x;
  y = y > tooLarge ? tooLarge : y;
  const Vec n = nearest(y * splat(1.44269504f));
  Vec r = fma(n, splat(-0.693359375f), y);
  r = fma(n, splat(2.12194440e-4f), r);
  Vec p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p * r, r, r) + splat(1.f);
#if defined(__AVX512F__)
  const Vec scaled = (Vec)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  // 2^n in two factors, because n reaches 128. A NaN converts to some integer; p is NaN then and stays it.
  const IntVec whole = __builtin_convertvector(n, IntVec), first = whole >> 1, second = whole - first;
  const Vec scaled = p * (Vec)((first + 127) << 23) * (Vec)((second + 127) << 23);
#endif
  return x < tooSmall ? Vec{} : scaled;
}

}  // namespace ti::TI_SET
