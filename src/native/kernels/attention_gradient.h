// The gradient of attention. Everything is transposed: rows are keys and columns queries, so that the weights and their gradients
// come out as the left operands of dV and dK, and packed as the right operand of dQ, without turning a block around.
//
//   Pᵀ = exp(scale K Qᵀ - logSumExp)      dPᵀ = V dOᵀ      dSᵀ = scale Pᵀ (dPᵀ - delta), delta = sum of O dO over a row
//   dV += Pᵀ dO      dK += dSᵀ Q      dQᵀ += Kᵀ dSᵀ
//
// Work comes in blocks of kGradientKeys x kGradientQueries. With many segments a task is a segment and a kv head, and each block is
// computed once. With few, tasks are finer: one block of keys (for dK, dV) or of queries (for dQ), and each block is computed
// twice. Both add the same blocks in the same order: the bits do not depend on the number of threads.
// Each segment has its own sums of dK and dV, for its prefix too; they are added up in the order of the segments.
#pragma once
#include "attention.h"

namespace ti::TI_SET {

constexpr int64_t kGradientKeys = 96, kGradientQueries = 128;

template <class T>
struct GradientLayout {
  using Element = ElementOf<T>;
  static constexpr int64_t kRows = EngineOf<T>::kRows;

  // Where a segment's padded queries, and its sums for prefix and own keys, begin.
  struct Place {
    int64_t queries, prefix_sums, own_sums;
  };
  int64_t run_count, keys, queries = 0, sum_rows = 0, longest = 0, wide;
  Run* runs;
  Reader* readers;
  Place* places;
  Element *key_rows, *value_rows, *turned_keys;                            // per kv head: all runs
  Element *query_columns, *gradient_columns, *query_panels, *gradient_panels;  // per head: all segments
  float *log_sum_exp, *delta;                                              // per head: padded queries of all segments
  float *d_keys, *d_values;                                                // [K][sum_rows][wide]
  char* threads;
  int64_t thread_bytes, bytes;
  struct Mine {
    float *scores, *d_weights;
    Element *weights, *d_scores, *packed;
    float *d_queries, *row;
  };

  GradientLayout(const AttentionArguments<T>& a, char* scratch) : wide(padded(a.heads.dim)) {
    Pieces pieces{scratch};
    readers = pieces.take<Reader>(a.segment_count);
    places = pieces.take<Place>(a.segment_count);
    runs = pieces.take<Run>(2 * a.segment_count);
    keys = list_runs(a.segments, a.segment_count, runs, readers, &run_count);
    for (int64_t s = 0; s < a.segment_count; s++) {
      const Segment segment = segment_of(a.segments, s);
      if (places) places[s] = {queries, sum_rows, sum_rows + segment.prefix_length};
      queries += padded(segment.length);
      sum_rows += segment.keys();
      longest = most(longest, padded(segment.length));
    }
    key_rows = pieces.take<Element>(a.heads.keys * keys * wide);
    value_rows = pieces.take<Element>(a.heads.keys * keys * wide);
    turned_keys = pieces.take<Element>(a.heads.keys * keys * wide);
    query_columns = pieces.take<Element>(a.heads.queries * queries * wide);
    gradient_columns = pieces.take<Element>(a.heads.queries * queries * wide);
    query_panels = pieces.take<Element>(a.heads.queries * queries * wide);
    gradient_panels = pieces.take<Element>(a.heads.queries * queries * wide);
    log_sum_exp = pieces.take<float>(a.heads.queries * queries);
    delta = pieces.take<float>(a.heads.queries * queries);
    d_keys = pieces.take<float>(a.heads.keys * sum_rows * wide);
    d_values = pieces.take<float>(a.heads.keys * sum_rows * wide);
    Pieces counting{nullptr};
    cut(counting);
    thread_bytes = counting.used;
    threads = pieces.take<char>(thread_bytes * max_threads());
    bytes = pieces.used;
  }

