import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { WeightFileError } from "../../../src/model/weights/errors.js";
import { openSafetensors } from "../../../src/model/weights/safetensors.js";
import { writeSafetensors, type TensorToWrite } from "../../../src/model/weights/safetensors-write.js";
import { openDescriptors, REFERENCE, safetensorsBytes, temporaryFolders, writeTo } from "./files.js";

const folder = temporaryFolders();
const entry = (dtype: string, shape: unknown, begin: number, end: number): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe("openSafetensors refuses malformed files, saying where", () => {
  const eight = new Uint8Array(8);
  const cases: [what: string, bytes: Uint8Array, where: RegExp][] = [
    ["an empty file", new Uint8Array(0), /header length/],
    ["fewer bytes than the length", Buffer.from([1, 2, 3]), /header length/],
    ["a header longer than the file", safetensorsBytes("{}", eight, 1000n), /header length: 1000 bytes/],
    ["a header length near 2^64", safetensorsBytes("{}", eight, 2n ** 64n - 1n), /header length: 18446744073709551615/],
    ["a header above the format's limit", safetensorsBytes("{}", eight, 100_000_001n), /header length/],
    ["an empty header", safetensorsBytes(""), /header: does not start with/],
    ["a header that starts with a space", safetensorsBytes(" {}"), /header: does not start with/],
    ["invalid UTF-8", safetensorsBytes("{}").fill(0xff, 9), /header: is not valid UTF-8/],
    ["invalid JSON", safetensorsBytes('{"a":'), /header: is not valid JSON/],
    ["text after the JSON", safetensorsBytes("{}x"), /header: is not valid JSON/],
    ["brackets nested deep", safetensorsBytes(`{"a":${"[".repeat(100_000)}`), /header: nests deeper/],
    ["a tensor given twice", safetensorsBytes(`{"a":${JSON.stringify(entry("U8", [8], 0, 8))},"a":${JSON.stringify(entry("U8", [8], 0, 8))}}`, eight), /gives the key "a" twice/],
    ["a tensor given twice, once escaped", safetensorsBytes(`{"a":${JSON.stringify(entry("U8", [8], 0, 8))},"\\u0061":${JSON.stringify(entry("U8", [8], 0, 8))}}`, eight), /gives the key "a" twice/],
    ["a field given twice", safetensorsBytes('{"a":{"dtype":"U8","dtype":"F32","shape":[8],"data_offsets":[0,8]}}', eight), /gives the key "dtype" twice/],
    ["a tensor that is no object", safetensorsBytes({ a: [1] }), /tensor "a": is not an object/],
    ["metadata that is no object", safetensorsBytes({ __metadata__: 3 }), /__metadata__/],
    ["metadata with a number", safetensorsBytes({ __metadata__: { format: 3 } }), /__metadata__ "format": is not a string/],
    ["an unknown dtype", safetensorsBytes({ a: entry("F31", [8], 0, 8) }, eight), /tensor "a": has the unknown dtype/],
    ["a dtype from the prototype", safetensorsBytes({ a: entry("constructor", [8], 0, 8) }, eight), /tensor "a": has the unknown dtype/],
    ["a missing dtype", safetensorsBytes({ a: { shape: [8], data_offsets: [0, 8] } }, eight), /tensor "a": has the unknown dtype/],
    ["a negative size", safetensorsBytes({ a: entry("U8", [-8], 0, 8) }, eight), /tensor "a": has the shape/],
    ["a fractional size", safetensorsBytes({ a: entry("U8", [0.5], 0, 8) }, eight), /tensor "a": has the shape/],
    ["a size beyond 2^53", safetensorsBytes('{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,8]}}', eight), /tensor "a": has the shape/],
    ["a shape that overflows to the right size", safetensorsBytes({ a: entry("U8", [4294967296, 4294967296, 8], 0, 8) }, eight), /tensor "a": has 8 bytes where/],
    ["too many dimensions", safetensorsBytes({ a: entry("U8", Array(17).fill(1), 0, 1) }, eight), /tensor "a": has the shape/],
    ["a shape that does not fit the bytes", safetensorsBytes({ a: entry("F32", [3], 0, 8) }, eight), /has 8 bytes where F32 \[3\] needs 12/],
    ["offsets backwards", safetensorsBytes({ a: entry("U8", [8], 8, 0) }, eight), /tensor "a": has the data_offsets/],
    ["one offset", safetensorsBytes({ a: { dtype: "U8", shape: [8], data_offsets: [8] } }, eight), /tensor "a": has the data_offsets/],
    ["offsets past the end", safetensorsBytes({ a: entry("U8", [16], 0, 16) }, eight), /tensor "a": ends at byte 16 of 8/],
    ["overlapping tensors", safetensorsBytes({ a: entry("U8", [6], 0, 6), b: entry("U8", [4], 4, 8) }, eight), /tensor "b": overlaps/],
    ["a tensor inside another", safetensorsBytes({ a: entry("U8", [8], 0, 8), b: entry("U8", [2], 2, 4) }, eight), /tensor "b": overlaps/],
    ["a hole", safetensorsBytes({ a: entry("U8", [2], 0, 2), b: entry("U8", [4], 4, 8) }, eight), /tensor "b": starts 2 bytes after/],
    ["a hole before the first tensor", safetensorsBytes({ b: entry("U8", [4], 4, 8) }, eight), /tensor "b": starts 4 bytes after/],
    ["bytes of no tensor at the end", safetensorsBytes({ a: entry("U8", [2], 0, 2) }, eight), /data: 6 bytes at the end/],
    ["a half byte", safetensorsBytes({ a: entry("F4", [3], 0, 1) }, new Uint8Array(1)), /tensor "a": has 1 bytes/],
  ]; // prettier-ignore

  it.each(cases)("%s", (_, bytes, where) => {
    const path = writeTo(folder(), "a.safetensors", bytes);
    const before = openDescriptors();
    expect(() => openSafetensors(path)).toThrow(WeightFileError);
    expect(() => openSafetensors(path)).toThrow(where);
    expect(openDescriptors()).toBe(before);
  });

  it("a missing file and a folder", () => {
    expect(() => openSafetensors(join(folder(), "none"))).toThrow(WeightFileError);
    expect(() => openSafetensors(folder())).toThrow(/is not a regular file/);
  });
});

