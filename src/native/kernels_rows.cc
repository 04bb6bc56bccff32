// Row-wise kernels of one instruction set, TI_SET: norms, rope, gates, loss, optimiser, sampling.
// Compiled without reordering of sums: a row's result must be the same bits whatever else is computed beside it.
#include "kernels/adamw.h"
#include "kernels/cross_entropy.h"
#include "kernels/gated.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/sample.h"

namespace ti::TI_SET {

template <class T>
constexpr RowKernels<T> row_kernels = {rms_norm<T>,          rms_norm_gradient<T>, rope_scratch, rope<T>, gated<T>, gated_gradient<T>, convert<T>,
                                       scatter_rows<T>, cross_entropy_gradient<T>};

extern const RowKernels<float> rows_f32 = row_kernels<float>;
extern const RowKernels<bf16> rows_bf16 = row_kernels<bf16>;
extern const LossKernels loss_kernels = {cross_entropy, adamw, squared_norm_scratch, squared_norm, sample_scratch, sample};

}  // namespace ti::TI_SET
