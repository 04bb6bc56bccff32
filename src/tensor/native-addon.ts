/** Loads the compiled ops (`src/native`) into this process, beside TensorFlow. */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Precision } from "./ops.js";
import { scope } from "./tensor.js";
import { attribute, NativeUnavailableError, tensorflowDevice } from "./tensorflow.js";

/** What the addon tells about itself. */
export interface NativeAddon {
  /** The instruction set in use: the best one, or the one that TRUE_INTENTS_KERNELS names. */
  readonly kernels: string;
  /** All sets that this build holds and this CPU runs, best first. */
  readonly available: readonly string[];
  /** OpenMP threads (OMP_NUM_THREADS, by default all cores). */
  readonly threads: number;
}

const CURRENT = fileURLToPath(new URL("../../build/native/current.json", import.meta.url));

let addon: NativeAddon | undefined;

/**
 * The compiled ops, loaded once a process. TRUE_INTENTS_NATIVE names another file than the one that set-up compiled.
 * @throws NativeUnavailableError if TensorFlow or the addon is missing or does not load.
 */
export function nativeAddon(): NativeAddon {
  return (addon ??= load(process.env.TRUE_INTENTS_NATIVE ?? compiledFile()));
}

function compiledFile(): string {
  try {
    const { file } = JSON.parse(readFileSync(CURRENT, "utf8")) as { file: string };
    return resolve(dirname(CURRENT), file);
  } catch (error) {
    throw new NativeUnavailableError("the native ops have not been compiled", { cause: error });
  }
}

function load(file: string): NativeAddon {
  // First: the addon registers its ops with the TensorFlow library that this loads.
  tensorflowDevice();
  const module = { exports: {} };
  try {
    process.dlopen(module, file, constants.dlopen.RTLD_NOW);
  } catch (error) {
    throw new NativeUnavailableError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  return module.exports as NativeAddon;
}

/**
 * Operations per second (a multiply and an add are two) of the innermost matmul product on operands in the first-level cache, with
 * all threads: what a matmul can reach at most. The best of as many tries as fit into `seconds` (default 0.3).
 */
export function matmulPeak(precision: Precision, seconds = 0.3): number {
  nativeAddon();
  const device = tensorflowDevice();
  return scope(() => {
    const time = device.upload(Float32Array.of(seconds), [1]);
    const [, peak] = device.execute("TrueIntentsMatmulPeak", [attribute.dtype("U", precision)], [time], 2);
    return device.download(peak)[0];
  });
}
