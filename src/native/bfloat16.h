// bfloat16 as stored: the upper half of a float32. Arithmetic is done in float32; rounding is to nearest even.
#pragma once
#include <cstdint>
#include <cstring>

// Everything that kernels share is forced inline: kernels are compiled once per instruction set, and an out-of-line copy of a
// shared function could be linked from a set that this CPU lacks.
#define TI_INLINE static inline __attribute__((always_inline, unused))

namespace ti {

struct bf16 {
  uint16_t bits;
};

TI_INLINE float to_float(float x) { return x; }

TI_INLINE float to_float(bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

TI_INLINE void store(float* to, float value) { *to = value; }

TI_INLINE void store(bf16* to, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  // Rounding up would turn a NaN with a full mantissa into infinity or zero: keep it a quiet NaN.
  const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
  to->bits = static_cast<uint16_t>(is_nan ? (bits >> 16) | 0x40 : rounded);
}

}  // namespace ti