describe("openSafetensors", () => {
  it("takes padding, empty tensors, scalars, metadata and names of every kind", () => {
    const header = `{"__metadata__":{"__proto__":"x"},"__proto__":${JSON.stringify(entry("F32", [], 0, 4))},"toString":${JSON.stringify(entry("F16", [0, 5], 4, 4))}}   `;
    const file = openSafetensors(
      writeTo(folder(), "a.safetensors", safetensorsBytes(header, Buffer.from(Float32Array.of(7).buffer))),
    );
    expect([...file.tensors.keys()]).toEqual(["__proto__", "toString"]);
    expect([...file.metadata]).toEqual([["__proto__", "x"]]);
    expect([...file.read("__proto__")]).toEqual([7]);
    expect(file.read("toString").length).toBe(0);
    expect(() => file.read("valueOf")).toThrow(/tensor "valueOf": is not in the file/);
    file.close();
    expect(() => file.read("__proto__")).toThrow(/after the file was closed/);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });

  it.each(["I32", "I64", "U8", "F64", "F8_E4M3"])("refuses %s as weights", (dtype) => {
    const file = openSafetensors(
      writeTo(
        folder(),
        "a.safetensors",
        safetensorsBytes({ a: entry(dtype, [8 / (/64/.test(dtype) ? 8 : /32/.test(dtype) ? 4 : 1)], 0, 8) }, new Uint8Array(8)),
      ),
    );
    expect(() => file.read("a")).toThrow(`tensor "a": is stored as ${dtype}; weights must be`);
    file.close();
  });

  it("reads what the safetensors package wrote", () => {
    const file = openSafetensors(join(REFERENCE, "gguf", "blocks.safetensors"));
    const bytes = readFileSync(file.path);
    for (const dtype of ["F32", "F16", "BF16"]) {
      const blocks = file.tensors.get(`${dtype}.blocks`)!;
      const raw = safetensorsBytes(
        { a: entry(dtype, [2048], 0, blocks.end - blocks.start) },
        bytes.subarray(blocks.start, blocks.end),
      );
      const own = openSafetensors(writeTo(folder(), "a.safetensors", raw));
      // NaN payloads aside, equal to the bit: Object.is tells -0 from 0.
      expect([...own.read("a")]).toEqual([...file.read(`${dtype}.values`)]);
      own.close();
    }
    file.close();
  });
});

