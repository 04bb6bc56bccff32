import { afterEach, describe, expect, it, vi } from "vitest";
import { BackendError, describeBackend, openOps } from "../../src/tensor/backend.js";
import { NativeUnavailableError } from "../../src/tensor/tensorflow.js";
import type * as nativeAddonModule from "../../src/tensor/native-addon.js";
import type * as tensorflowModule from "../../src/tensor/tensorflow.js";

/** Why TensorFlow, or the compiled ops, are missing in the test at hand; null: they are there. */
const missing = vi.hoisted(() => ({
  tensorflow: null as string | null,
  addon: null as string | null,
  kernels: null as string | null,
}));

vi.mock("../../src/tensor/tensorflow.js", async (importOriginal) => {
  const original = await importOriginal<typeof tensorflowModule>();
  const tensorflowDevice = () => {
    if (missing.tensorflow) throw new original.NativeUnavailableError(missing.tensorflow);
    return original.tensorflowDevice();
  };
  return { ...original, tensorflowDevice };
});
vi.mock("../../src/tensor/native-addon.js", async (importOriginal) => {
  const original = await importOriginal<typeof nativeAddonModule>();
  const nativeAddon = () => {
    if (missing.addon) throw new NativeUnavailableError(missing.addon);
    return missing.kernels ? { kernels: missing.kernels, available: [missing.kernels], threads: 2 } : original.nativeAddon();
  };
  return { ...original, nativeAddon };
});

afterEach(() => {
  Object.assign(missing, { tensorflow: null, addon: null, kernels: null });
  vi.unstubAllEnvs();
});

describe("openOps", () => {
  it("prefers the compiled ops, and bfloat16 where their kernels multiply it", async () => {
    missing.kernels = "amx";
    const fast = await openOps();
    expect([fast.name, fast.precision]).toEqual(["native", "bfloat16"]);
    expect(describeBackend(fast)).toBe("compiled kernels on the CPU in bfloat16: amx kernels, 2 threads");
    missing.kernels = "avx512bf16";
    expect((await openOps()).precision).toBe("bfloat16");
    missing.kernels = "avx2";
    expect((await openOps()).precision).toBe("float32");
    expect((await openOps({ precision: "bfloat16" })).precision).toBe("bfloat16");
  });

  it("falls back to TensorFlow's own ops and says why", async () => {
    missing.addon = "the native ops have not been compiled";
    const ops = await openOps();
    expect([ops.name, ops.device.placement, ops.precision]).toEqual(["portable", "cpu", "float32"]);
    expect(describeBackend(ops)).toMatch(
      /^TensorFlow's own ops on the CPU in float32: the native ops have not been compiled; "npm run setup"/,
    );
    await expect(openOps({ backend: "native" })).rejects.toThrow(/backend "native": .*have not been compiled/);
  });

  it("falls back to WebAssembly without the TensorFlow library and says why", async () => {
    missing.tensorflow = "libtensorflow_cc.so.2 is missing";
    const ops = await openOps();
    expect([ops.name, ops.device.placement, ops.precision]).toEqual(["portable", "wasm", "float32"]);
    expect(describeBackend(ops)).toMatch(/^tfjs on WebAssembly in float32: .*libtensorflow_cc.so.2 is missing/);
    await expect(openOps({ precision: "bfloat16" })).rejects.toThrow(/bfloat16 needs the native TensorFlow library/);
    await expect(openOps({ backend: "portable" })).rejects.toThrow(BackendError);
  });

  it("opens what the options name", async () => {
    expect((await openOps({ backend: "javascript" })).device.placement).toBe("javascript");
    const portable = await openOps({ backend: "portable", precision: "bfloat16" });
    expect([portable.name, portable.precision]).toEqual(["portable", "bfloat16"]);
    await expect(openOps({ backend: "wasm", precision: "bfloat16" })).rejects.toThrow(/wasm backend computes in float32/);
  });

  it("takes defaults from the environment, which options overrule", async () => {
    vi.stubEnv("TRUE_INTENTS_BACKEND", "portable");
    vi.stubEnv("TRUE_INTENTS_PRECISION", "bfloat16");
    const fromEnvironment = await openOps();
    expect([fromEnvironment.name, fromEnvironment.precision]).toEqual(["portable", "bfloat16"]);
    expect((await openOps({ precision: "float32" })).precision).toBe("float32");
    vi.stubEnv("TRUE_INTENTS_BACKEND", "cuda");
    await expect(openOps()).rejects.toThrow(/TRUE_INTENTS_BACKEND is "cuda"; it must be one of auto, native/);
    expect((await openOps({ backend: "portable" })).name).toBe("portable");
    vi.stubEnv("TRUE_INTENTS_PRECISION", "float16");
    await expect(openOps({ backend: "portable" })).rejects.toThrow(BackendError);
  });
});
