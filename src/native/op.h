// A thin wrapper over TensorFlow's C API for ops and kernels.
//
// A kernel is a function `void compute(Op&)`. It reads its inputs with a check of dtype, rank and every dimension, allocates its
// outputs, and throws InvalidArgument on anything wrong; the wrapper turns exceptions into a TensorFlow status, which reaches
// JavaScript as a thrown Error. Everything is owned (RAII), so nothing leaks when a call fails.
//
// Rules for kernels: trust no dimension and no index read from a tensor. Allocate before an OpenMP region, never inside: an
// exception must not leave a parallel region. In-place ops read through `in_place` and say so where they are registered.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "bfloat16.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/tf_tensor.h"

namespace ti {

// A dimension that may have any length.
constexpr int64_t kAny = -1;

using Shape = std::vector<int64_t>;

struct InvalidArgument : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr TF_DataType value = TF_FLOAT;
};
template <>
struct DTypeOf<bf16> {
  static constexpr TF_DataType value = TF_BFLOAT16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr TF_DataType value = TF_INT32;
};

// A checked tensor: row-major data and its dimensions. `data` is null when the tensor is empty.
template <class T>
struct View {
  T* data = nullptr;
  Shape dims;
  int64_t size = 0;

  int64_t dim(size_t axis) const { return dims[axis]; }
  bool empty() const { return size == 0; }
  T& operator[](int64_t index) const { return data[index]; }
};

// What an op is called and takes, as given to register_op: "name: type".
struct OpSpec {
  std::string name;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;

  std::string input_name(int index) const;
};

// One call of an op.
class Op {
 public:
  Op(TF_OpKernelContext* context, const OpSpec& spec);
  ~Op();
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  TF_DataType dtype(int input) const { return TF_TensorType(inputs_[input]); }
  // The dtype that the caller asked for, for outputs whose type no input gives.
  TF_DataType output_dtype(int output) const { return TF_ExpectedOutputDataType(context_, output); }
  bool is_empty(int input) const { return TF_TensorElementCount(inputs_[input]) == 0; }

  // Input `index` as T with these dimensions (kAny: any length).
  template <class T>
  View<const T> input(int index, std::initializer_list<int64_t> dims) {
    return read<const T>(index, dims);
  }

  // The same, for an input that may be left out by passing a tensor without elements: then `data` is null.
  template <class T>
  View<const T> optional(int index, std::initializer_list<int64_t> dims) {
    return is_empty(index) ? View<const T>() : read<const T>(index, dims);
  }

  // The same, for an input whose buffer the op writes: the caller's tensor changes.
  template <class T>
  View<T> in_place(int index, std::initializer_list<int64_t> dims) {
    return read<T>(index, dims);
  }

  // Small integer settings, int32 [count].
  std::vector<int64_t> settings(int index, int64_t count);

  template <class T>
  View<T> output(int index, const Shape& dims) {
    View<T> view;
    view.dims = dims;
    view.size = element_count(dims);
    view.data = static_cast<T*>(allocate(index, DTypeOf<T>::value, dims, view.size * sizeof(T)));
    return view;
  }

  // Throws InvalidArgument naming the input.
  [[noreturn]] void reject(int input, const std::string& problem) const;
  void check(int input, bool condition, const char* problem) const {
    if (!condition) reject(input, problem);
  }

  // Checks that every value of an int32 input lies in [0, limit).
  void check_indices(int input, const View<const int32_t>& values, int64_t limit) const;

 private:
  template <class T>
  View<T> read(int index, std::initializer_list<int64_t> dims) {
    View<T> view;
    check_shape(index, DTypeOf<std::remove_const_t<T>>::value, dims, &view.dims);
    view.size = TF_TensorElementCount(inputs_[index]);
    view.data = view.size ? static_cast<T*>(TF_TensorData(inputs_[index])) : nullptr;
    return view;
  }

  void check_shape(int index, TF_DataType dtype, std::initializer_list<int64_t> dims, Shape* actual) const;
  int64_t element_count(const Shape& dims) const;
  void* allocate(int index, TF_DataType dtype, const Shape& dims, size_t bytes);

  TF_OpKernelContext* context_;
  const OpSpec& spec_;
  std::vector<TF_Tensor*> inputs_;
  std::vector<TF_Tensor*> outputs_;
};

// Memory for the length of a call, 64-byte aligned, not initialised. Throws std::bad_alloc.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count) {
    if (count <= 0) return;
    const size_t bytes = (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
    data_ = static_cast<T*>(std::aligned_alloc(64, bytes));
    if (data_ == nullptr) throw std::bad_alloc();
  }
  ~Scratch() { std::free(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() const { return data_; }

 private:
  T* data_ = nullptr;
};

// Calls body(T()) with T = float or bf16. The attributes T and U allow no other dtype.
template <class Body>
void with_type(TF_DataType dtype, Body&& body) {
  if (dtype == TF_BFLOAT16) return body(bf16());
  if (dtype == TF_FLOAT) return body(float());
  throw InvalidArgument("expected float32 or bfloat16");
}

using Compute = void (*)(Op&);

// Runs one call and reports what it throws as the op's status.
void run_guarded(Compute compute, const OpSpec& spec, TF_OpKernelContext* context) noexcept;

// Makes the op and its CPU kernel known to TensorFlow; throws std::runtime_error if TensorFlow refuses.
void register_with_tensorflow(const OpSpec& spec, void (*entry)(void*, TF_OpKernelContext*));

template <Compute compute>
struct Registered {
  static inline OpSpec spec;
  static void entry(void*, TF_OpKernelContext* context) { run_guarded(compute, spec, context); }
};

// inputs and outputs: "name: float | int32 | T | U"; T and U are bfloat16 or float. TensorFlow infers a type from the inputs; one
// that only outputs use must be passed as an attribute.
template <Compute compute>
void register_op(const char* name, std::vector<std::string> inputs, std::vector<std::string> outputs) {
  Registered<compute>::spec = OpSpec{name, std::move(inputs), std::move(outputs)};
  register_with_tensorflow(Registered<compute>::spec, &Registered<compute>::entry);
}

}  // namespace ti
