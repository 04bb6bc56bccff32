// The innermost product alone, on operands in the first-level cache. Included inside the namespace of an instruction set.

template <class E, class T>
static double peak(const T* operands, int64_t repeats) {
  constexpr int64_t k = 256;
  static_assert(k * kPanelColumns * E::kPanels <= kPeakOperands && k * E::kRows <= kPeakOperands, "the operands are that long");
  const auto* x = reinterpret_cast<const typename E::Left*>(operands);
  int threads = 1;
#pragma omp parallel
  {
    E engine;
    alignas(64) float sums[E::kRows * E::kPanels * kPanelColumns];
#pragma omp single
    threads = thread_count();
    for (int64_t i = 0; i < repeats; i++) {
      engine.template multiply<E::kPanels>(E::kRows, {x, k, operands, k * kPanelColumns, k}, {}, sums);
      // The sums are looked at, so that no repetition can be left out.
      asm volatile("" : : "r"(sums) : "memory");
    }
  }
  return 2.0 * k * E::kRows * E::kPanels * kPanelColumns * static_cast<double>(repeats) * threads;
}