  Mine cut(Pieces& pieces) const {
    const int64_t area = padded(kRows) * kGradientQueries;
    return {pieces.take<float>(area),   pieces.take<float>(area),
            pieces.take<Element>(area), pieces.take<Element>(area),
            pieces.take<Element>(kGradientKeys * kGradientQueries), pieces.take<float>(wide * most(longest, kGradientQueries)),
            pieces.take<float>(2 * wide)};
  }

  Mine mine() const {
    Pieces pieces{threads + thread_index() * thread_bytes};
    return cut(pieces);
  }
};

template <class T>
static int64_t attention_gradient_scratch(const AttentionArguments<T>& a) {
  return GradientLayout<T>(a, nullptr).bytes;
}

// Keys [from, to) of a run, `before` keys of the segment's context ahead of the run, and queries [first, last) of the segment.
struct GradientBlock {
  bool own;  // or of the prefix
  int64_t run, before, from, to;
  int64_t first, last;
};

// The calls' common arguments: one segment and one head of it.
template <class T>
struct GradientTask {
  const AttentionArguments<T>& a;
  const GradientLayout<T>& layout;
  Segment segment;
  Reader reader;
  typename GradientLayout<T>::Place place;
  int64_t head, kv_head;

  GradientTask(const AttentionArguments<T>& a, const GradientLayout<T>& layout, int64_t s, int64_t head)
      : a(a), layout(layout), segment(segment_of(a.segments, s)), reader(layout.readers[s]), place(layout.places[s]), head(head),
        kv_head(head / a.heads.group()) {}

