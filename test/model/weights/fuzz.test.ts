/**
 * Damaged and hostile files: whatever the bytes, opening and reading gives a typed error that names file and place, or a valid result;
 * no other exception, no descriptor left open, no memory out of proportion, no hang. Seeded, so a failure can be had again.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ModelConfigError } from "../../../src/model/config.js";
import { AdapterError, readPeft } from "../../../src/model/peft.js";
import { WeightFileError } from "../../../src/model/weights/errors.js";
import { openGguf } from "../../../src/model/weights/gguf.js";
import { openSafetensors } from "../../../src/model/weights/safetensors.js";
import { openWeights } from "../../../src/model/weights/source.js";
import { createRandom, type Random } from "../../../src/random.js";
import { ggufBytes, openDescriptors, REFERENCE, temporaryFolders, textsField, tinyGguf, u64, uintField } from "./files.js";

const CASES = 600;
const MiB = 1024 * 1024;
const folder = temporaryFolders();
let descriptors: number | null;
let slowest = 0;
let peak = 0;
let rss = 0;
beforeAll(() => {
  descriptors = openDescriptors();
  globalThis.gc?.();
  rss = process.memoryUsage().rss;
});
afterAll(() => {
  // Files here are under 200 kB: parsing one may not take hundreds of megabytes, whatever counts it claims.
  expect((peak - rss) / MiB).toBeLessThan(400);
  expect(slowest).toBeLessThan(2000);
});

/** Runs one case; returns whether the file was taken as valid. */
function survives(attempt: () => void, what: string): boolean {
  const start = performance.now();
  try {
    attempt();
    return true;
  } catch (error) {
    const typed = error instanceof WeightFileError || error instanceof ModelConfigError || error instanceof AdapterError;
    if (!typed) throw new Error(`${what}: an error that is not typed`, { cause: error });
    // The message says which file, where in it, and what.
    expect(error.message.split(": ").length, error.message).toBeGreaterThanOrEqual(3);
    expect(error.message.length).toBeLessThan(1500);
    return false;
  } finally {
    slowest = Math.max(slowest, performance.now() - start);
    peak = Math.max(peak, process.memoryUsage().rss);
    expect(openDescriptors()).toBe(descriptors);
  }
}

