import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { nativeAddon } from "../../src/tensor/native-addon.js";

const run = promisify(execFile);
const CHILD = fileURLToPath(new URL("fused-child.ts", import.meta.url));

interface Report {
  readonly kernels: string;
  readonly threads: number;
  readonly digests: { readonly float32: string; readonly bfloat16: string };
}

async function child(kernels: string, threads: number): Promise<Report> {
  const env = { ...process.env, TRUE_INTENTS_KERNELS: kernels, OMP_NUM_THREADS: String(threads) };
  const { stdout } = await run(process.execPath, ["--import", "tsx", CHILD, "8"], { env });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Report;
}

describe("fused kernels", () => {
  it.each(nativeAddon().available)(
    "of the set %s agree with float64 loops, to the same bits with 1 and 3 threads",
    async (set) => {
      const one = await child(set, 1);
      const three = await child(set, 3);
      expect([one.kernels, one.threads, three.threads]).toEqual([set, 1, 3]);
      expect(three.digests).toEqual(one.digests);
    },
  );
});
