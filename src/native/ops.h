// The groups of ops; each registers its own with TensorFlow.
#pragma once

namespace ti {

void register_linear_ops();

}  // namespace ti
