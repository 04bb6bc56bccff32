// Linear layers with LoRA: packing of weights.
#include "dispatch.h"
#include "op.h"
#include "ops.h"

namespace ti {
namespace {

// Packs a frozen weight [outputs, inputs], PyTorch's layout, as the operand [inputs, outputs] of the forward pass.
void pack_weight(Op& op) {
  const auto weight = op.input<float>(0, {kAny, kAny});
  const int64_t outputs = weight.dim(0), inputs = weight.dim(1);
  with_type(op.output_dtype(0), [&](auto type) {
    using T = decltype(type);
    const auto packed = op.output<T>(0, {packed_size<T>(inputs, outputs)});
    if (packed.empty()) return;
    kernels().of<T>().linear->pack({weight.data, inputs, outputs, 1, inputs, 1.0f, packed.data});
  });
}

}  // namespace

void register_linear_ops() { register_op<pack_weight>("TrueIntentsPackWeight", {"weight: float"}, {"packed: U"}); }

}  // namespace ti
