// The innermost products of the matmul kernels, one "engine" for each pair of activation type and instruction set.
//
// An engine multiplies a few rows of its left operand with one or more panels of 16 packed columns and leaves the sums in a small
// float32 buffer. Every engine adds along k in one fixed order for every row and column, however rows and panels are grouped, so
// that the result for a row never depends on its neighbours. Included inside the namespace of an instruction set.

// One term of a product: `k` rows (a multiple of the engine's step) of P panels, `panel_stride` elements apart. `ahead`: how many
// elements after them the panels stand that will be read next, and that are fetched from memory meanwhile; 0: none.
template <class X, class T>
struct Term {
  const X* x;
  int64_t x_stride;
  const T* panels;
  int64_t panel_stride;
  int64_t k;
  int64_t ahead = 0;
};

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kBlockRows = 12, kBlockPanels = 2, kFewRows = 4, kFewPanels = 4;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
constexpr int kBlockRows = 6, kBlockPanels = 1, kFewRows = 2, kFewPanels = 2;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16;
constexpr int kBlockRows = 6, kBlockPanels = 1, kFewRows = 2, kFewPanels = 2;
#else
constexpr int kVectorBytes = 16;
constexpr int kBlockRows = 3, kBlockPanels = 1, kFewRows = 1, kFewPanels = 2;
#endif

typedef float Floats __attribute__((vector_size(kVectorBytes)));
typedef uint32_t Words __attribute__((vector_size(kVectorBytes)));
// The same at any address, and over memory of any type.
typedef float LooseFloats __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
typedef uint32_t LooseWords __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
constexpr int kLanes = kVectorBytes / 4;
constexpr int kVectors = static_cast<int>(kPanelColumns) / kLanes;  // in one row of a panel

TI_INLINE Floats load_floats(const float* from) { return *reinterpret_cast<const LooseFloats*>(from); }

// Into the second-level cache: the first holds what is multiplied now.
template <int P, class T>
TI_INLINE void fetch_ahead(const T* panels, int64_t panel_stride) {
#pragma GCC unroll 16
  for (int p = 0; p < P; p++) __builtin_prefetch(panels + p * panel_stride, 0, 2);
}

// Adds a term to R rows x P panels of sums: float32 panels.
template <int R, int P>
TI_INLINE void add_term(Floats (&sums)[R][P * kVectors], const Term<float, float>& term) {
  const float* panels = term.panels;
  const float* x = term.x;
  for (int64_t k = 0; k < term.k; k++) {
    Floats w[P * kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < P * kVectors; v++) {
      w[v] = load_floats(panels + (v / kVectors) * term.panel_stride + k * kPanelColumns + v % kVectors * kLanes);
    }
    if (term.ahead > 0) fetch_ahead<P>(panels + term.ahead + k * kPanelColumns, term.panel_stride);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const Floats a = x[r * term.x_stride + k] - Floats{};
#pragma GCC unroll 16
      for (int v = 0; v < P * kVectors; v++) sums[r][v] += a * w[v];
    }
  }
}

// The same over bfloat16 panels, widened on the way; x has been widened before.
template <int R, int P>
TI_INLINE void add_term(Floats (&sums)[R][P * kVectors], const Term<float, bf16>& term) {
  const bf16* panels = term.panels;
  const float* x = term.x;
  for (int64_t k = 0; k < term.k; k += 2) {
    if (term.ahead > 0) fetch_ahead<P>(panels + term.ahead + k * kPanelColumns, term.panel_stride);
#pragma GCC unroll 2
    for (int odd = 0; odd < 2; odd++) {
      Floats w[P * kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < P * kVectors; v++) {
        const bf16* from = panels + (v / kVectors) * term.panel_stride + k * kPanelColumns + v % kVectors * (2 * kLanes);
        const Words pairs = *reinterpret_cast<const LooseWords*>(from);
        w[v] = reinterpret_cast<Floats>(odd ? pairs & 0xffff0000u : pairs << 16);
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const Floats a = x[r * term.x_stride + k + odd] - Floats{};
#pragma GCC unroll 16
        for (int v = 0; v < P * kVectors; v++) sums[r][v] += a * w[v];
      }
    }
  }
}

#if defined(__AVX512BF16__)
// bfloat16 pairs on both sides: one instruction multiplies and adds two rows of k.
template <int R, int P>
TI_INLINE void add_term(Floats (&sums)[R][P * kVectors], const Term<bf16, bf16>& term) {
  static_assert(kVectors == 1, "a panel row of pairs fills one vector");
  const bf16* panels = term.panels;
  const bf16* x = term.x;
  for (int64_t k = 0; k < term.k; k += 2) {
    __m512bh w[P];
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) w[p] = (__m512bh)_mm512_loadu_si512(panels + p * term.panel_stride + k * kPanelColumns);
    if (term.ahead > 0) fetch_ahead<P>(panels + term.ahead + k * kPanelColumns, term.panel_stride);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      int pair;
      __builtin_memcpy(&pair, x + r * term.x_stride + k, sizeof pair);
      const __m512bh a = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) sums[r][p] = (Floats)_mm512_dpbf16_ps((__m512)sums[r][p], a, w[p]);
    }
  }
}
#endif

template <int R, int P, class X, class T>
TI_INLINE void multiply_block(const Term<X, T>& first, const Term<X, T>& second, int64_t row, float* out) {
  Floats sums[R][P * kVectors] = {};
  Term<X, T> term = first;
  term.x += row * term.x_stride;
  add_term<R, P>(sums, term);
  if (second.k > 0) {
    term = second;
    term.x += row * term.x_stride;
    add_term<R, P>(sums, term);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 16
    for (int v = 0; v < P * kVectors; v++) {
      *reinterpret_cast<LooseFloats*>(out + (row + r) * P * kPanelColumns + v * kLanes) = sums[r][v];
    }
  }
}

// Engines on vector registers. X: what the left operand holds; T: what is packed.
template <class X, class T>
struct RegisterEngine {
  using Left = X;
  using Packed = T;
  static constexpr int64_t kStep = kRowStep<T> == 1 ? 1 : 2;
  static constexpr int kRows = kBlockRows, kPanels = kBlockPanels;
  static constexpr int kFewRowsLimit = kFewRows, kManyPanels = kFewPanels;

  // out [rows, 16 P] <- first + second, rows <= kRows; P > kPanels only for rows <= kFewRowsLimit.
  template <int P>
  void multiply(int rows, const Term<X, T>& first, const Term<X, T>& second, float* out) {
    int row = 0;
    if constexpr (P <= kBlockPanels) {
      if (rows == kBlockRows) return multiply_block<kBlockRows, P>(first, second, 0, out);
      if constexpr (kBlockRows > 8) {
        if (rows >= 8) multiply_block<8, P>(first, second, 0, out), row = 8;
      }
      if constexpr (kBlockRows > 4) {
        if (rows - row >= 4) multiply_block<4, P>(first, second, row, out), row += 4;
      }
    } else if constexpr (kFewRows >= 4) {
      if (rows == 4) return multiply_block<4, P>(first, second, 0, out);
    }
    if (rows - row >= 2) {
      if constexpr (kFewRows >= 2 || P <= kBlockPanels) multiply_block<2, P>(first, second, row, out), row += 2;
    }
    if (rows - row >= 1) multiply_block<1, P>(first, second, row, out);
  }
};
