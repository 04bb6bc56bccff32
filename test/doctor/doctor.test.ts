import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { findGaps, setupProblems } from "../../src/doctor/gaps.js";
import { sizeOf } from "../../src/doctor/inventory.js";
import { toolVersions } from "../../src/doctor/machine.js";
import type { DoctorReport, EngineFacts } from "../../src/doctor/report.js";
import { reportText } from "../../src/doctor/table.js";

const run = promisify(execFile);
const bin = fileURLToPath(new URL("../../bin/true-intents.mjs", import.meta.url));

const text = z.string().min(1);
const count = z.number().int().nonnegative();
/** The promise to scripts that read the JSON, written out a second time. */
const shape = z.strictObject({
  version: z.literal(1),
  engine: z.strictObject({
    backend: z.enum(["native", "portable"]).nullable(),
    device: z.enum(["cpu", "gpu", "wasm", "javascript"]).nullable(),
    precision: z.enum(["float32", "bfloat16"]).nullable(),
    threads: count,
    kernels: z.strictObject({ chosen: text.nullable(), available: z.array(text).min(1) }),
    tensorflow: text.nullable(),
    summary: text,
    unavailable: text.nullable(),
  }),
  machine: z.strictObject({
    cpu: text,
    cores: count.min(1),
    memory: z.strictObject({ totalBytes: count.min(1), freeBytes: count }),
    gpus: z.array(text),
    platform: text,
  }),
  tools: z.strictObject({ node: text, npm: text.nullable(), python: text.nullable(), compiler: text.nullable() }),
  cache: z.strictObject({ folder: text, bytes: count, freeBytes: count.nullable() }),
  models: z.array(z.strictObject({ name: text, path: text.nullable(), bytes: count.nullable() })).min(5),
  data: z.strictObject({
    folder: text.nullable(),
    sets: z.array(z.strictObject({ name: text, path: text.nullable(), todo: text.nullable() })).nonempty(),
  }),
  notebooks: z.strictObject({ packages: z.boolean(), lab: z.boolean(), kernel: z.enum(["ready", "missing", "elsewhere"]) }),
  settings: z.record(z.string().startsWith("TRUE_INTENTS_"), text),
  gaps: z.array(z.strictObject({ what: text, todo: text })),
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "true-intents-doctor-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const engine: EngineFacts = {
  backend: "native",
  device: "cpu",
  precision: "bfloat16",
  threads: 8,
  kernels: { chosen: "amx", available: ["amx", "avx512", "plain", "portable"] },
  tensorflow: "2.18.1",
  summary: "compiled kernels on the CPU in bfloat16",
  unavailable: null,
};
const healthy: Omit<DoctorReport, "gaps"> = {
  version: 1,
  engine,
  machine: { cpu: "CPU", cores: 8, memory: { totalBytes: 2e10, freeBytes: 1e10 }, gpus: [], platform: "linux x64" },
  tools: { node: "20.19.0", npm: "10.8.2", python: "3.12.4", compiler: "g++ 12" },
  cache: { folder: "/cache", bytes: 9e8, freeBytes: 1e11 },
  models: [{ name: "smollm2-135m-instruct", path: "/cache/models/smollm2.gguf", bytes: 98_362_432 }],
  data: { folder: "/data", sets: [{ name: "AIMS", path: "/data/aims.jsonl", todo: null }] },
  notebooks: { packages: true, lab: true, kernel: "ready" },
  settings: {},
};
const broken = (changes: Partial<EngineFacts>): Omit<DoctorReport, "gaps"> => ({ ...healthy, engine: { ...engine, ...changes } });

describe("true-intents doctor", () => {
  it("prints JSON of the promised shape, with a cache of its own and no data", async () => {
    const env = {
      ...process.env,
      TRUE_INTENTS_CACHE: folder,
      TRUE_INTENTS_DATA: "",
      TRUE_INTENTS_MODELS: "",
      TRUE_INTENTS_API_KEY: "sk-secret",
    };
    const { stdout } = await run(process.execPath, [bin, "doctor", "--json"], { env });
    const report = shape.parse(JSON.parse(stdout));
    expect(report.cache).toMatchObject({ folder, bytes: 0 });
    expect(report.models.every((model) => model.path === null)).toBe(true);
    expect(report.settings).toMatchObject({ TRUE_INTENTS_CACHE: folder, TRUE_INTENTS_API_KEY: "(set)" });
    expect(report.data.sets.map(({ name, path }) => [name, path !== null])).toEqual([
      ["sample", true],
      ["xstest", false],
    ]);
    expect(report.gaps.map((gap) => gap.todo).join("\n")).toContain("true-intents data get xstest");
    expect(report.engine.threads).toBeGreaterThan(0);
    expect(report.engine.kernels.available).toContain(report.engine.kernels.chosen);
  });

  it("says which variable is wrong when no backend starts", async () => {
    const env = { ...process.env, TRUE_INTENTS_CACHE: folder, TRUE_INTENTS_BACKEND: "abacus" };
    const { stdout } = await run(process.execPath, [bin, "doctor", "--json"], { env });
    const report = shape.parse(JSON.parse(stdout));
    expect(report.engine).toMatchObject({ backend: null, device: null, threads: 0 });
    expect(report.gaps.map((gap) => gap.what).join("\n")).toMatch(/^no backend starts: .*TRUE_INTENTS_BACKEND/m);
  });
});

describe("gaps", () => {
  const ready = new Map();

  it("finds none on a machine that has all", () => {
    expect(findGaps(healthy, ready)).toEqual([]);
    expect(reportText({ ...healthy, gaps: [] })).toContain("Nothing is missing.");
  });

  it.each([
    ["a set-up that never ran", healthy, null, /set-up has not run/, "npm run setup"],
    [
      "no native library",
      broken({ tensorflow: null, unavailable: "no such file" }),
      ready,
      /does not load \(no such file\)/,
      "npm run setup",
    ],
    ["no kernels", broken({ unavailable: "not compiled" }), ready, /kernels do not load \(not compiled\)/, "npm run setup"],
    [
      "an idle GPU",
      { ...healthy, machine: { ...healthy.machine, gpus: ["NVIDIA H100"] } },
      ready,
      /NVIDIA H100 is not used/,
      /CUDA/,
    ],
    [
      "an old processor",
      broken({ kernels: { chosen: "plain", available: ["plain", "portable"] } }),
      ready,
      /without vector/,
      /AVX2/,
    ],
    [
      "no model",
      { ...healthy, models: [{ name: "a", path: null, bytes: 1 }] },
      ready,
      /no model/,
      "npx true-intents model get a",
    ],
    [
      "no data",
      { ...healthy, data: { folder: null, sets: [{ name: "X", path: null, todo: "Set it." }] } },
      ready,
      /data of X/,
      "Set it.",
    ],
    [
      "no Jupyter",
      { ...healthy, notebooks: { ...healthy.notebooks, packages: false } },
      ready,
      /Jupyter is not installed/,
      "npm run setup",
    ],
    [
      "a kernel of another folder",
      { ...healthy, notebooks: { ...healthy.notebooks, kernel: "elsewhere" } },
      ready,
      /kernel, tslab, is elsewhere/,
      "npm run setup",
    ],
  ] as const)("%s", (_, report, problems, what, todo) => {
    const gaps = findGaps(report, problems);
    expect(gaps).toHaveLength(1);
    expect(gaps[0]?.what).toMatch(what);
    expect(gaps[0]?.todo).toMatch(todo);
    const shown = reportText({ ...report, gaps });
    expect(shown).toContain(gaps[0]?.what);
    expect(shown).not.toContain("Nothing is missing");
  });

  it("prefers the reason that set-up found, and forgets it when the gap is closed", () => {
    mkdirSync(join(folder, "build"));
    const steps = {
      "npm packages": { state: "ready", detail: "as locked" },
      "TensorFlow library": { state: "missing", detail: "pip has no network; WASM.", todo: "Check the network." },
      "TensorFlow binding": { state: "missing", detail: "nothing to bind to.", todo: "" },
    };
    writeFileSync(join(folder, "build", "setup.json"), JSON.stringify({ version: 1, purpose: "test", steps }));
    const problems = setupProblems(folder);
    expect(findGaps(broken({ tensorflow: null, unavailable: "no file" }), problems)).toEqual([
      { what: "TensorFlow library: pip has no network; WASM.", todo: "Check the network." },
    ]);
    expect(findGaps(healthy, problems)).toEqual([]);
  });

  it.each(["", "{", "[]", '{"version":2,"steps":{}}', '{"version":1,"steps":{"a":1}}'])(
    "takes the report %j for none",
    (content) => {
      mkdirSync(join(folder, "build"));
      writeFileSync(join(folder, "build", "setup.json"), content);
      expect(setupProblems(folder)).toBeNull();
    },
  );
});

describe("facts", () => {
  it("adds up a folder without following links", async () => {
    mkdirSync(join(folder, "a", "b"), { recursive: true });
    writeFileSync(join(folder, "a", "one"), Buffer.alloc(1000));
    writeFileSync(join(folder, "a", "b", "two"), Buffer.alloc(234));
    symlinkSync(folder, join(folder, "a", "loop"));
    expect(await sizeOf(folder)).toBe(1234);
    expect(await sizeOf(join(folder, "nowhere"))).toBe(0);
  });

  it("asks the tools that CXX and PYTHON name, and takes a missing one for missing", async () => {
    const tool = join(folder, "tool");
    writeFileSync(tool, "#!/bin/sh\necho Python 3.99.1\necho more\n", { mode: 0o755 });
    const versions = await toolVersions({ PYTHON: tool, CXX: tool });
    expect(versions).toMatchObject({ node: process.versions.node, python: "3.99.1", compiler: "Python 3.99.1" });
  });
});