const HOSTILE_WORDS = [
  0n,
  1n,
  7n,
  255n,
  65535n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Cuts, flips bits, overwrites with extreme integers, repeats, swaps or removes pieces; a few of these at once. */
function damaged(bytes: Buffer, random: Random, headerBytes: number): Buffer {
  let result = Buffer.from(bytes);
  const edits = 1 + random.integer(3);
  // Most damage goes where the structure is; a tenth anywhere.
  const place = (): number =>
    random.integer(Math.max(1, random.uniform() < 0.9 ? Math.min(headerBytes, result.length) : result.length));
  for (let i = 0; i < edits; i++) {
    const at = place();
    switch (random.integer(6)) {
      case 0:
        result = result.subarray(0, at);
        break;
      case 1:
        if (result.length > 0) result[at] ^= 1 << random.integer(8);
        break;
      case 2:
        if (at + 8 <= result.length) result.writeBigUInt64LE(HOSTILE_WORDS[random.integer(HOSTILE_WORDS.length)], at);
        break;
      case 3:
        if (at + 4 <= result.length) result.writeUInt32LE(Number(HOSTILE_WORDS[random.integer(8)]), at);
        break;
      case 4:
        result = Buffer.concat([result.subarray(0, at), result.subarray(place()), result.subarray(at)]);
        break;
      default:
        result = Buffer.concat([result.subarray(0, at), result.subarray(Math.min(result.length, at + 1 + random.integer(64)))]);
    }
  }
  return result;
}

const HOSTILE_JSON = [
  null, true, false, 0, -1, 0.5, 1e308, 2 ** 53, 2 ** 31, "", "x", "../../etc/passwd", "/etc/passwd", "__proto__", "F32", [], {}, [[]], [0], [-1, 2 ** 53],
  [2 ** 32, 2 ** 32], { __proto__: null }, "\u0000", "a".repeat(100_000), Array(2000).fill(0), [null], "9".repeat(400),
]; // prettier-ignore

/** Replaces, removes, adds or renames something at a random depth of a JSON value. */
function damagedJson(value: unknown, random: Random): unknown {
  const hostile = (): unknown => HOSTILE_JSON[random.integer(HOSTILE_JSON.length)];
  if (typeof value !== "object" || value === null || random.uniform() < 0.05) return hostile();
  const entries = Object.entries(value);
  const at = random.integer(entries.length + 1);
  const edited = entries.flatMap(([key, child], i): [string, unknown][] => {
    if (i !== at) return [[key, child]];
    switch (random.integer(4)) {
      case 0:
        return [];
      case 1:
        return [[["__proto__", "constructor", "", `${key}x`][random.integer(4)], child]];
      default:
        return [[key, damagedJson(child, random)]];
    }
  });
  if (at === entries.length) edited.push([["__proto__", "toString", "extra"][random.integer(3)], hostile()]);
  return Array.isArray(value) ? edited.map(([, child]) => child) : asJsonObject(edited);
}

/** An object that serialises with every key, `__proto__` included. */
function asJsonObject(entries: [string, unknown][]): object {
  const object = {};
  for (const [key, value] of entries) Object.defineProperty(object, key, { value, enumerable: true, configurable: true });
  return object;
}

/** JSON text with, now and then, damage that no JSON value can have. */
function jsonText(value: unknown, random: Random): Buffer {
  const text = Buffer.from(JSON.stringify(value) ?? "");
  return random.uniform() < 0.3 ? damaged(text, random, text.length) : text;
}

describe("hostile files", () => {
  it(`safetensors: ${CASES} damaged files and ${CASES} damaged headers`, () => {
    const bytes = readFileSync(join(REFERENCE, "checkpoints", "llama", "adapter", "adapter_model.safetensors"));
    const headerBytes = Number(bytes.readBigUInt64LE(0)) + 8;
    const header = JSON.parse(bytes.subarray(8, headerBytes).toString()) as unknown;
    const path = join(folder(), "a.safetensors");
    const outcomes = { valid: 0, refused: 0 };
    const attempt = (what: string): void => {
      const valid = survives(() => {
        const file = openSafetensors(path);
        try {
          for (const name of file.tensors.keys()) file.read(name);
        } finally {
          file.close();
        }
      }, what);
      outcomes[valid ? "valid" : "refused"]++;
    };
    for (let i = 0; i < CASES; i++) {
      const random = createRandom(1, "safetensors", i);
      writeFileSync(path, damaged(bytes, random, headerBytes));
      attempt(`bytes ${i}`);
      const json = jsonText(damagedJson(header, random), random);
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(random.uniform() < 0.1 ? HOSTILE_WORDS[random.integer(HOSTILE_WORDS.length)] : BigInt(json.length));
      writeFileSync(path, Buffer.concat([length, json, bytes.subarray(headerBytes)]));
      attempt(`header ${i}`);
    }
    // Damage to values alone is not visible, so a few are valid; nearly all must be caught.
    expect(outcomes.refused).toBeGreaterThan(CASES);
    expect(outcomes.valid).toBeGreaterThan(0);
  });

  it("safetensors and GGUF: cut at every length through the header", () => {
    const place = folder();
    const safetensors = readFileSync(join(REFERENCE, "gguf", "blocks.safetensors"));
    const header = Number(safetensors.readBigUInt64LE(0)) + 8;
    const gguf = ggufBytes(tinyGguf());
    const kinds: [name: string, bytes: Buffer, header: number, open: (path: string) => { close(): void }][] = [
      ["a.safetensors", safetensors, header, openSafetensors],
      ["a.gguf", gguf, gguf.length, openGguf],
    ];
    for (const [name, bytes, length, open] of kinds) {
      const path = join(place, name);
      for (let cut = 0; cut < length; cut += 3) {
        writeFileSync(path, bytes.subarray(0, cut));
        // The end of a GGUF file is padding of its last tensor, which may be missing.
        const valid = survives(() => open(path).close(), `${name} cut at ${cut}`);
        expect(valid && cut < length - 32, `${name} cut at ${cut} was taken as whole`).toBe(false);
      }
    }
  });

  it(`GGUF: ${CASES} damaged small files and ${CASES} damaged models, up to reading the tensors`, () => {
    const tiny = ggufBytes(tinyGguf());
    const model = readFileSync(join(REFERENCE, "gguf", "llama-tied.gguf"));
    const path = join(folder(), "a.gguf");
    const outcomes = { valid: 0, refused: 0 };
    for (let i = 0; i < CASES; i++) {
      for (const [kind, bytes, header] of [
        ["tiny", tiny, 1100],
        ["model", model, 9000],
      ] as const) {
        // prettier-ignore
        writeFileSync(path, damaged(bytes, createRandom(2, kind, i), header));
        const valid = survives(() => {
          const source = openWeights(path);
          try {
            for (const name of source.names) source.read(name);
          } finally {
            source.close();
          }
        }, `${kind} ${i}`);
        outcomes[valid ? "valid" : "refused"]++;
      }
    }
    expect(outcomes.refused).toBeGreaterThan(CASES);
    expect(outcomes.valid).toBeGreaterThan(0);
  });

  it("GGUF: claims of size that the file does not bear out cost no memory", () => {
    const tiny = tinyGguf();
    const path = join(folder(), "a.gguf");
    const claims = [
      ...[1n << 20n, 1n << 24n, 1n << 32n, 1n << 62n].flatMap((count) => {
        return [0, 8, 12].map((type) => ({
          ...tiny,
          fields: [
            ...tiny.fields,
            ["x", 9, Buffer.concat([Buffer.from([type, 0, 0, 0]), u64(count)])] as [string, number, Buffer],
          ],
        }));
      }),
      { ...tiny, tensorCount: 65_536n },
      { ...tiny, fieldCount: 65_536n },
      { ...tiny, fields: [...tiny.fields, textsField("many", Array<string>(50_000).fill(""))], tensorCount: 65_536n },
      { ...tiny, fields: tiny.fields.map((field) => (field[0] === "llama.block_count" ? uintField(field[0], 1023) : field)) },
    ];
    for (const [i, spec] of claims.entries()) {
      writeFileSync(path, ggufBytes(spec));
      const before = process.memoryUsage();
      expect(survives(() => openWeights(path).close(), `claim ${i}`)).toBe(false);
      const after = process.memoryUsage();
      expect((after.arrayBuffers - before.arrayBuffers) / MiB).toBeLessThan(64);
    }
  });

  it(`config.json and its kin: ${CASES} damaged files each`, () => {
    const place = folder();
    const checkpoints = ["llama", "llama-tied", "qwen2", "qwen3", "gemma3"].map((name) => {
      const path = join(place, name);
      cpSync(join(REFERENCE, "checkpoints", name), path, { recursive: true });
      return { path, config: JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as unknown };
    });
    const outcomes = { valid: 0, refused: 0 };
    for (let i = 0; i < CASES; i++) {
      const random = createRandom(3, "config", i);
      const { path, config } = checkpoints[i % checkpoints.length];
      writeFileSync(join(path, "config.json"), jsonText(damagedJson(config, random), random));
      const valid = survives(() => openWeights(path).close(), `config ${i}`);
      outcomes[valid ? "valid" : "refused"]++;
    }
    expect(outcomes.refused).toBeGreaterThan(CASES / 5);
    expect(outcomes.valid).toBeGreaterThan(CASES / 10);
  });

  it(`adapter_config.json: ${CASES} damaged files`, () => {
    const path = join(folder(), "adapter");
    cpSync(join(REFERENCE, "checkpoints", "qwen2", "adapter"), path, { recursive: true });
    const config = JSON.parse(readFileSync(join(path, "adapter_config.json"), "utf8")) as unknown;
    const outcomes = { valid: 0, refused: 0 };
    for (let i = 0; i < CASES; i++) {
      const random = createRandom(4, "adapter", i);
      writeFileSync(join(path, "adapter_config.json"), jsonText(damagedJson(config, random), random));
      const valid = survives(() => void readPeft(path), `adapter ${i}`);
      outcomes[valid ? "valid" : "refused"]++;
    }
    expect(outcomes.refused).toBeGreaterThan(CASES / 5);
    expect(outcomes.valid).toBeGreaterThan(CASES / 10);
  });

  it(`model.safetensors.index.json and generation_config.json: ${CASES} damaged files each`, () => {
    const path = join(folder(), "model");
    mkdirSync(path);
    for (const file of ["config.json", "model.safetensors"])
      cpSync(join(REFERENCE, "checkpoints", "llama", file), join(path, file));
    const file = openSafetensors(join(path, "model.safetensors"));
    const weightMap = Object.fromEntries([...file.tensors.keys()].map((name) => [name, "model.safetensors"]));
    file.close();
    const index = { metadata: { total_size: 1 }, weight_map: weightMap };
    const outcomes = { valid: 0, refused: 0 };
    for (let i = 0; i < CASES; i++) {
      const random = createRandom(5, "index", i);
      // A random file name of the index is climbed out of the folder every third time.
      const names = Object.keys(weightMap);
      const climbing = {
        ...index,
        weight_map: {
          ...weightMap,
          [names[random.integer(names.length)]]: `${"../".repeat(1 + random.integer(4))}model.safetensors`,
        },
      };
      writeFileSync(
        join(path, "model.safetensors.index.json"),
        i % 3 === 0 ? JSON.stringify(climbing) : jsonText(damagedJson(index, random), random),
      );
      writeFileSync(
        join(path, "generation_config.json"),
        i % 3 === 1 ? jsonText(damagedJson({ eos_token_id: [1, 2], x: {} }, random), random) : "{}",
      );
      const valid = survives(() => openWeights(path).close(), `index ${i}`);
      if (i % 3 === 0) expect(valid).toBe(false);
      outcomes[valid ? "valid" : "refused"]++;
    }
    expect(outcomes.refused).toBeGreaterThan(CASES / 2);
    expect(outcomes.valid).toBeGreaterThan(0);
  });
});