  int64_t query_at() const { return head * layout.queries + place.queries; }
  // Queries that see some key of the context range [from, to).
  int64_t first_query(int64_t from) const { return most(0, from - segment.prefix_length); }
  int64_t last_query(int64_t to) const {
    return a.window > 0 ? most(0, least(segment.length, to - 1 - segment.prefix_length + a.window)) : segment.length;
  }
};

// Weights and their gradients of one key row: columns [0, count), of which the row's key is seen by [low, high).
template <class X>
TI_INLINE void gradient_row(const float* scores, const float* d_weights, const float* log_sum_exp, const float* delta, float scale,
                            int64_t count, int64_t low, int64_t high, X* weights, X* d_scores) {
  const bool all = low <= 0 && high >= count;
  IntVec lane;
  for (int i = 0; i < kWidth; i++) lane[i] = i;
  for (int64_t j = 0; j < count; j += kWidth) {
    Vec p = exponential(load(scores + j) * scale - load(log_sum_exp + j));
    Vec d = p * (load(d_weights + j) - load(delta + j)) * scale;
    if (!all) {
      const IntVec column = lane + int32_t(j), seen = (column >= int32_t(low)) & (column < int32_t(high));
      p = seen ? p : Vec{};
      d = seen ? d : Vec{};
    }
    store(weights + j, p);
    store(d_scores + j, d);
  }
}

// One block: adds to dK and dV of its keys and (or) to dQᵀ, [dim][stride] with column 0 for query `first_column`.
template <class T>
static void gradient_block(const GradientTask<T>& t, EngineOf<T>& engine, const typename GradientLayout<T>::Mine& m,
                           const GradientBlock& b, bool for_keys, bool for_queries, float* d_queries, int64_t stride) {
  using Element = ElementOf<T>;
  constexpr int64_t kRows = EngineOf<T>::kRows, kQ = kGradientQueries, kPanel = kGradientKeys * kPanelColumns;
  const GradientLayout<T>& layout = t.layout;
  const int64_t wide = layout.wide, dim = t.a.heads.dim;
  const Run& run = layout.runs[b.run];
  const int64_t key_at = (t.kv_head * layout.keys + run.offset) * wide, query_at = t.query_at() * wide;
  const int64_t panel_size = padded(t.segment.length) * kPanelColumns;
  const int64_t sums = (t.kv_head * layout.sum_rows + (b.own ? t.place.own_sums : t.place.prefix_sums)) * wide;
  if (t.first_query(b.before + b.from) >= b.last || t.last_query(b.before + b.to) <= b.first) return;
  if (for_queries) std::memset(m.packed, 0, kGradientKeys * padded(b.last - b.first) * sizeof(Element));

  for (int64_t key = b.from; key < b.to; key += kRows) {
    const int64_t rows = least(kRows, b.to - key), context = b.before + key;
    const int64_t low = most(b.first, t.first_query(context)), high = least(b.last, t.last_query(context + rows));
    if (low >= high) continue;
    const int64_t begin = b.first + (low - b.first) / kPad * kPad, count = padded(high - begin);
    product<false>(engine, rows, count, layout.key_rows + key_at + key * wide, wide, layout.query_columns + query_at + begin * wide,
                   wide * kPanelColumns, wide, m.scores, kQ);
    product<false>(engine, rows, count, layout.value_rows + key_at + key * wide, wide, layout.gradient_columns + query_at + begin * wide,
                   wide * kPanelColumns, wide, m.d_weights, kQ);
    for (int64_t r = 0; r < rows; r++) {
      const int64_t first = t.first_query(context + r) - begin, last = t.last_query(context + r + 1) - begin;
      gradient_row(m.scores + r * kQ, m.d_weights + r * kQ, layout.log_sum_exp + t.query_at() + begin, layout.delta + t.query_at() + begin,
                   t.a.scale, count, first, last, m.weights + r * kQ, m.d_scores + r * kQ);
    }
    if (for_keys) {
      product<true>(engine, rows, dim, m.weights, kQ, layout.gradient_panels + query_at + begin * kPanelColumns, panel_size, count,
                    layout.d_values + sums + key * wide, wide);
      product<true>(engine, rows, dim, m.d_scores, kQ, layout.query_panels + query_at + begin * kPanelColumns, panel_size, count,
                    layout.d_keys + sums + key * wide, wide);
    }
    if (for_queries) {
      pack_rows(m.d_scores, kQ, key - b.from, rows, rows, count, kPanel, m.packed + (begin - b.first) / kPanelColumns * kPanel);
    }
  }
  if (for_queries) {
    product<true>(engine, dim, padded(b.last - b.first), layout.turned_keys + key_at + b.from, padded(run.length), m.packed, kPanel,
                  padded(b.to - b.from), d_queries, stride);
  }
}

// Calls body(block) for all blocks of keys of a segment, prefix first; queries [first, last).
template <class T, class Body>
TI_INLINE void each_key_block(const GradientTask<T>& t, int64_t first, int64_t last, Body&& body) {
  for (int own = 0; own < 2; own++) {
    const int64_t length = own ? t.segment.length : t.segment.prefix_length;
    for (int64_t from = 0; from < length; from += kGradientKeys) {
      body(GradientBlock{own == 1, own ? t.reader.own : t.reader.prefix, own ? t.segment.prefix_length : 0, from, least(length, from + kGradientKeys),
                         first, last});
    }
  }
}

// dQᵀ [dim][stride] -> rows [first, last) of the segment's head.
template <class T>
TI_INLINE void put_queries(const GradientTask<T>& t, const float* d_queries, int64_t stride, int64_t first, int64_t last, T* d_qkv) {
  const Heads& heads = t.a.heads;
  for (int64_t i = first; i < last; i += kWidth)
    for (int64_t j = 0; j < heads.dim; j += kWidth) {
      Vec square[kWidth];
      for (int c = 0; c < kWidth; c++) square[c] = j + c < heads.dim ? load(d_queries + (j + c) * stride + i - first) : Vec{};
      transpose(square);
      for (int64_t r = 0; r < least(kWidth, last - i); r++) {
        T* to = d_qkv + (t.segment.start + i + r) * heads.row() + t.head * heads.dim + j;
        if (heads.dim - j >= kWidth) store(to, square[r]);
        else store(to, square[r], Part{int(heads.dim - j)});
      }
    }
}

// Queries and gradients of one segment and head in all their forms.
template <class T>
static void prepare_queries(const GradientTask<T>& t, const T* output, const float* log_sum_exp, const T* d_output) {
  const Heads& heads = t.a.heads;
  const GradientLayout<T>& layout = t.layout;
  const int64_t at = t.query_at() * layout.wide, length = t.segment.length, width = heads.queries * heads.dim;
  const T* queries = t.a.qkv + t.segment.start * heads.row() + t.head * heads.dim;
  const T* gradients = d_output + t.segment.start * width + t.head * heads.dim;
  const T* outputs = output + t.segment.start * width + t.head * heads.dim;
  pack_as_columns(queries, heads.row(), length, heads.dim, layout.query_columns + at);
  pack_as_columns(gradients, width, length, heads.dim, layout.gradient_columns + at);
  pack_as_k(queries, heads.row(), length, heads.dim, layout.query_panels + at);
  pack_as_k(gradients, width, length, heads.dim, layout.gradient_panels + at);
  for (int64_t i = 0; i < padded(length); i++) {
    Vec products = {};
    if (i < length) {
      over(heads.dim, [&](int64_t j, auto part) {
        products = fma(load(outputs + i * width + j, part), load(gradients + i * width + j, part), products);
      });
    }
    layout.delta[t.query_at() + i] = sum(products);
    // Queries past the end weigh exp(score - infinity) = 0.
    layout.log_sum_exp[t.query_at() + i] = i < length ? log_sum_exp[t.head * t.a.rows + t.segment.start + i] : kInfinity;
  }
}

template <class T>
static void prepare_keys(const AttentionArguments<T>& a, const GradientLayout<T>& layout, const Run& run, int64_t kv_head) {
  const Heads& heads = a.heads;
  const T* keys = a.qkv + run.start * heads.row() + (heads.queries + kv_head) * heads.dim;
  const int64_t at = (kv_head * layout.keys + run.offset) * layout.wide;
  copy_rows(keys, heads.row(), run.length, heads.dim, layout.key_rows + at);
  copy_rows(keys + heads.keys * heads.dim, heads.row(), run.length, heads.dim, layout.value_rows + at);
  copy_transposed(keys, heads.row(), run.length, heads.dim, layout.turned_keys + at);
}

// dK and dV of one row: what each segment that reads it has found, in the order of the segments.
template <class T>
static void reduce_row(const AttentionArguments<T>& a, const GradientLayout<T>& layout, int64_t row, T* d_qkv) {
  const Heads& heads = a.heads;
  const int64_t wide = layout.wide;
  float* total = layout.mine().row;
  for (int64_t kv_head = 0; kv_head < heads.keys; kv_head++) {
    for (int64_t j = 0; j < 2 * wide; j++) total[j] = 0.f;
    for (int64_t s = 0; s < a.segment_count; s++) {
      const Segment segment = segment_of(a.segments, s);
      int64_t from = -1;
      if (row >= segment.start && row < segment.start + segment.length) from = layout.places[s].own_sums + row - segment.start;
      else if (row >= segment.prefix_start && row < segment.prefix_start + segment.prefix_length) from = layout.places[s].prefix_sums + row - segment.prefix_start;
      if (from < 0) continue;
      const int64_t at = (kv_head * layout.sum_rows + from) * wide;
      for (int64_t j = 0; j < wide; j += kWidth) {
        store(total + j, load(total + j) + load(layout.d_keys + at + j));
        store(total + wide + j, load(total + wide + j) + load(layout.d_values + at + j));
      }
    }
    T* to = d_qkv + row * heads.row() + (heads.queries + kv_head) * heads.dim;
    over(heads.dim, [&](int64_t j, auto part) {
      store(to + j, load(total + j, part), part);
      store(to + heads.keys * heads.dim + j, load(total + wide + j, part), part);
    });
  }
}

template <class T>
static void attention_gradient(const AttentionArguments<T>& a, const T* output, const float* log_sum_exp, const T* d_output, char* scratch,
                               T* d_qkv) {
  const Heads& heads = a.heads;
  const GradientLayout<T> layout(a, scratch);
  const int64_t segments = a.segment_count, wide = layout.wide;
  const bool whole = segments * heads.keys >= 2 * max_threads();
  const int64_t longest_keys = [&] {
    int64_t keys = 0;
    for (int64_t s = 0; s < segments; s++) keys = most(keys, segment_of(a.segments, s).keys());
    return keys;
  }();
  const int64_t key_blocks = longest_keys / kGradientKeys + 2, query_blocks = (layout.longest + kGradientQueries - 1) / kGradientQueries;

#pragma omp parallel
  {
    EngineOf<T> engine;
#pragma omp for schedule(static) nowait
    for (int64_t row = 0; row < a.rows; row++) std::memset(d_qkv + row * heads.row(), 0, heads.queries * heads.dim * sizeof(T));
#pragma omp for schedule(static) nowait
    for (int64_t row = 0; row < heads.keys * layout.sum_rows; row++) {
      std::memset(layout.d_keys + row * wide, 0, wide * sizeof(float));
      std::memset(layout.d_values + row * wide, 0, wide * sizeof(float));
    }
#pragma omp for schedule(dynamic) nowait
    for (int64_t job = 0; job < layout.run_count * heads.keys; job++) {
      prepare_keys(a, layout, layout.runs[job / heads.keys], job % heads.keys);
    }
#pragma omp for schedule(dynamic)
    for (int64_t job = 0; job < segments * heads.queries; job++) {
      prepare_queries(GradientTask<T>(a, layout, job / heads.queries, job % heads.queries), output, log_sum_exp, d_output);
    }
    const auto m = layout.mine();
    if (whole) {
#pragma omp for schedule(dynamic)
      for (int64_t job = 0; job < segments * heads.keys; job++) {
        for (int64_t g = 0; g < heads.group(); g++) {
          const GradientTask<T> t(a, layout, job / heads.keys, job % heads.keys * heads.group() + g);
          const int64_t stride = padded(t.segment.length);
          std::memset(m.d_queries, 0, wide * stride * sizeof(float));
          each_key_block(t, 0, 0, [&](GradientBlock b) {
            for (b.first = 0; b.first < t.segment.length; b.first += kGradientQueries) {
              b.last = least(t.segment.length, b.first + kGradientQueries);
              gradient_block(t, engine, m, b, true, true, m.d_queries + b.first, stride);
            }
          });
          put_queries(t, m.d_queries, stride, 0, t.segment.length, d_qkv);
        }
      }
    } else {
#pragma omp for schedule(dynamic) nowait
      for (int64_t job = 0; job < segments * heads.keys * key_blocks; job++) {
        const int64_t s = job / key_blocks / heads.keys, kv_head = job / key_blocks % heads.keys, wanted = job % key_blocks;
        for (int64_t g = 0; g < heads.group(); g++) {
          const GradientTask<T> t(a, layout, s, kv_head * heads.group() + g);
          int64_t index = 0;
          each_key_block(t, 0, 0, [&](GradientBlock b) {
            if (index++ != wanted) return;
            for (b.first = 0; b.first < t.segment.length; b.first += kGradientQueries) {
              b.last = least(t.segment.length, b.first + kGradientQueries);
              gradient_block(t, engine, m, b, true, false, nullptr, 0);
            }
          });
        }
      }
#pragma omp for schedule(dynamic)
      for (int64_t job = 0; job < segments * heads.queries * query_blocks; job++) {
        const GradientTask<T> t(a, layout, job / query_blocks / heads.queries, job / query_blocks % heads.queries);
        const int64_t first = job % query_blocks * kGradientQueries, last = least(t.segment.length, first + kGradientQueries);
        if (first >= last) continue;
        std::memset(m.d_queries, 0, wide * kGradientQueries * sizeof(float));
        each_key_block(t, first, last, [&](const GradientBlock& b) {
          gradient_block(t, engine, m, b, false, true, m.d_queries, kGradientQueries);
        });
        put_queries(t, m.d_queries, kGradientQueries, first, last, d_qkv);
      }
    }
#pragma omp for schedule(static)
    for (int64_t row = 0; row < a.rows; row++) reduce_row(a, layout, row, d_qkv);
  }
}

}  // namespace ti::TI_SET
