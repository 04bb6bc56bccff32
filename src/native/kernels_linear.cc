// The matmul kernels of one instruction set, TI_SET. Compiled once per set, and apart from kernels.cc because here the compiler
// may not reorder sums: a row's result must be the same bits whatever the number of rows beside it.
#include "kernels_table.h"
#include "kernels_set.h"

namespace ti::TI_SET {

#include "kernels/pack.h"

extern const LinearKernels<float> linear_f32 = {pack<float>};
extern const LinearKernels<bf16> linear_bf16 = {pack<bf16>};

}  // namespace ti::TI_SET
