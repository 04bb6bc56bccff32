/** Starts the engine as a command would and asks it what it is. */
import { availableParallelism } from "node:os";
import { BackendError, describeBackend, openOps } from "../tensor/backend.js";
import { nativeAddon, type NativeAddon } from "../tensor/native-addon.js";
import { NativeUnavailableError, tensorflowDevice } from "../tensor/tensorflow.js";
import type { EngineFacts } from "./report.js";

export async function engineFacts(): Promise<EngineFacts> {
  const tensorflow = attempt(() => tensorflowDevice().version);
  const addon = attempt(() => nativeAddon());
  const unavailable = tensorflow.problem ?? addon.problem;
  const available = [...(addon.value?.available ?? []), "portable"];
  const shared = { tensorflow: tensorflow.value, unavailable };
  try {
    const ops = await openOps();
    const { placement } = ops.device;
    return {
      ...shared,
      backend: ops.name,
      device: placement,
      precision: ops.precision,
      threads: threadsOf(placement, ops.name, addon.value),
      kernels: { chosen: ops.name === "native" ? (addon.value?.kernels ?? null) : "portable", available },
      summary: describeBackend(ops),
    };
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    const nothing = { backend: null, device: null, precision: null, threads: 0, kernels: { chosen: null, available } };
    return { ...shared, ...nothing, summary: error.message };
  }
}

function attempt<T>(open: () => T): { value: T | null; problem: string | null } {
  try {
    return { value: open(), problem: null };
  } catch (error) {
    if (!(error instanceof NativeUnavailableError)) throw error;
    return { value: null, problem: error.reason };
  }
}

function threadsOf(placement: "cpu" | "gpu" | "wasm" | "javascript", ops: string, addon: NativeAddon | null): number {
  if (placement === "wasm" || placement === "javascript") return 1;
  return ops === "native" && addon ? addon.threads : availableParallelism();
}
