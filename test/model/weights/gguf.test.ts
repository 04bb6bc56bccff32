import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ModelConfigError } from "../../../src/model/config.js";
import { WeightFileError } from "../../../src/model/weights/errors.js";
import { openGguf } from "../../../src/model/weights/gguf.js";
import { configFromGguf } from "../../../src/model/weights/gguf-config.js";
import type { GgufValue } from "../../../src/model/weights/gguf-metadata.js";
import { openWeights } from "../../../src/model/weights/source.js";
import * as files from "./files.js";
import {
  ggufBytes,
  openDescriptors,
  readReferenceJson,
  REFERENCE,
  temporaryFolders,
  tinyGguf,
  u64,
  writeTo,
  type GgufSpec,
} from "./files.js";

const folder = temporaryFolders();
const open = (spec: GgufSpec | Buffer): ReturnType<typeof openGguf> =>
  openGguf(writeTo(folder(), "a.gguf", Buffer.isBuffer(spec) ? spec : ggufBytes(spec)));

describe("openGguf", () => {
  it("reads metadata of every type", () => {
    const array = (type: number, count: number, bytes: Buffer): Buffer =>
      Buffer.concat([Buffer.from([type, 0, 0, 0]), u64(count), bytes]);
    const file = open({
      fields: [
        ["u8", 0, Buffer.from([255])],
        ["i8", 1, Buffer.from([255])],
        ["u16", 2, Buffer.from([1, 2])],
        ["i16", 3, Buffer.from([0xfe, 0xff])],
        files.uintField("u32", 4294967295),
        ["i32", 5, Buffer.from([0xff, 0xff, 0xff, 0xff])],
        files.floatField("f32", 0.5),
        ["bool", 7, Buffer.from([1])],
        files.textField("text", "grüße\0"),
        ["u64", 10, u64(2n ** 64n - 1n)],
        ["i64", 11, u64(2n ** 64n - 5n)],
        ["f64", 12, Buffer.from(Float64Array.of(0.1).buffer)],
        files.textsField("texts", ["a", "", "ß"]),
        ["floats", 9, array(6, 2, Buffer.from(Float32Array.of(1, -2).buffer))],
        ["ints", 9, array(5, 2, Buffer.from(Int32Array.of(1, -2).buffer))],
        ["wide", 9, array(10, 1, u64(7))],
        ["none", 9, array(8, 0, Buffer.alloc(0))],
        files.textField("__proto__", "x"),
      ],
      tensors: [],
    });
    expect(Object.fromEntries([...file.metadata].filter(([key]) => key !== "__proto__"))).toEqual({
      u8: 255, i8: -1, u16: 513, i16: -2, u32: 4294967295, i32: -1, f32: 0.5, bool: true, text: "grüße\0", u64: 18446744073709551615n, i64: -5, f64: 0.1,
      texts: ["a", "", "ß"], floats: Float32Array.of(1, -2), ints: Int32Array.of(1, -2), wide: Float64Array.of(7), none: [],
    }); // prettier-ignore
    expect(file.metadata.get("__proto__")).toBe("x");
    file.close();
  });

  it("reads strings across its window", () => {
    const texts = Array.from({ length: 3000 }, (_, i) => String.fromCodePoint(0x4e00 + i).repeat(400));
    const file = open({ fields: [files.textsField("t", texts)], tensors: [] });
    expect(file.metadata.get("t")).toEqual(texts);
    file.close();
  });

  const tiny = tinyGguf();
  const withTensor = (change: object): GgufSpec => ({
    ...tiny,
    tensors: [{ ...tiny.tensors[0], ...change }, ...tiny.tensors.slice(1)],
  });
  const withField = (...field: files.GgufField): GgufSpec => ({ ...tiny, fields: [...tiny.fields, field] });
  const cases: [what: string, spec: GgufSpec | Buffer, message: RegExp][] = [
    ["an empty file", Buffer.alloc(0), /magic: the file ends/],
    ["another magic", { ...tiny, magic: "GGML" }, /magic: does not start with GGUF/],
    ["version 1", { ...tiny, version: 1 }, /version: 1 is not 2 or 3/],
    ["version 4", { ...tiny, version: 4 }, /version: 4 is not 2 or 3/],
    ["big-endian", { ...tiny, version: 0x03000000 }, /version: is big-endian/],
    ["2^64 - 1 tensors", { ...tiny, tensorCount: 2n ** 64n - 1n }, /tensor count: 18446744073709551615/],
    ["2^64 - 1 fields", { ...tiny, fieldCount: 2n ** 64n - 1n }, /metadata count/],
    ["more tensors than there are", { ...tiny, tensorCount: 60_000n }, /tensor/],
    ["a key longer than allowed", withField("x".repeat(70_000), 0, Buffer.from([1])), /metadata key 10: string length 70000 is more than 65535/],
    ["a string of 2^63 bytes", withField("s", 8, u64(2n ** 63n)), /metadata "s": string length 9223372036854775808/],
    ["a string past the end", withField("s", 8, u64(16_000_000)), /metadata "s": the file ends/],
    ["2^62 strings", withField("s", 9, Buffer.concat([Buffer.from([8, 0, 0, 0]), u64(2n ** 62n)])), /metadata "s": array length/],
    ["more strings than bytes", withField("s", 9, Buffer.concat([Buffer.from([8, 0, 0, 0]), u64(10_000_000)])), /10000000 strings do not fit/],
    ["more numbers than bytes", withField("s", 9, Buffer.concat([Buffer.from([12, 0, 0, 0]), u64(10_000_000)])), /metadata "s": the file ends/],
    ["arrays of arrays", withField("s", 9, Buffer.concat([Buffer.from([9, 0, 0, 0]), u64(1)])), /metadata "s": is an array of type 9/],
    ["an unknown value type", withField("s", 13, Buffer.alloc(8)), /metadata "s": has the unknown type 13/],
    ["a boolean of 2", withField("s", 7, Buffer.from([2])), /metadata "s": is a boolean with the value 2/],
    ["a key given twice", withField(...tiny.fields[0]), /metadata "general.architecture": is given twice/],
    ["an alignment of 0", withField(...files.uintField("general.alignment", 0)), /general.alignment": is not a power of two/],
    ["an alignment of 24", withField(...files.uintField("general.alignment", 24)), /general.alignment": is not a power of two/],
    ["an alignment of 2^31", withField(...files.uintField("general.alignment", 2 ** 31)), /general.alignment": is not a power of two/],
    ["an alignment that is text", withField(...files.textField("general.alignment", "32")), /general.alignment": is not a power of two/],
    ["no dimensions", withTensor({ sizes: [] }), /tensor "token_embd.weight": has 0 dimensions/],
    ["five dimensions", withTensor({ sizes: [8, 6, 1, 1, 1] }), /has 5 dimensions/],
    ["a size of 0", withTensor({ sizes: [8, 0] }), /impossible shape \[8, 0\]/],
    ["a size of 2^64 - 1", withTensor({ sizes: [8, 2n ** 64n - 1n] }), /impossible shape/],
    ["sizes whose product overflows", withTensor({ sizes: [2n ** 32n - 1n, 2n ** 32n - 1n, 2n ** 32n - 1n, 8] }), /takes bytes .* \(truncated\?\)/],
    ["IQ2_XS", withTensor({ type: 17 }), /is stored as IQ2_XS, which is not supported/],
    ["Q2_K", withTensor({ type: 10 }), /is stored as Q2_K, which is not supported/],
    ["a type that does not exist", withTensor({ type: 4000 }), /is stored as unknown type 4000/],
    ["rows that are no whole blocks", withTensor({ type: 8 }), /rows of 8 values, not whole Q8_0 blocks of 32/],
    ["an offset off the alignment", withTensor({ offset: 4n }), /starts at 4, not at a multiple of 32/],
    ["an offset past the end", withTensor({ offset: 2n ** 40n }), /takes bytes/],
    ["an offset that overflows", withTensor({ offset: 2n ** 64n - 32n }), /takes bytes/],
    ["two tensors on the same bytes", withTensor({ offset: 192n }), /overlaps tensor/],
    ["a tensor given twice", { ...tiny, tensors: [...tiny.tensors, tiny.tensors[0]] }, /tensor "token_embd.weight": is given twice/],
    ["data cut off", ggufBytes(tiny).subarray(0, -300), /tensor "blk.0.ffn_down.weight": takes bytes .* \(truncated\?\)/],
  ]; // prettier-ignore
  it.each(cases)("refuses %s", (_, spec, message) => {
    const before = openDescriptors();
    expect(() => open(spec)).toThrow(WeightFileError);
    expect(() => open(spec)).toThrow(message);
    expect(openDescriptors()).toBe(before);
  });
});

describe("openWeights on GGUF", () => {
  interface Expected {
    models: Record<string, Record<string, { shape: number[]; sha256: string }>>;
  }
  const { models } = readReferenceJson("gguf", "expected.json") as Expected;

  it("has a reference for every file", () => {
    const names = readdirSync(join(REFERENCE, "gguf")).filter((name) => name.endsWith(".gguf"));
    expect(names.sort()).toEqual(Object.keys(models).map((name) => `${name}.gguf`).sort()); // prettier-ignore
  });

  it.each(Object.keys(models))("reads the tensors that transformers reads, to the bit: %s", (name) => {
    const source = openWeights(join(REFERENCE, "gguf", `${name}.gguf`));
    try {
      const expected = models[name];
      expect([...source.names].sort()).toEqual(Object.keys(expected).sort());
      for (const tensor of source.names) {
        const values = source.read(tensor);
        expect(source.shape(tensor)).toEqual(expected[tensor].shape);
        expect([tensor, createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex")]).toEqual([
          tensor,
          expected[tensor].sha256,
        ]);
      }
    } finally {
      source.close();
    }
  });

  it.each(Object.keys(models))("reads the config of the checkpoint it was made from: %s", (name) => {
    const source = openWeights(join(REFERENCE, "gguf", `${name}.gguf`));
    const original = openWeights(join(REFERENCE, "checkpoints", name));
    // The metadata has no linear rope factor and llama.cpp's constants for Gemma's attention scale and local rope base.
    const own = { ropeFrequencies: null, rmsNormEpsilon: null, attentionScale: null };
    expect({ ...source.config, ...own }).toEqual({ ...original.config, ...own });
    expect(source.config.rmsNormEpsilon).toBe(Math.fround(original.config.rmsNormEpsilon));
    expect(source.tokenizer.kind).toBe("gguf");
    source.close();
    original.close();
  });

  const change = (key: string, field: files.GgufField | null): GgufSpec => {
    const tiny = tinyGguf();
    return { ...tiny, fields: [...tiny.fields.filter(([name]) => name !== key), ...(field ? [field] : [])] };
  };
  const refusals: [spec: GgufSpec, message: RegExp][] = [
    [change("general.architecture", files.textField("general.architecture", "mamba")), /general.architecture: "mamba" is not one of/],
    [change("general.architecture", files.textField("general.architecture", "__proto__")), /general.architecture/],
    [change("llama.block_count", null), /metadata llama.block_count: is missing/],
    [change("llama.block_count", files.textField("llama.block_count", "1")), /llama.block_count: is not a single number/],
    [change("llama.block_count", files.uintField("llama.block_count", 2)), /tensor model.layers.1.input_layernorm.weight: is missing/],
    [change("llama.block_count", files.uintField("llama.block_count", 4_000_000_000)), /num_hidden_layers/],
    [change("llama.attention.head_count", files.uintField("llama.attention.head_count", 0)), /num_attention_heads/],
    [change("llama.embedding_length", files.uintField("llama.embedding_length", 16)), /tensor model.embed_tokens.weight: has the shape \[6, 8\]; the config asks for \[6, 16\]/],
    [change("tokenizer.ggml.eos_token_id", files.uintField("tokenizer.ggml.eos_token_id", 6)), /eos_token_id: 6 is not an id of the 6/],
    [change("x", files.uintField("llama.rope.dimension_count", 2)), /rope.dimension_count: 2 differs/],
    [change("x", files.uintField("llama.expert_count", 8)), /expert_count: mixtures of experts/],
    [change("x", files.uintField("split.count", 2)), /split.count: this is one part/],
    [change("x", files.textField("llama.rope.scaling.type", "yarn")), /rope.scaling.type: "yarn" is not supported/],
  ]; // prettier-ignore
  it.each(refusals)("refuses a model that does not fit its metadata (%#)", (spec, message) => {
    const path = writeTo(folder(), "a.gguf", ggufBytes(spec));
    const before = openDescriptors();
    expect(() => openWeights(path)).toThrow(message);
    expect(openDescriptors()).toBe(before);
  });

  it("takes the tiny model as it is, with a linear rope factor, and refuses tensors it would leave out", () => {
    const tiny = tinyGguf();
    const scaled = openWeights(
      writeTo(
        folder(),
        "a.gguf",
        ggufBytes({
          ...tiny,
          fields: [
            ...tiny.fields,
            files.textField("llama.rope.scaling.type", "linear"),
            files.floatField("llama.rope.scaling.factor", 4),
          ],
        }),
      ),
    );
    expect([...scaled.config.ropeFrequencies.global]).toEqual([0.25, Math.fround(0.01) / 4].map(Math.fround));
    scaled.close();
    const bias = { ...tiny.tensors[1], name: "blk.0.attn_q.bias" };
    expect(() => openWeights(writeTo(folder(), "a.gguf", ggufBytes({ ...tiny, tensors: [...tiny.tensors, bias] })))).toThrow(
      /q_proj.bias.*is no part of llama/,
    );
    const unknown = { ...tiny.tensors[1], name: "blk.0.ssm_a.weight" };
    expect(() => openWeights(writeTo(folder(), "a.gguf", ggufBytes({ ...tiny, tensors: [...tiny.tensors, unknown] })))).toThrow(
      /blk.0.ssm_a.weight.*is no part of llama/,
    );
  });
});

describe("configFromGguf", () => {
  const metadata = (extra: [string, GgufValue][]): Map<string, GgufValue> =>
    new Map<string, GgufValue>([
      ["general.architecture", "llama"],
      ["llama.block_count", 16],
      ["llama.context_length", 131072],
      ["llama.embedding_length", 2048],
      ["llama.feed_forward_length", 8192],
      ["llama.attention.head_count", 32],
      ["llama.attention.head_count_kv", 8],
      ["llama.attention.layer_norm_rms_epsilon", 1e-5],
      ["llama.rope.freq_base", 500000],
      ...extra,
    ]);
  const facts = { vocabSize: 128256, tiedEmbeddings: true, ropeFactors: null };
  const { cases } = readReferenceJson("gguf", "rope.json") as { cases: { frequencies: number[]; rope_parameters: object }[] };

  it("recognises Llama 3.2's rope scaling in llama.cpp's divisors", () => {
    const plain = configFromGguf(metadata([]), facts, "f").config.ropeFrequencies.global;
    const ropeFactors = plain.map((frequency, i) => frequency / cases[2].frequencies[i]);
    const { config, huggingFaceConfig } = configFromGguf(metadata([]), { ...facts, ropeFactors }, "f");
    expect(huggingFaceConfig.rope_parameters).toMatchObject({
      rope_type: "llama3",
      rope_theta: 500000,
      low_freq_factor: 1,
      high_freq_factor: 4,
    });
    config.ropeFrequencies.global.forEach((frequency, i) =>
      expect(Math.abs(frequency / cases[2].frequencies[i] - 1)).toBeLessThan(1e-6),
    );
    ropeFactors[20] *= 1.01;
    expect(() => configFromGguf(metadata([]), { ...facts, ropeFactors }, "f")).toThrow(
      /rope_freqs.weight: is not the rope scaling of Llama 3.1/,
    );
    expect(() => configFromGguf(metadata([]), { ...facts, ropeFactors: Float32Array.of(1, NaN) }, "f")).toThrow(ModelConfigError);
  });

  it.each(["rope.scaling.factor", "rope.scale_linear"])("scales by %s where the type is linear or older than types", (key) => {
    const first = (...extra: [string, GgufValue][]): number =>
      configFromGguf(metadata(extra), facts, "f").config.ropeFrequencies.global[0];
    expect(first([`llama.${key}`, 4])).toBe(0.25);
    expect(first([`llama.${key}`, 4], ["llama.rope.scaling.type", "linear"])).toBe(0.25);
    expect(first([`llama.${key}`, 4], ["llama.rope.scaling.type", "none"])).toBe(1);
  });

  it("collects the ids that end a turn", () => {
    const ids = metadata([["tokenizer.ggml.eos_token_id", 128001], ["tokenizer.ggml.eot_token_id", 128009], ["tokenizer.ggml.bos_token_id", 0xffffffff]]); // prettier-ignore
    expect(configFromGguf(ids, facts, "f").config).toMatchObject({ eosIds: [128001, 128009], bosId: null, padId: null });
  });
});
