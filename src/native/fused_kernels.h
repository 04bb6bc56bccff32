// The fused kernels beside the linear layers: what they are given, and one instruction set's table of them.
//
// The ops have checked every size and index. Kernels allocate nothing: where one needs scratch memory, the entry before it says
// how much (64-byte aligned, not initialised).
#pragma once
#include <cstdint>

#include "bfloat16.h"

namespace ti {

enum class Gate { silu = 0, gelu_tanh = 1 };

// How a row of q | k | v is cut into heads, and the per-head RMSNorm that some models apply to q and k.
struct Heads {
  int64_t queries, keys, dim;
  // float [dim] each, or null without QK norm.
  const float *query_norm, *key_norm;
  float epsilon;

  int64_t row() const { return (queries + 2 * keys) * dim; }
  int64_t group() const { return queries / keys; }
  const float* norm(int64_t head) const { return head < queries ? query_norm : key_norm; }
};

// The numbers one step of torch.optim.AdamW multiplies with. The caller computes them in double (1 - 0.999 in float is off by 1e-5).
struct AdamWStep {
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  // 1 - lr * weight decay; lr / (1 - beta1^t); 1 / sqrt(1 - beta2^t), t the number of this step from 1.
  float decay, rate, inverse_root_correction, epsilon;
  float gradient_scale;
};

// kernels/rms_norm.h, rope.h, gated.h, cross_entropy.h, adamw.h, sample.h
template <class T>
struct RowKernels {
  void (*rms_norm)(int64_t rows, int64_t width, const float* residual, const T* branch, const float* weight, float epsilon,
                   float* sum, T* normed, float* inverse_rms);
  void (*rms_norm_gradient)(int64_t rows, int64_t width, const float* sums, const float* inverse_rms, const float* weight,
                            const T* d_normed, const float* d_sum, float* d_residual, T* d_branch);
  int64_t (*rope_scratch)(int64_t dim);
  void (*rope)(int64_t rows, const Heads& heads, const T* qkv, const T* d_rotated, const int32_t* positions,
               const float* frequencies, float* scratch, T* output);
  void (*gated)(Gate gate, int64_t rows, int64_t width, const T* gate_up, T* output);
  void (*gated_gradient)(Gate gate, int64_t rows, int64_t width, const T* gate_up, const T* d_output, T* d_gate_up, T* output);
  void (*convert)(int64_t size, const float* from, T* to);
  void (*scatter_rows)(int64_t count, int64_t width, const T* from, const int32_t* rows, float* to);
  void (*cross_entropy_gradient)(int64_t rows, int64_t width, const float* logits, const int32_t* targets,
                                 const float* log_sum_exp, const float* weights, float temperature, T* d_logits);
};

// The same files: what always works on float32.
struct LossKernels {
  void (*cross_entropy)(int64_t rows, int64_t width, const float* logits, const int32_t* targets, float temperature, float* nll,
                        float* log_sum_exp);
  void (*adamw)(int64_t size, float* parameters, float* first, float* second, const float* gradient, const AdamWStep& step);
  int64_t (*squared_norm_scratch)(int64_t size);
  double (*squared_norm)(int64_t size, const float* x, double* scratch);
  int64_t (*sample_scratch)(int64_t width);
  int64_t (*sample)(int64_t rows, int64_t width, const float* logits, float temperature, float top_p, const float* uniforms,
                    float* scratch, int32_t* ids, float* log_probs);
};

// Packed rows of q | k | v after rope; segments int32 [count, 4]: query start, query length, prefix start, prefix length.
template <class T>
struct AttentionArguments {
  int64_t rows;
  Heads heads;
  float scale;
  int64_t window;  // 0: none
  const T* qkv;
  const int32_t* segments;
  int64_t segment_count;
};

// Keys and values of one layer, [slots, K, capacity, d] each, in the layout of kernels/decode.h.
template <class T>
struct CacheView {
  T *keys, *values;
  int64_t slots, capacity;  // capacity in tokens, a multiple of kTokenBlock

  T* keys_of(int64_t slot, int64_t head, const Heads& heads) const { return keys + offset(slot, head, heads); }
  T* values_of(int64_t slot, int64_t head, const Heads& heads) const { return values + offset(slot, head, heads); }

 private:
  int64_t offset(int64_t slot, int64_t head, const Heads& heads) const { return (slot * heads.keys + head) * capacity * heads.dim; }
};

constexpr int64_t kTokenBlock = 16;

// One new token a row, before rope; table int32 [rows, 4]: prompt slot, prompt length, slot, length.
template <class T>
struct DecodeArguments {
  int64_t rows;
  Heads heads;
  float scale;
  int64_t window;
  const T* qkv;
  CacheView<T> prompts, completions;
  const int32_t* table;
  const float* frequencies;
};

// kernels/attention.h and kernels/decode.h. Scratch is counted in bytes.
template <class T>
struct AttentionKernels {
  int64_t (*forward_scratch)(const AttentionArguments<T>&);
  void (*forward)(const AttentionArguments<T>&, char* scratch, T* output, float* log_sum_exp);
  int64_t (*backward_scratch)(const AttentionArguments<T>&);
  void (*backward)(const AttentionArguments<T>&, const T* output, const float* log_sum_exp, const T* d_output, char* scratch,
                   T* d_qkv);
  // segments int32 [count, 3]: first row, length, slot.
  void (*fill_cache)(const T* qkv, const Heads& heads, int64_t count, const int32_t* segments, const CacheView<T>& cache);
  int64_t (*decode_scratch)(const DecodeArguments<T>&);
  void (*decode)(const DecodeArguments<T>&, char* scratch, T* output);
};

}  // namespace ti
