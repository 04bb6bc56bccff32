// The groups of ops; each registers its own with TensorFlow.
#pragma once

namespace ti {

void register_linear_ops();
void register_row_ops();
void register_loss_ops();
void register_attention_ops();
void register_decode_ops();
void register_decode_block_op();

}  // namespace ti
