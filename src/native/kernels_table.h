// What one instruction set's kernels offer to the ops.
//
// kernels.cc and kernels_linear.cc are compiled once per instruction set and fill one KernelTable each; dispatch.cc chooses a
// table when the addon loads. Kernels know sizes and pointers only: all checking is done by the ops that call them.
#pragma once
#include "bfloat16.h"
#include "linear_layout.h"

namespace ti {

// kernels/pack.h and kernels/linear.h
template <class T>
struct LinearKernels {
  void (*pack)(const PackArguments<T>&);
};

template <class T>
struct TypedKernels {
  const LinearKernels<T>* linear;
};

struct KernelTable {
  const char* name;
  TypedKernels<float> f32;
  TypedKernels<bf16> bf16_;

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
