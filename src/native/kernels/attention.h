// Causal attention over packed segments, forward: scores, softmax and weighted values block by block, never a whole S x S matrix.
//
// First all keys and values are packed, then tasks of one head and some query rows run: a chunk of rows meets its keys block by
// block (kKeyBlock) with a running maximum and sum (online softmax). Chunks and blocks count from the segment's own start and from
// the prefix's start, so a row's result depends on its segment alone.
#pragma once
#include "attention_pack.h"

namespace ti::TI_SET {

constexpr int64_t kKeyBlock = 256;
// Query rows of one task; a multiple of every engine's rows.
constexpr int64_t kTaskRows = 96;

// A run of packed keys: [start, start + length) of the rows. Two for each segment at most; equal neighbours share one.
struct Run {
  int64_t start, length;
  int64_t offset;  // keys (padded) before it
};

// Which runs a segment reads; index -1: none.
struct Reader {
  int64_t prefix, own;
};

// Lists the runs of all segments. With null tables it only counts. Returns padded keys of all runs; `count`: the number of runs.
TI_INLINE int64_t list_runs(const int32_t* segments, int64_t segment_count, Run* runs, Reader* readers, int64_t* count) {
  int64_t keys = 0, listed = 0;
  Run recent[2] = {{0, 0, 0}, {0, 0, 0}};  // the last prefix and the last own run
  int64_t recent_index[2] = {-1, -1};
  const auto find = [&](int64_t start, int64_t length, int which) -> int64_t {
    if (length == 0) return -1;
    for (int i = 0; i < 2; i++)
      if (recent_index[i] >= 0 && recent[i].start == start && recent[i].length == length) {
        recent[which] = recent[i];
        return recent_index[which] = recent_index[i];
      }
    recent[which] = {start, length, keys};
    if (runs) runs[listed] = recent[which];
    keys += padded(length);
    return recent_index[which] = listed++;
  };
  for (int64_t s = 0; s < segment_count; s++) {
    const Segment segment = segment_of(segments, s);
    const int64_t prefix = find(segment.prefix_start, segment.prefix_length, 0), own = find(segment.start, segment.length, 1);
    if (readers) readers[s] = {prefix, own};
  }
  *count = listed;
  return keys;
}

template <class T>
struct AttentionLayout {
  using Element = ElementOf<T>;
  static constexpr int64_t kRows = EngineOf<T>::kRows;

  int64_t run_count, keys;
  Run* runs;
  Reader* readers;
  int64_t* first_task;  // [segments + 1]: tasks of one head before each segment
  Element *packed_keys, *packed_values;  // per kv head: all runs
  char* threads;
  int64_t thread_bytes, bytes;
  // In a thread's scratch.
  struct Mine {
    Element *queries, *weights;
    float *scores, *sums, *largest, *total;
  };

  AttentionLayout(const AttentionArguments<T>& a, char* scratch) {
    const int64_t wide = padded(a.heads.dim);
    Pieces pieces{scratch};
    readers = pieces.take<Reader>(a.segment_count);
    first_task = pieces.take<int64_t>(a.segment_count + 1);
    runs = pieces.take<Run>(2 * a.segment_count);
    keys = list_runs(a.segments, a.segment_count, runs, readers, &run_count);
    packed_keys = pieces.take<Element>(a.heads.keys * keys * wide);
    packed_values = pieces.take<Element>(a.heads.keys * keys * wide);
    Pieces counting{nullptr};
    cut(counting, wide);
    thread_bytes = counting.used;
    threads = pieces.take<char>(thread_bytes * max_threads());
    bytes = pieces.used;
  }

  static Mine cut(Pieces& pieces, int64_t wide) {
    return {pieces.take<Element>(padded(kRows) * wide), pieces.take<Element>(padded(kRows) * kKeyBlock),
            pieces.take<float>(padded(kRows) * kKeyBlock), pieces.take<float>(padded(kRows) * wide),
            pieces.take<float>(padded(kRows)), pieces.take<float>(padded(kRows))};
  }

