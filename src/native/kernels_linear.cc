// The matmul kernels of one instruction set, TI_SET. Compiled without reordering of sums: a row's result must be the same bits
// whatever the rows beside it.
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels_set.h"
#include "kernels_table.h"

namespace ti::TI_SET {
namespace {

#include "kernels/engine.h"
#include "kernels/linear.h"
#include "kernels/outer.h"
#include "kernels/pack.h"
#include "kernels/peak.h"

using FloatEngine = RegisterEngine<float, float>;
#if defined(__AMX_BF16__) || defined(TI_EMULATE_AMX)
#include "kernels/engine_amx.h"
using Bfloat16Engine = AmxEngine;
#elif defined(__AVX512BF16__)
using Bfloat16Engine = RegisterEngine<bf16, bf16>;
#else
using Bfloat16Engine = RegisterEngine<float, bf16>;
#endif

template <class E, class T>
constexpr LinearKernels<T> kernels_of() {
  return {E::kStep,
          pack<T>,
          repack<T>,
          embed<T>,
          linear_scratch<E, T>,
          linear<E, T, T>,
          linear<E, T, float>,
          outer_scratch<E, T>,
          outer<E, T>,
          peak<E, T>};
}

}  // namespace

extern const LinearKernels<float> linear_f32 = kernels_of<FloatEngine, float>();
extern const LinearKernels<bf16> linear_bf16 = kernels_of<Bfloat16Engine, bf16>();

}  // namespace ti::TI_SET
