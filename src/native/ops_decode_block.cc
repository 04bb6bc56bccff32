// One transformer block of a decode step in one call: what rmsNorm, linear, decodeAttention and gated compute one after the other, to
// the same bits. With a few rows, the calls themselves would take as long as what is computed in them.
#include "decode_inputs.h"
#include "dispatch.h"
#include "linear_inputs.h"
#include "op.h"
#include "ops.h"

namespace ti {
namespace {

enum Input {
  kResidual,
  kBranch,
  kAttentionNorm,
  kPostAttentionNorm,
  kFeedforwardNorm,
  kPostFeedforwardNorm,
  kEpsilon,
  kActivation,
  kAttention,
  kQkv = kAttention + kDecodeInputs,
  kOutput = kQkv + kLinearInputs,
  kGateUp = kOutput + kLinearInputs,
  kDown = kGateUp + kLinearInputs,
};

template <class T>
class Block {
 public:
  explicit Block(Op& op)
      : op_(op),
        attention_(read_decode<T>(op, kAttention, kAny)),
        rows_(attention_.rows),
        qkv_(op, kQkv, linear_.row_step, false),
        output_(op, kOutput, linear_.row_step, false),
        gate_up_(op, kGateUp, linear_.row_step, false),
        down_(op, kDown, linear_.row_step, false),
        width_(qkv_.inner),
        epsilon_(finite_setting(op, kEpsilon, 1, 0)),
        gate_(read_gate(op, kActivation)),
        inverse_rms_(rows_) {
    const Heads& heads = attention_.heads;
    op.check(kEpsilon, epsilon_ >= 0, "must not be negative");
    check_layer(kQkv, qkv_, width_, heads.row());
    check_layer(kOutput, output_, heads.queries * heads.dim, width_);
    check_layer(kGateUp, gate_up_, width_, 2 * down_.inner);
    check_layer(kDown, down_, down_.inner, width_);
  }

  // -> residual float32 [rows, D], branch T [rows, D]: what enters the next block.
  void run() {
    const auto residual = op_.input<float>(kResidual, {rows_, width_});
    const auto branch = op_.optional<T>(kBranch, {rows_, width_});
    const auto next_residual = op_.output<float>(0, {rows_, width_});
    const auto next_branch = op_.output<T>(1, {rows_, width_});
    if (rows_ == 0) return;
    const int64_t size = rows_ * width_;
    const Scratch<float> sum(size);
    const Scratch<T> normed(size), added(size), qkv(rows_ * qkv_.outer), attended(rows_ * output_.inner),
        gate_up(rows_ * gate_up_.outer), gated(rows_ * down_.inner);

    norm(residual.data, branch.data, kAttentionNorm, sum.get(), normed.get());
    multiply(qkv_, normed.get(), qkv.get());
    attend(qkv.get(), attended.get());
    multiply(output_, attended.get(), added.get());
    normalise(kPostAttentionNorm, added.get());
    norm(sum.get(), added.get(), kFeedforwardNorm, next_residual.data, normed.get());
    multiply(gate_up_, normed.get(), gate_up.get());
    kernels().of<T>().rows->gated(gate_, rows_, down_.inner, gate_up.get(), gated.get());
    multiply(down_, gated.get(), next_branch.data);
    normalise(kPostFeedforwardNorm, next_branch.data);
  }

 private:
  void check_layer(int input, const LinearInputs<T>& layer, int64_t inner, int64_t outer) const {
    if (layer.inner == inner && layer.outer == outer) return;
    op_.reject(input + 2, "expected a layer of " + std::to_string(inner) + " -> " + std::to_string(outer) + ", got " +
                              std::to_string(layer.inner) + " -> " + std::to_string(layer.outer));
  }

  void norm(const float* residual, const T* branch, int weight, float* sum, T* normed) {
    kernels().of<T>().rows->rms_norm(rows_, width_, residual, branch, op_.input<float>(weight, {width_}).data, epsilon_, sum, normed,
                                     inverse_rms_.get());
  }

  // In place; nothing without this norm.
  void normalise(int weight, T* x) {
    if (op_.is_empty(weight)) return;
    const Scratch<float> sum(rows_ * width_);
    norm(nullptr, x, weight, sum.get(), x);
  }

  void multiply(const LinearInputs<T>& layer, const T* x, T* y) {
    const Scratch<T> projected(rows_ * layer.plan.ranks);
    LinearArguments<T> arguments = layer.arguments(x, rows_, projected.get());
    const Scratch<char> scratch(static_cast<int64_t>(linear_.linear_scratch(arguments)));
    arguments.scratch = scratch.get();
    linear_.linear(arguments, y);
  }

  void attend(const T* qkv, T* attended) {
    attention_.qkv = qkv;
    const AttentionKernels<T>& kernel = *kernels().of<T>().attention;
    const Scratch<char> scratch(kernel.decode_scratch(attention_));
    kernel.decode(attention_, scratch.get(), attended);
  }

  Op& op_;
  const LinearKernels<T>& linear_ = *kernels().of<T>().linear;
  DecodeArguments<T> attention_;
  const int64_t rows_;
  const LinearInputs<T> qkv_, output_, gate_up_, down_;
  const int64_t width_;
  const float epsilon_;
  const Gate gate_;
  const Scratch<float> inverse_rms_;
};

void decode_block(Op& op) {
  with_type(op.dtype(kBranch), [&](auto type) { Block<decltype(type)>(op).run(); });
}

void add_layer(std::vector<std::string>& inputs, const std::string& name) {
  for (const char* input : {"_weight: T", "_bias: float", "_layout: int32", "_first_factor: T", "_second_factor: T"}) {
    inputs.push_back(name + input);
  }
}

}  // namespace

void register_decode_block_op() {
  std::vector<std::string> inputs = {
      "residual: float",       "branch: T",           "attention_norm: float",    "post_attention_norm: float", "feedforward_norm: float",
      "post_feedforward_norm: float", "epsilon: float", "activation: int32",      "prompt_keys: T",             "prompt_values: T",
      "completion_keys: T",    "completion_values: T", "rows: int32",             "frequencies: float",         "query_norm: float",
      "key_norm: float",       "scale_epsilon: float", "geometry: int32"};
  for (const char* layer : {"qkv", "output", "gate_up", "down"}) add_layer(inputs, layer);
  register_op<decode_block>("TrueIntentsDecodeBlock", std::move(inputs), {"next_residual: float", "next_branch: T"});
}

}  // namespace ti
