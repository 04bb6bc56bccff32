// Inputs that the decode ops share: caches of keys and values, written in place, and the rows that attend to them.
#pragma once
#include "head_inputs.h"

namespace ti {

template <class T>
CacheView<T> cache(Op& op, int keys, const Heads& heads) {
  const auto k = op.in_place<T>(keys, {kAny, heads.keys, kAny, heads.dim});
  const auto v = op.in_place<T>(keys + 1, {k.dim(0), heads.keys, k.dim(2), heads.dim});
  op.check(keys, k.dim(2) % kTokenBlock == 0, "the capacity must be a multiple of 16 tokens");
  op.check(keys, k.empty() || k.data != v.data, "keys and values must be different tensors");
  return {k.data, v.data, k.dim(0), k.dim(2)};
}

[[noreturn]] inline void reject_row(const Op& op, int input, int64_t row, const std::string& problem) {
  op.reject(input, "row " + std::to_string(row) + ": " + problem);
}

inline std::string outside(const char* what, int64_t value, int64_t limit) {
  return std::string(what) + " " + std::to_string(value) + " is outside [0, " + std::to_string(limit) + ")";
}

// Each row has its own completion slot; nobody reads a slot that this step writes, except its own row.
template <class T>
void check_rows(const Op& op, int input, const View<const int32_t>& rows, const CacheView<T>& prompts, const CacheView<T>& completions) {
  std::vector<bool> written(completions.slots);
  for (int64_t i = 0; i < rows.dim(0); i++) {
    const int64_t prompt_slot = rows[4 * i], prompt_length = rows[4 * i + 1], slot = rows[4 * i + 2], length = rows[4 * i + 3];
    if (prompt_length < 0 || prompt_length > prompts.capacity) reject_row(op, input, i, outside("prompt length", prompt_length, prompts.capacity + 1));
    if (prompt_length > 0 && (prompt_slot < 0 || prompt_slot >= prompts.slots)) reject_row(op, input, i, outside("prompt slot", prompt_slot, prompts.slots));
    if (slot < 0 || slot >= completions.slots) reject_row(op, input, i, outside("slot", slot, completions.slots));
    if (length < 0 || length >= completions.capacity) reject_row(op, input, i, outside("length", length, completions.capacity));
    if (written[slot]) reject_row(op, input, i, "slot " + std::to_string(slot) + " belongs to another row too");
    written[slot] = true;
  }
  if (prompts.keys != completions.keys) return;
  for (int64_t i = 0; i < rows.dim(0); i++) {
    if (rows[4 * i + 1] > 0 && written[rows[4 * i]]) reject_row(op, input, i, "prompt slot " + std::to_string(rows[4 * i]) + " is written in this step");
  }
}

// What decodeAttention takes beside qkv, from input `at` on: four caches, rows, frequencies, query and key norm, scale and epsilon of the
// norms, geometry. `row_count`: that of qkv, or kAny.
constexpr int kDecodeInputs = 10;
template <class T>
DecodeArguments<T> read_decode(Op& op, int at, int64_t row_count) {
  Geometry g = geometry(op, at + 9);
  const float scale = finite_setting(op, at + 8, 2, 0);
  read_norms(op, at + 6, at + 7, finite_setting(op, at + 8, 2, 1), &g.heads);
  const auto frequencies = op.input<float>(at + 5, {g.heads.dim / 2});
  const CacheView<T> prompts = cache<T>(op, at, g.heads), completions = cache<T>(op, at + 2, g.heads);
  const auto rows = op.input<int32_t>(at + 4, {row_count, 4});
  check_rows(op, at + 4, rows, prompts, completions);
  return {rows.dim(0), g.heads, scale, g.window, nullptr, prompts, completions, rows.data, frequencies.data};
}

}  // namespace ti
