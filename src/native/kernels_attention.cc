// Attention of one instruction set, TI_SET: packed segments for training and prompts, caches for decoding.
// Compiled without reordering of sums: a row's result must be the same bits whatever else is computed beside it.
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "fused_kernels.h"
#include "kernels_set.h"

namespace ti::TI_SET {
#include "kernels/engine.h"
#if defined(__AMX_BF16__) || defined(TI_EMULATE_AMX)
#include "kernels/engine_amx.h"
#endif
}  // namespace ti::TI_SET

#include "kernels/attention.h"
#include "kernels/attention_gradient.h"
#include "kernels/decode.h"

namespace ti::TI_SET {

template <class T>
constexpr AttentionKernels<T> attention_kernels = {attention_scratch<T>, attention<T>,      attention_gradient_scratch<T>, attention_gradient<T>,
                                                   fill_cache<T>,        decode_scratch<T>, decode_attention<T>};

extern const AttentionKernels<float> attention_f32 = attention_kernels<float>;
extern const AttentionKernels<bf16> attention_bf16 = attention_kernels<bf16>;

}  // namespace ti::TI_SET