  Mine mine(int64_t wide) const {
    Pieces pieces{threads + thread_index() * thread_bytes};
    return cut(pieces, wide);
  }
};

template <class T>
static int64_t attention_scratch(const AttentionArguments<T>& a) {
  return AttentionLayout<T>(a, nullptr).bytes;
}

// Keys [from, to) of one run that a chunk of query rows meets at once. Row r of the chunk sees those in [low + r, high + r):
// `low` and `high` are negative or beyond the block where the bound lies outside it.
struct KeyBlock {
  int64_t from, to;
  int64_t low, high;
};

// One block: scores, online softmax, weighted values.
template <class T>
TI_INLINE void attend_block(const AttentionArguments<T>& a, EngineOf<T>& engine, const typename AttentionLayout<T>::Mine& m, int64_t rows,
                            const KeyBlock& block, const ElementOf<T>* keys, const ElementOf<T>* values, int64_t run_length) {
  const int64_t wide = padded(a.heads.dim), count = block.to - block.from, all = padded(count);
  product<false>(engine, rows, all, m.queries, wide, keys + block.from * wide, wide * kPanelColumns, wide, m.scores, kKeyBlock);
  for (int64_t r = 0; r < rows; r++) {
    float* s = m.scores + r * kKeyBlock;
    ElementOf<T>* w = m.weights + r * kKeyBlock;
    // Of the block's keys this row sees [low, high).
    const int64_t low = least(count, most(0, block.low + r - block.from)), high = most(low, least(count, block.high + r - block.from));
    for (int64_t j = 0; j < low; j++) s[j] = -kInfinity;
    for (int64_t j = high; j < all; j++) s[j] = -kInfinity;
    Vec best = splat(-kInfinity);
    for (int64_t j = 0; j < all; j += kWidth) best = maximum(best, load(s + j) * a.scale);
    const float before = m.largest[r], here = maximum(best);
    const float top = here > before || here != here ? here : before;
    const float shift = top == -kInfinity ? 0.f : top;  // nothing seen yet: all weights become 0, not NaN
    Vec total = {};
    for (int64_t j = 0; j < all; j += kWidth) {
      const Vec e = exponential(load(s + j) * a.scale - shift);
      store(w + j, e);
      total += e;
    }
    const float fade = exponential(splat(before - shift))[0];
    m.largest[r] = top;
    m.total[r] = m.total[r] * fade + sum(total);
    for (int64_t j = 0; j < wide; j += kWidth) store(m.sums + r * wide + j, load(m.sums + r * wide + j) * fade);
  }
  product<true>(engine, rows, a.heads.dim, m.weights, kKeyBlock, values + block.from * kPanelColumns, padded(run_length) * kPanelColumns, all,
                m.sums, wide);
}

// Rows [first, first + rows) of a segment, one head.
template <class T>
static void attend_chunk(const AttentionArguments<T>& a, const AttentionLayout<T>& layout, EngineOf<T>& engine, int64_t s, int64_t head,
                         int64_t first, int64_t rows, T* output, float* log_sum_exp) {
  const Heads& heads = a.heads;
  const int64_t wide = padded(heads.dim), kv_head = head / heads.group();
  const Segment segment = segment_of(a.segments, s);
  const Reader reader = layout.readers[s];
  const auto m = layout.mine(wide);
  copy_rows(a.qkv + (segment.start + first) * heads.row() + head * heads.dim, heads.row(), rows, heads.dim, m.queries);
  for (int64_t r = 0; r < rows; r++) m.largest[r] = -kInfinity, m.total[r] = 0.f;
  for (int64_t j = 0; j < rows * wide; j++) m.sums[j] = 0.f;

  // Row `first` sees keys [low, high) of the context (prefix, then own); the next row's bounds are one higher.
  const int64_t position = segment.prefix_length + first, low = a.window > 0 ? position + 1 - a.window : -rows, high = position + 1;
  for (int own = 0; own < 2; own++) {
    const int64_t run_index = own ? reader.own : reader.prefix, before = own ? segment.prefix_length : 0;
    if (run_index < 0) continue;
    const Run& run = layout.runs[run_index];
    const int64_t end = least(run.length, high - before + rows - 1);
    const int64_t at = kv_head * layout.keys + run.offset;
    for (int64_t from = most(0, low - before) / kKeyBlock * kKeyBlock; from < end; from += kKeyBlock) {
      const int64_t begin = most(from, most(0, low - before) / kPad * kPad);
      attend_block(a, engine, m, rows, {begin, least(end, from + kKeyBlock), low - before, high - before}, layout.packed_keys + at * wide,
                   layout.packed_values + at * wide, run.length);
    }
  }

  for (int64_t r = 0; r < rows; r++) {
    const int64_t row = segment.start + first + r;
    const float inverse = 1.f / m.total[r];
    T* out = output + (row * heads.queries + head) * heads.dim;
    over(heads.dim, [&](int64_t j, auto part) { store(out + j, load(m.sums + r * wide + j, part) * inverse, part); });
    log_sum_exp[head * a.rows + row] = m.largest[r] + logf(m.total[r]);
  }
}

// -> output T [rows, H d], log_sum_exp float [H, rows]; rows of no segment get zeros.
template <class T>
static void attention(const AttentionArguments<T>& a, char* scratch, T* output, float* log_sum_exp) {
  const Heads& heads = a.heads;
  const AttentionLayout<T> layout(a, scratch);
  const int64_t wide = padded(heads.dim);
  layout.first_task[0] = 0;
  for (int64_t s = 0; s < a.segment_count; s++) {
    layout.first_task[s + 1] = layout.first_task[s] + (a.segments[4 * s + 1] + kTaskRows - 1) / kTaskRows;
  }
  const int64_t tasks = layout.first_task[a.segment_count];
  std::memset(output, 0, a.rows * heads.queries * heads.dim * sizeof(T));
  std::memset(log_sum_exp, 0, a.rows * heads.queries * sizeof(float));

#pragma omp parallel
  {
    EngineOf<T> engine;
#pragma omp for schedule(dynamic)
    for (int64_t job = 0; job < 2 * layout.run_count * heads.keys; job++) {
      const Run& run = layout.runs[job / 2 / heads.keys];
      const int64_t kv_head = job / 2 % heads.keys, at = (kv_head * layout.keys + run.offset) * wide;
      const T* rows = a.qkv + run.start * heads.row() + (heads.queries + kv_head) * heads.dim;
      if (job % 2 == 0) pack_as_columns(rows, heads.row(), run.length, heads.dim, layout.packed_keys + at);
      else pack_as_k(rows + heads.keys * heads.dim, heads.row(), run.length, heads.dim, layout.packed_values + at);
    }
    // The longest rows of keys first: the last segments' tasks are the small change that evens the threads out.
    int64_t s = 0;
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < tasks * heads.queries; task++) {
      const int64_t piece = task / heads.queries, head = task % heads.queries;
      while (layout.first_task[s] > piece) s--;
      while (layout.first_task[s + 1] <= piece) s++;
      const int64_t first = (piece - layout.first_task[s]) * kTaskRows, length = a.segments[4 * s + 1];
      for (int64_t row = first; row < least(length, first + kTaskRows); row += EngineOf<T>::kRows) {
        attend_chunk(a, layout, engine, s, head, row, least(EngineOf<T>::kRows, length - row), output, log_sum_exp);
      }
    }
  }
}

}  // namespace ti::TI_SET
