// Rotary position embedding of q and k, with the per-head RMSNorm that Qwen 3 and Gemma 3 put before it.
// Pairs are (j, j + d/2), the "rotate half" form of the Hugging Face checkpoints.
#pragma once
#include "rms_norm.h"
#include "vector.h"

namespace ti::TI_SET {

// cos and sin of position · frequency. The angle is rounded to float as transformers does; from there the error is 1 ulp at any
// position, because the reduction by pi/2 runs in double. Plain loop without branches: the compiler makes vectors of it.
static void rotation(int32_t position, const float* frequencies, int64_t half, float* cosines, float* sines) {
  for (int64_t j = 0; j < half; j++) {
    const float angle = float(position) * frequencies[j];
    const double quarter = __builtin_rint(double(angle) * 0.63661977236758134);
    const float r = float(double(angle) - quarter * 1.5707963267948966 - quarter * 6.123233995736766e-17);
    const double turn = quarter - 4 * __builtin_floor(quarter * 0.25);  // 0, 1, 2 or 3
    const float z = r * r;
    const float s = r + r * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
    const float c = 1.f - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
    const bool swap = turn == 1 || turn == 3;
    const float sine = swap ? c : s, cosine = swap ? s : c;
    sines[j] = turn >= 2 ? -sine : sine;
    cosines[j] = turn == 1 || turn == 2 ? -cosine : cosine;
  }
}

// Norm (unless null) and rotation of one head; `to` may be `from`.
template <class T, class U>
TI_INLINE void rotate_head(const T* from, const float* norm, float epsilon, const float* cosines, const float* sines, int64_t dim,
                               U* to) {
  const int64_t half = dim / 2;
  const float scale = norm ? inverse_rms(from, dim, epsilon) : 1.f;
  over(half, [&](int64_t j, auto part) {
    Vec a = load(from + j, part), b = load(from + half + j, part);
    if (norm) {
      a = a * scale * load(norm + j, part);
      b = b * scale * load(norm + half + j, part);
    }
    const Vec c = load(cosines + j, part), s = load(sines + j, part);
    store(to + j, fma(a, c, -(b * s)), part);
    store(to + half + j, fma(b, c, a * s), part);
  });
}

// The gradient of rotate_head: rotate back, then through the norm. x: the head as it was before norm and rotation.
template <class T>
TI_INLINE void rotate_head_gradient(const T* d, const T* x, const float* norm, float epsilon, const float* cosines,
                                        const float* sines, int64_t dim, T* to) {
  const int64_t half = dim / 2;
  const auto back = [&](int64_t j, auto part, Vec &da, Vec &db) {
    const Vec a = load(d + j, part), b = load(d + half + j, part), c = load(cosines + j, part), s = load(sines + j, part);
    da = fma(a, c, b * s);
    db = fma(b, c, -(a * s));
    if (norm) {
      da *= load(norm + j, part);
      db *= load(norm + half + j, part);
    }
  };
  float scale = 1.f, mean = 0.f;
  if (norm) {
    scale = inverse_rms(x, dim, epsilon);
    Vec products = {};
    over(half, [&](int64_t j, auto part) {
      Vec da, db;
      back(j, part, da, db);
      products = fma(da, load(x + j, part), fma(db, load(x + half + j, part), products));
    });
    mean = sum(products) / float(dim) * scale * scale * scale;
  }
  over(half, [&](int64_t j, auto part) {
    Vec da, db;
    back(j, part, da, db);
    if (norm) {
      da = da * scale - load(x + j, part) * mean;
      db = db * scale - load(x + half + j, part) * mean;
    }
    store(to + j, da, part);
    store(to + half + j, db, part);
  });
}

// Floats of scratch that rope() needs.
inline int64_t rope_scratch(int64_t dim) { return max_threads() * dim; }

// qkv T [rows, (H + 2K) d] -> the same, rotated; with `dRotated` given, the gradient instead (qkv is read only with QK norm).
template <class T>
static void rope(int64_t rows, const Heads& heads, const T* qkv, const T* dRotated, const int32_t* positions, const float* frequencies,
                 float* scratch, T* output) {
  const int64_t half = heads.dim / 2, rotated = heads.queries + heads.keys;
#pragma omp parallel if (rows >= kParallelRows)
  {
    float *cosines = scratch + thread_index() * heads.dim, *sines = cosines + half;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < rows; i++) {
      rotation(positions[i], frequencies, half, cosines, sines);
      const int64_t at = i * heads.row();
      for (int64_t h = 0; h < rotated; h++) {
        const int64_t o = at + h * heads.dim;
        const float* norm = heads.norm(h);
        if (dRotated) rotate_head_gradient(dRotated + o, qkv + o, norm, heads.epsilon, cosines, sines, heads.dim, output + o);
        else rotate_head(qkv + o, norm, heads.epsilon, cosines, sines, heads.dim, output + o);
      }
      const int64_t values = at + rotated * heads.dim;
      std::memcpy(output + values, (dRotated ? dRotated : qkv) + values, heads.keys * heads.dim * sizeof(T));
    }
  }
}

}  // namespace ti::TI_SET
