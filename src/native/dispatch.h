// Which instruction set's kernels this process uses.
#pragma once
#include <string>
#include <vector>

#include "kernels_table.h"

namespace ti {

// The sets that this build holds and this CPU can run, best first.
std::vector<const KernelTable*> available_kernels();

// Chooses the table: the best available, or the one that the environment variable TRUE_INTENTS_KERNELS names.
// Throws std::runtime_error naming the available sets if that one is not among them. Called once, when the addon loads.
void choose_kernels();

const KernelTable& kernels();

}  // namespace ti
