// Gated activations: activation(gate) · up over rows [gate | up], with SiLU (Llama, Qwen) or the tanh form of GELU (Gemma).
#pragma once
#include "rms_norm.h"
#include "vector.h"

namespace ti::TI_SET {

// The activation of x and its derivative.
struct Slope {
  Vec value, derivative;
};

TI_INLINE Vec logistic(Vec x) { return splat(1.f) / (splat(1.f) + exponential(-x)); }

template <Gate gate>
TI_INLINE Slope activate(Vec x) {
  const Vec one = splat(1.f);
  if constexpr (gate == Gate::silu) {
    const Vec s = logistic(x);
    return {x * s, s * (one + x * (one - s))};
  } else {
    // 0.5 x (1 + tanh u) = x · logistic(2u) with u = sqrt(2/pi) (x + 0.044715 x³)
    const Vec square = x * x;
    const Vec doubleU = splat(1.5957691216f) * x * (one + splat(0.044715f) * square);
    const Vec slopeU = splat(1.5957691216f) * (one + splat(0.134145f) * square);
    const Vec s = logistic(doubleU);
    // At x beyond the range of floats s (1 - s) is 0 while the slope overflows: the product must stay 0, not become NaN.
    const Vec bell = s * (one - s);
    const Vec bend = bell == Vec{} ? Vec{} : x * bell * slopeU;
    return {x * s, s + bend};
  }
}

template <Gate gate, class T>
static void gated_rows(int64_t rows, int64_t width, const T* gateUp, T* output) {
#pragma omp parallel for schedule(static) if (rows >= kParallelRows)
  for (int64_t i = 0; i < rows; i++) {
    const T* g = gateUp + i * 2 * width, *u = g + width;
    T* out = output + i * width;
    over(width, [&](int64_t j, auto part) { store(out + j, activate<gate>(load(g + j, part)).value * load(u + j, part), part); });
  }
}

template <Gate gate, class T>
static void gated_gradient_rows(int64_t rows, int64_t width, const T* gateUp, const T* dOutput, T* dGateUp, T* output) {
#pragma omp parallel for schedule(static) if (rows >= kParallelRows)
  for (int64_t i = 0; i < rows; i++) {
    const T* g = gateUp + i * 2 * width, *u = g + width, *d = dOutput + i * width;
    T* dg = dGateUp + i * 2 * width, *du = dg + width, *out = output + i * width;
    over(width, [&](int64_t j, auto part) {
      const Slope a = activate<gate>(load(g + j, part));
      const Vec up = load(u + j, part), dy = load(d + j, part);
      store(out + j, a.value * up, part);
      store(dg + j, dy * up * a.derivative, part);
      store(du + j, dy * a.value, part);
    });
  }
}

template <class T>
static void gated(Gate gate, int64_t rows, int64_t width, const T* gateUp, T* output) {
  if (gate == Gate::silu) gated_rows<Gate::silu>(rows, width, gateUp, output);
  else gated_rows<Gate::gelu_tanh>(rows, width, gateUp, output);
}

template <class T>
static void gated_gradient(Gate gate, int64_t rows, int64_t width, const T* gateUp, const T* dOutput, T* dGateUp, T* output) {
  if (gate == Gate::silu) gated_gradient_rows<Gate::silu>(rows, width, gateUp, dOutput, dGateUp, output);
  else gated_gradient_rows<Gate::gelu_tanh>(rows, width, gateUp, dOutput, dGateUp, output);
}

}  // namespace ti::TI_SET
