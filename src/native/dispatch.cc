#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace ti {

// The build says which sets it compiled.
#define TI_DECLARE(set)           \
  namespace set {                 \
  extern const KernelTable table; \
  }
TI_DECLARE(plain)
#if defined(TI_WITH_avx2)
TI_DECLARE(avx2)
#endif
#if defined(TI_WITH_avx512)
TI_DECLARE(avx512)
#endif
#if defined(TI_WITH_avx512bf16)
TI_DECLARE(avx512bf16)
#endif
#if defined(TI_WITH_amx)
TI_DECLARE(amx)
#endif
#if defined(TI_WITH_amx_emulated)
TI_DECLARE(amx_emulated)
#endif
#undef TI_DECLARE

namespace {

#if defined(__x86_64__)

[[maybe_unused]] bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

[[maybe_unused]] bool has_avx512_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}

// AMX needs the kernel's permission for its 8 KB of tile state, asked for once a process.
[[maybe_unused]] bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!has_avx512_bf16() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const bool tiles = (d >> 24 & 1) != 0, bf16_products = (d >> 22 & 1) != 0;
  if (!tiles || !bf16_products) return false;
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

#endif

const KernelTable* chosen = nullptr;

}  // namespace

std::vector<const KernelTable*> available_kernels() {
  std::vector<const KernelTable*> tables;
#if defined(TI_WITH_amx)
  if (has_amx()) tables.push_back(&amx::table);
#endif
#if defined(TI_WITH_avx512bf16)
  if (has_avx512_bf16()) tables.push_back(&avx512bf16::table);
#endif
#if defined(TI_WITH_avx512)
  if (has_avx512()) tables.push_back(&avx512::table);
#endif
#if defined(TI_WITH_avx2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    tables.push_back(&avx2::table);
  }
#endif
  tables.push_back(&plain::table);
#if defined(TI_WITH_amx_emulated)
  tables.push_back(&amx_emulated::table);
#endif
  return tables;
}

void choose_kernels() {
  const std::vector<const KernelTable*> tables = available_kernels();
  const char* wanted = std::getenv("TRUE_INTENTS_KERNELS");
  if (wanted == nullptr || *wanted == '\0') {
    chosen = tables.front();
    return;
  }
  std::string names;
  for (const KernelTable* table : tables) {
    if (std::string(table->name) == wanted) {
      chosen = table;
      return;
    }
    names += (names.empty() ? "" : ", ") + std::string(table->name);
  }
  throw std::runtime_error("TRUE_INTENTS_KERNELS is \"" + std::string(wanted) + "\"; available here: " + names);
}

const KernelTable& kernels() { return *chosen; }

}  // namespace ti
