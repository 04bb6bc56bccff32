// All kernels of one instruction set, TI_SET, in one table. Compiled once per set; the headers under kernels/ are plain C++ over
// pointers and sizes and use no out-of-line library code, so that no function of this set can end up in another (a test checks).
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels_set.h"
#include "kernels_table.h"

#define TI_STRING_OF(name) #name
#define TI_STRING(name) TI_STRING_OF(name)

namespace ti::TI_SET {

extern const KernelTable table = {
    TI_STRING(TI_SET),
    {&linear_f32, &rows_f32, &attention_f32},
    {&linear_bf16, &rows_bf16, &attention_bf16},
    &loss_kernels,
};

}  // namespace ti::TI_SET