describe("writeSafetensors", () => {
  const tensor = (name: string, dtype: "F32" | "BF16", shape: number[], values: Float32Array): TensorToWrite => ({
    name,
    dtype,
    shape,
    values: () => values,
  });

  it("is read back as it was, BF16 rounded to nearest even", () => {
    const property = fc.property(
      fc.uniqueArray(fc.tuple(fc.string({ unit: "binary", maxLength: 12 }), fc.float32Array({ maxLength: 20 }), fc.boolean()), {
        selector: ([name]) => name,
      }),
      (specs) => {
        const named = specs.filter(([name]) => name !== "__metadata__" && name.isWellFormed());
        const path = join(folder(), "a.safetensors");
        writeSafetensors(
          path,
          named.map(([name, values, wide]) => tensor(name, wide ? "F32" : "BF16", [values.length], values)),
          { a: "b" },
        );
        const file = openSafetensors(path);
        try {
          expect(file.tensors.size).toBe(named.length);
          expect([...file.metadata]).toEqual([["a", "b"]]);
          for (const [name, values, wide] of named) {
            expect([...file.read(name)]).toEqual([...values].map((value) => (wide ? value : nearestBfloat16(value))));
          }
        } finally {
          file.close();
        }
      },
    );
    fc.assert(property, { seed: 11, numRuns: 40 });
  });

  it("writes the same bytes whatever the order given, aligned to 8, wide types first", () => {
    const path = (): string => join(folder(), "a.safetensors");
    const tensors = [
      tensor("b", "BF16", [3], Float32Array.of(1, 2, 3)),
      tensor("c", "F32", [1, 1], Float32Array.of(4)),
      tensor("a", "BF16", [1], Float32Array.of(5)),
    ];
    const [one, two] = [path(), path()];
    writeSafetensors(one, tensors, {});
    writeSafetensors(two, tensors.toReversed(), {});
    expect(readFileSync(one)).toEqual(readFileSync(two));
    const file = openSafetensors(one);
    expect([...file.tensors.keys()]).toEqual(["c", "a", "b"]);
    for (const { start, dtype } of file.tensors.values()) expect(start % (dtype === "F32" ? 8 : 2)).toBe(0);
    file.close();
  });

  it("leaves the old file and no temporary one when a tensor fails", () => {
    const place = folder();
    const path = writeTo(place, "a.safetensors", "old");
    const wrong = { ...tensor("a", "F32", [3], Float32Array.of(1)) };
    expect(() => writeSafetensors(path, [wrong], {})).toThrow(/tensor "a": has 1 values for the shape \[3\]/);
    const throwing = { ...wrong, values: (): Float32Array => { throw new Error("lost the source"); } }; // prettier-ignore
    expect(() => writeSafetensors(path, [throwing], {})).toThrow("lost the source");
    expect(readdirSync(place)).toEqual(["a.safetensors"]);
    expect(readFileSync(path, "utf8")).toBe("old");
  });

  it("refuses a name given twice and the reserved one", () => {
    const a = tensor("a", "F32", [1], Float32Array.of(1));
    expect(() => writeSafetensors(join(folder(), "x"), [a, a], {})).toThrow(WeightFileError);
    expect(() => writeSafetensors(join(folder(), "x"), [{ ...a, name: "__metadata__" }], {})).toThrow(WeightFileError);
  });
});

/** The definition, by search among neighbours: the closest bfloat16, the even one when two are. */
function nearestBfloat16(value: number): number {
  if (Number.isNaN(value)) return NaN;
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  const below = view.getUint32(0) & 0xffff0000;
  const at = (bits: number): number => {
    view.setUint32(0, bits);
    return view.getFloat32(0);
  };
  const [low, high] = [at(below >>> 0), at((below + 0x10000) >>> 0)];
  // Beyond the largest finite one, the next step counts as if it were finite: 2^128.
  const highSize = Number.isFinite(high) ? Math.abs(high) : 2 ** 128;
  const [fromLow, fromHigh] = [Math.abs(value) - Math.abs(low), highSize - Math.abs(value)];
  if (!Number.isFinite(value)) return value;
  if (fromLow === fromHigh) return (below >>> 16) % 2 === 0 ? low : high;
  return fromLow < fromHigh ? low : high;
}
