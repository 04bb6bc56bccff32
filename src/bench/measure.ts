/** What every benchmark reports beside its own figure: times, memory, leaks, and how much of the machine it used. */
import { matmulPeak } from "../tensor/native-addon.js";
import type { DecoderOps } from "../tensor/ops.js";
import { liveTensors, scope } from "../tensor/tensor.js";

export interface Timing {
  readonly medianMs: number;
  readonly p95Ms: number;
  readonly bestMs: number;
  readonly runs: number;
}

/** Median, 95th percentile (nearest rank) and best of times in milliseconds. */
export function timing(milliseconds: readonly number[]): Timing {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return { medianMs: rank(0.5), p95Ms: rank(0.95), bestMs: sorted[0], runs: sorted.length };
}

export function peakRssMiB(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

/** Runs a piece of work and says how many tensors and bytes it left behind. */
export async function withLeakCount<T>(
  work: () => Promise<T>,
): Promise<{ result: T; leakedTensors: number; leakedBytes: number }> {
  const before = liveTensors();
  const result = await work();
  const after = liveTensors();
  return { result, leakedTensors: after.count - before.count, leakedBytes: after.bytes - before.bytes };
}

/**
 * The machine's matmul peak in GFLOPS, all threads: multiply-adds on registers alone for the compiled kernels; elsewhere the op set's
 * own linear layer on a large square product, best of several.
 */
export function matmulPeakGflops(ops: DecoderOps): number {
  if (ops.name === "native") return matmulPeak(ops.precision) / 1e9;
  const [rows, size] = [1024, 2048];
  return scope(() => {
    const values = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i));
    const weight = ops.linearWeight(size, [{ weight: values }]);
    const x = ops.device.upload(values.subarray(0, rows * size), [rows, size], ops.precision);
    let best = Infinity;
    for (let run = 0; run < 8; run++) {
      const started = performance.now();
      scope(() => ops.device.download(ops.linear(x, weight, null).y)[0]);
      best = Math.min(best, performance.now() - started);
    }
    return (2 * rows * size * size) / best / 1e6;
  });
}
