import { describe, expect, it } from "vitest";
import { buildNative } from "../../scripts/build-native.mjs";
import { nativeAddon } from "../../src/tensor/native-addon.js";
import { runChild, sanitizedEnvironment } from "./child.js";

const CHILD = new URL("fused-child.ts", import.meta.url);

interface Report {
  readonly kernels: string;
  readonly threads: number;
  readonly digests: { readonly float32: string; readonly bfloat16: string };
}

const inChild = (count: number, environment: Record<string, string>): Promise<Report> =>
  runChild(CHILD, [String(count)], environment) as Promise<Report>;

describe("fused kernels", () => {
  it.each(nativeAddon().available)(
    "of the set %s agree with float64 loops, to the same bits with 1 and 3 threads",
    async (set) => {
      const one = await inChild(8, { TRUE_INTENTS_KERNELS: set, OMP_NUM_THREADS: "1" });
      const three = await inChild(8, { TRUE_INTENTS_KERNELS: set, OMP_NUM_THREADS: "3" });
      expect([one.kernels, one.threads, three.threads]).toEqual([set, 1, 3]);
      expect(three.digests).toEqual(one.digests);
    },
  );

  const onLinux = it.skipIf(process.platform !== "linux");
  onLinux("pass AddressSanitizer and UndefinedBehaviorSanitizer, also on emulated AMX tiles", { timeout: 900_000 }, async () => {
    const { file } = await buildNative({ sanitize: true });
    const sets = ["plain", "amx_emulated", ...nativeAddon().available.filter((set) => set === "avx512bf16")];
    for (const set of sets) {
      expect(await inChild(6, await sanitizedEnvironment(file, set))).toMatchObject({ kernels: set });
    }
  });
});
