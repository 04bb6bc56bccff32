// What one instruction set's kernels offer to the ops.
//
// kernels.cc and kernels_linear.cc are compiled once per instruction set and fill one KernelTable each; dispatch.cc chooses a
// table when the addon loads. Kernels know sizes and pointers only: all checking is done by the ops that call them.
#pragma once
#include "bfloat16.h"
#include "fused_kernels.h"
#include "linear_layout.h"

namespace ti {

// Elements that LinearKernels::peak reads.
constexpr int64_t kPeakOperands = 256 * 64;

// kernels/pack.h, kernels/linear.h, kernels/outer.h and kernels/peak.h
template <class T>
struct LinearKernels {
  // Steps to which the contraction of LoRA factors is padded.
  int64_t row_step;
  void (*pack)(const PackArguments<T>* jobs, int64_t count);
  // Forward pack [inputs, outputs] -> backward pack [outputs, inputs].
  void (*repack)(const T* forward, int64_t inputs, int64_t outputs, T* backward);
  // Rows `ids` of a packed [inputs, outputs] operand's columns, times scale.
  void (*embed)(const T* packed, int64_t inputs, const int32_t* ids, int64_t count, float scale, float* rows);
  // Bytes of scratch that a call needs.
  size_t (*linear_scratch)(const LinearArguments<T>&);
  void (*linear)(const LinearArguments<T>&, T* y);
  void (*linear_float)(const LinearArguments<T>&, float* y);
  size_t (*outer_scratch)(const OuterArguments<T>&);
  void (*outer)(const OuterArguments<T>&);
  // Multiplies a block that fits the first-level cache `repeats` times on every thread, and returns the operations done: what the
  // machine's peak is measured with. operands: zeros, kPeakOperands a thread.
  double (*peak)(const T* operands, int64_t repeats);
};

template <class T>
struct TypedKernels {
  const LinearKernels<T>* linear;
  const RowKernels<T>* rows;
  const AttentionKernels<T>* attention;
};

struct KernelTable {
  const char* name;
  TypedKernels<float> f32;
  TypedKernels<bf16> bf16_;
  const LossKernels* loss;

  template <class T>
  const TypedKernels<T>& of() const;
};

template <>
inline const TypedKernels<float>& KernelTable::of<float>() const {
  return f32;
}
template <>
inline const TypedKernels<bf16>& KernelTable::of<bf16>() const {
  return bf16_;
}

}  // namespace ti
