// The engine on AMX tiles: blocks of 32 rows x 32 columns in four accumulator tiles. Included inside the namespace of an
// instruction set, after engine.h. The tile operations go through `Tiles`, which is AMX itself or, with TI_EMULATE_AMX (tests),
// the same operations in plain C++.

// What `ldtilecfg` reads: palette 1, then the bytes in a row and the rows of each of the eight tiles.
struct TileConfiguration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfiguration) == 64, "fixed by the instruction");

#if defined(TI_EMULATE_AMX)
class Tiles {
 public:
  void configure(const TileConfiguration& configuration) { configuration_ = configuration; }
  void release() {}
  template <int tile>
  void zero() {
    __builtin_memset(data_[tile], 0, sizeof data_[tile]);
  }
  template <int tile>
  void load(const void* from, int64_t stride) {
    for (int row = 0; row < configuration_.rows[tile]; row++) {
      __builtin_memcpy(data_[tile][row], static_cast<const char*>(from) + row * stride, configuration_.row_bytes[tile]);
    }
  }
  template <int tile>
  void store(void* to, int64_t stride) {
    for (int row = 0; row < configuration_.rows[tile]; row++) {
      __builtin_memcpy(static_cast<char*>(to) + row * stride, data_[tile][row], configuration_.row_bytes[tile]);
    }
  }
  template <int sums, int left, int right>
  void dot() {
    for (int row = 0; row < configuration_.rows[sums]; row++) {
      for (int pair = 0; pair < configuration_.rows[right]; pair++) {
        for (int column = 0; column < configuration_.row_bytes[sums] / 4; column++) {
          float sum, a, b;
          __builtin_memcpy(&sum, data_[sums][row] + 4 * column, 4);
          for (int odd = 0; odd < 2; odd++) {
            a = at(left, row, 2 * pair + odd);
            b = at(right, pair, 2 * column + odd);
            sum += a * b;
          }
          __builtin_memcpy(data_[sums][row] + 4 * column, &sum, 4);
        }
      }
    }
  }

 private:
  float at(int tile, int row, int element) const {
    bf16 value;
    __builtin_memcpy(&value, data_[tile][row] + 2 * element, 2);
    return to_float(value);
  }
  TileConfiguration configuration_;
  char data_[8][16][64];
};
#define TI_TILE_ZERO(tile) tiles_.zero<tile>()
#define TI_TILE_LOAD(tile, from, stride) tiles_.load<tile>(from, stride)
#define TI_TILE_STORE(tile, to, stride) tiles_.store<tile>(to, stride)
#define TI_TILE_DOT(sums, left, right) tiles_.dot<sums, left, right>()
#else
class Tiles {
 public:
  void configure(const TileConfiguration& configuration) {
    // gcc's intrinsic says that it reads eight bytes of the 64: without this the compiler may drop the stores of the others.
    asm volatile("" : : "r"(&configuration) : "memory");
    _tile_loadconfig(&configuration);
  }
  void release() { _tile_release(); }
};
// Macros, because the tile numbers must reach the compiler's own macros as literals.
#define TI_TILE_ZERO(tile) _tile_zero(tile)
#define TI_TILE_LOAD(tile, from, stride) _tile_loadd(tile, from, stride)
#define TI_TILE_STORE(tile, to, stride) _tile_stored(tile, to, stride)
#define TI_TILE_DOT(sums, left, right) _tile_dpbf16ps(sums, left, right)
#endif

// Made inside a parallel region, one a thread: its tiles are configured while it lives and given back at its end, so that other
// users of AMX (TensorFlow's own matmul) find them free.
class AmxEngine {
 public:
  using Left = bf16;
  using Packed = bf16;
  static constexpr int64_t kStep = 32;
  static constexpr int kRows = 32, kPanels = 2;
  static constexpr int kFewRowsLimit = 0, kManyPanels = 2;

  AmxEngine() = default;
  ~AmxEngine() {
    if (configured_rows_ > 0) tiles_.release();
  }
  AmxEngine(const AmxEngine&) = delete;
  AmxEngine& operator=(const AmxEngine&) = delete;

  template <int P>
  void multiply(int rows, const Term<bf16, bf16>& first, const Term<bf16, bf16>& second, float* out) {
    configure(rows);
    // gcc's tile loads do not say that they read memory: whatever the operands hold must have been stored by now.
    asm volatile("" : : : "memory");
    TI_TILE_ZERO(0);
    if (P == 2) TI_TILE_ZERO(1);
    if (rows > 16) TI_TILE_ZERO(2);
    if (rows > 16 && P == 2) TI_TILE_ZERO(3);
    add<P>(rows, first);
    if (second.k > 0) add<P>(rows, second);
    constexpr int64_t stride = P * kPanelColumns * sizeof(float);
    TI_TILE_STORE(0, out, stride);
    if (P == 2) TI_TILE_STORE(1, out + kPanelColumns, stride);
    float* lower = out + 16 * P * kPanelColumns;
    if (rows > 16) TI_TILE_STORE(2, lower, stride);
    if (rows > 16 && P == 2) TI_TILE_STORE(3, lower + kPanelColumns, stride);
  }

 private:
  // Tiles 0-3: sums (upper left, upper right, lower left, lower right); 4, 5: rows of x; 6, 7: panels. Tiles of x and of sums
  // have just the rows that there are, so nothing outside x is read.
  void configure(int rows) {
    if (rows == configured_rows_) return;
    configured_rows_ = rows;
    TileConfiguration configuration;
    const uint8_t upper = static_cast<uint8_t>(rows < 16 ? rows : 16), lower = static_cast<uint8_t>(rows > 16 ? rows - 16 : 16);
    const uint8_t tile_rows[8] = {upper, upper, lower, lower, upper, lower, 16, 16};
    for (int tile = 0; tile < 8; tile++) {
      configuration.row_bytes[tile] = 64;
      configuration.rows[tile] = tile_rows[tile];
    }
    tiles_.configure(configuration);
  }

  template <int P>
  void add(int rows, const Term<bf16, bf16>& term) {
    const int64_t stride = term.x_stride * static_cast<int64_t>(sizeof(bf16));
    const bf16* lower = term.x + 16 * term.x_stride;
    for (int64_t k = 0; k < term.k; k += 32) {
      const bf16* panel = term.panels + k * kPanelColumns;
      TI_TILE_LOAD(4, term.x + k, stride);
      TI_TILE_LOAD(6, panel, 64);
      TI_TILE_DOT(0, 4, 6);
      if (P == 2) TI_TILE_LOAD(7, panel + term.panel_stride, 64);
      if (P == 2) TI_TILE_DOT(1, 4, 7);
      if (rows <= 16) continue;
      TI_TILE_LOAD(5, lower + k, stride);
      TI_TILE_DOT(2, 5, 6);
      if (P == 2) TI_TILE_DOT(3, 5, 7);
    }
  }

  Tiles tiles_;
  int configured_rows_ = 0;
};
