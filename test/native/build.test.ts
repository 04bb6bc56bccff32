import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { buildNative } from "../../scripts/build-native.mjs";
import { matmulPeak, nativeAddon } from "../../src/tensor/native-addon.js";

const OBJECTS = fileURLToPath(new URL("../../build/native/objects/", import.meta.url));

describe("the build of the native ops", () => {
  it("finds the file of the present sources and compiles nothing again", { timeout: 900_000 }, async () => {
    const { file } = await buildNative();
    expect(existsSync(file)).toBe(true);
    const started = performance.now();
    expect(await buildNative()).toEqual({ file, built: false });
    expect(performance.now() - started).toBeLessThan(3000);
  });

  it("says in one sentence that there is no compiler", async () => {
    const before = process.env.CXX;
    process.env.CXX = "no-such-compiler";
    try {
      await expect(buildNative()).rejects.toThrow('the C++ compiler "no-such-compiler" was not found (install g++, or set CXX)');
    } finally {
      if (before === undefined) delete process.env.CXX;
      else process.env.CXX = before;
    }
  });

  // The linker keeps one copy of a weak function: it could be the one with instructions that this CPU lacks. Those in the set's own
  // namespace are no danger.
  it("leaves no function that one instruction set's kernels could share with another's", () => {
    const newest = new Map<string, { name: string; symbols: string; time: number; set: string }>();
    for (const name of readdirSync(OBJECTS)) {
      const [, kind, set] = /^(kernels\w*\.(plain|avx2|avx512|avx512bf16|amx))\.\w+\.o$/.exec(name) ?? [];
      if (!kind) continue;
      const symbols = execFileSync("nm", [OBJECTS + name], { encoding: "utf8" });
      const time = statSync(OBJECTS + name).mtimeMs;
      if (symbols.includes("__asan_init") || time < (newest.get(kind)?.time ?? 0)) continue;
      newest.set(kind, { name, symbols, time, set });
    }
    expect(newest.size).toBeGreaterThan(0);
    for (const { name, symbols, set } of newest.values()) {
      const weak = symbols.split("\n").filter((line) => / [WVu] /.test(line));
      const shared = weak.filter((line) => !line.includes(` _ZN2ti${set.length}${set}`));
      expect(shared, name).toEqual([]);
    }
  });
});

describe("the addon", () => {
  it("tells its kernels and threads, and measures the peak of both precisions", () => {
    const { kernels, available, threads } = nativeAddon();
    expect(available).toContain(kernels);
    expect(available.at(-1)).toBe("plain");
    expect(threads).toBeGreaterThan(0);
    for (const precision of ["float32", "bfloat16"] as const) expect(matmulPeak(precision, 0.05)).toBeGreaterThan(1e9);
  });
});
