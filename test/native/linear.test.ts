import { describe, expect, it } from "vitest";
import { buildNative } from "../../scripts/build-native.mjs";
import { nativeAddon } from "../../src/tensor/native-addon.js";
import { runChild, sanitizedEnvironment } from "./child.js";
import { runLinearCases } from "./linear-cases.js";

interface ChildResult {
  readonly kernels: string;
  readonly threads: number;
  readonly digests: { readonly float32: string; readonly bfloat16: string };
}

const CHILD = new URL("linear-child.ts", import.meta.url);
const inChild = (count: number, environment: Record<string, string>): Promise<ChildResult> =>
  runChild(CHILD, [String(count)], environment) as Promise<ChildResult>;

describe("linear layers with LoRA against float64 sums", () => {
  it.each(["float32", "bfloat16"] as const)("holds over random shapes in %s", (precision) => {
    expect(runLinearCases(11, 60, precision)).toHaveLength(64);
  });

  it.each(nativeAddon().available)("holds with the %s kernels, bit for bit with one thread and with two", async (kernels) => {
    const one = await inChild(25, { TRUE_INTENTS_KERNELS: kernels, OMP_NUM_THREADS: "1" });
    const two = await inChild(25, { TRUE_INTENTS_KERNELS: kernels, OMP_NUM_THREADS: "2" });
    expect(one).toMatchObject({ kernels, threads: 1 });
    expect(two).toMatchObject({ kernels, threads: 2 });
    expect(two.digests).toEqual(one.digests);
  });

  it("refuses kernels that are not there, naming those that are", async () => {
    const wrong = inChild(1, { TRUE_INTENTS_KERNELS: "sse9" });
    await expect(wrong).rejects.toThrow(`available here: ${nativeAddon().available.join(", ")}`);
  });
});

describe.skipIf(process.platform !== "linux")("under AddressSanitizer and UndefinedBehaviorSanitizer", () => {
  it("computes the same cases, also on emulated AMX tiles, without a report", { timeout: 900_000 }, async () => {
    const { file } = await buildNative({ sanitize: true });
    const kernels = ["plain", "amx_emulated", ...nativeAddon().available.filter((set) => set === "avx512bf16")];
    for (const set of kernels) {
      expect(await inChild(20, await sanitizedEnvironment(file, set))).toMatchObject({ kernels: set });
    }
  });
});
