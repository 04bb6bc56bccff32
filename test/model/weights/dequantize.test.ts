import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { DEQUANTIZE } from "../../../src/model/weights/dequantize.js";
import { READABLE_TYPES } from "../../../src/model/weights/ggml-types.js";
import { openSafetensors } from "../../../src/model/weights/safetensors.js";
import { REFERENCE } from "./files.js";

const file = openSafetensors(join(REFERENCE, "gguf", "blocks.safetensors"));
const bytes = readFileSync(file.path);
afterAll(() => file.close());

const blocksOf = (name: string): Buffer => {
  const { start, end } = file.tensors.get(`${name}.blocks`)!;
  return bytes.subarray(start, end);
};

describe("dequantisation equals ggml's Python package to the bit", () => {
  const names = [...file.tensors.keys()]
    .filter((name) => name.endsWith(".blocks"))
    .map((name) => name.slice(0, -".blocks".length));

  it("covers every readable type", () => {
    expect(new Set(names.map((name) => name.split(".")[0]))).toEqual(
      new Set([...READABLE_TYPES.values()].map(({ name }) => name)),
    );
    expect([...DEQUANTIZE.keys()].sort()).toEqual([...READABLE_TYPES.values()].map(({ name }) => name).sort());
  });

  it.each(names)("%s", (name) => {
    const expected = file.read(`${name}.values`);
    const out = new Float32Array(expected.length + 3).fill(42);
    DEQUANTIZE.get(name.split(".")[0])!(blocksOf(name), out, 2);
    // toEqual uses Object.is: NaN equals NaN, -0 does not equal 0.
    expect([...out.subarray(2, -1)]).toEqual([...expected]);
    // Nothing outside its place was written.
    expect([out[0], out[1], out.at(-1)]).toEqual([42, 42, 42]);
    expect(expected.some((value) => Number.isFinite(value) && value !== 0)).toBe(true);
  });
});
