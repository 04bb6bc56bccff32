import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readZipMember, ZipError } from "../../src/download/zip.js";
import { noise } from "./server.js";
import { makeZip } from "./zip-builder.js";

let folder: string;
let counter = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "zip-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(zip: Buffer, member: string, maxBytes = 1 << 24): Promise<Buffer> {
  const path = join(folder, `${counter++}.zip`);
  await writeFile(path, zip);
  return readAt(path, member, maxBytes);
}

async function readAt(path: string, member: string, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of readZipMember(path, member, maxBytes)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const content = Buffer.concat([noise(70_000), Buffer.alloc(500_000, "abc")]);
const one = { name: "pkg/data/model.bin", content };

describe("a sound archive", () => {
  test.each([true, false])("gives its members, stored %s", async (stored) => {
    const zip = makeZip([
      { name: "a", content: Buffer.from("first") },
      { ...one, stored },
      { name: "empty", content: Buffer.alloc(0), stored: true },
    ]);
    expect((await read(zip, one.name)).equals(content)).toBe(true);
    expect((await read(zip, "a")).toString()).toBe("first");
    expect(await read(zip, "empty")).toHaveLength(0);
  });

  test("may have a comment, even one that looks like an end record", async () => {
    expect((await read(makeZip([one], "hello PK\x05\x06 and more than twenty-two bytes"), one.name)).equals(content)).toBe(true);
  });

  test.skipIf(spawnSync("python3", ["--version"]).status !== 0)("is read as Python writes it", async () => {
    const path = join(folder, "python.whl");
    const script = `import zipfile; z = zipfile.ZipFile(${JSON.stringify(path)}, "w", zipfile.ZIP_DEFLATED); z.writestr("p/é.bin", bytes(range(256)) * 999); z.close()`;
    expect(spawnSync("python3", ["-c", script]).status).toBe(0);
    const expected = Buffer.from(Array.from({ length: 256 * 999 }, (_, index) => index % 256));
    expect((await readAt(path, "p/é.bin", 1 << 20)).equals(expected)).toBe(true);
  });
});

describe("a hostile archive is refused with a ZipError", () => {
  const bomb = deflateRawSync(Buffer.alloc(50_000_000));
  test.each([
    ["missing member", makeZip([{ name: "other", content }]), /has no member/],
    [
      "a member that climbs out, asked for by its plain name",
      makeZip([{ name: "../../pkg/data/model.bin", content }]),
      /has no member/,
    ],
    ["the same name twice", makeZip([one, { ...one, content: Buffer.from("evil") }]), /twice/],
    ["a claim above the limit", makeZip([{ ...one, claim: { bytes: 0xfffffff0 } }]), /claims 4294967280 bytes/],
    [
      "a bomb behind a small claim",
      makeZip([{ ...one, content: bomb, stored: true, claim: { method: 8, bytes: 1000 } }]),
      /more than the 1000/,
    ],
    ["a larger claim than content", makeZip([{ ...one, claim: { bytes: content.length + 1 } }]), /unpacks to/],
    ["a wrong CRC", makeZip([{ ...one, claim: { crc: 1 } }]), /CRC-32/],
    ["encrypted", makeZip([{ ...one, claim: { flags: 1 } }]), /encrypted/],
    ["an unknown method", makeZip([{ ...one, claim: { method: 14 } }]), /method 14/],
    ["compressed content out of bounds", makeZip([{ ...one, claim: { compressedBytes: 0x7fffffff } }]), /outside/],
    ["a header offset out of bounds", makeZip([{ ...one, claim: { headerOffset: 0x7fffffff } }]), /outside/],
    ["another name in the local header", makeZip([{ ...one, localName: "pkg/data/m0del.bin" }]), /does not agree/],
    ["ZIP64", Buffer.concat([makeZip([one]).subarray(0, -6), Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0])]), /4 GB/],
    ["not a zip", noise(1000), /no end of a zip/],
    ["nothing", Buffer.alloc(0), /not a zip/],
  ])("%s", async (_name, zip, words) => {
    const error: unknown = await read(zip, one.name).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ZipError);
    expect((error as ZipError).message).toMatch(words);
  });

  test("cut anywhere", async () => {
    const zip = makeZip([one]);
    for (let length = 0; length < zip.length; length += 997)
      await expect(read(zip.subarray(0, length), one.name)).rejects.toThrow(ZipError);
  });

  test("any bytes changed: an error, or the same content", async () => {
    const zip = makeZip([
      { name: "a", content: Buffer.from("first") },
      { name: "b", content: noise(2000) },
    ]);
    let refused = 0;
    const change = fc.tuple(fc.nat(zip.length - 1), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const damaged = Buffer.from(zip);
        for (const [at, flip] of changes) damaged[at] ^= flip;
        const result: unknown = await read(damaged, "b", 1 << 20).catch((reason: unknown) => reason);
        if (Buffer.isBuffer(result)) expect(result.equals(noise(2000))).toBe(true);
        else expect(result).toBeInstanceOf(ZipError);
        if (!Buffer.isBuffer(result)) refused++;
      }),
      { numRuns: 500, seed: 11 },
    );
    expect(refused).toBeGreaterThan(250);
  });
});
