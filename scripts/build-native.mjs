/**
 * Compiles the native ops (src/native) into one addon, build/native/<hash>/true_intents.node.
 *
 * Needs a C++17 compiler (g++, or $CXX), the headers of TensorFlow that set-up unpacked beside tfjs-node, and node-api-headers.
 * The hash covers sources, flags, compiler and TensorFlow's headers, so a second call finds the file and returns at once.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, arch as cpu } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const SOURCE = join(ROOT, "src", "native");
const BUILD = join(ROOT, "build", "native");

/** Every set-up problem is one sentence: what is missing. */
export class NativeBuildError extends Error {
  name = "NativeBuildError";
}

/** Compiler flags of each instruction set; `plain` runs anywhere and is the only one outside x86-64. */
const SETS = {
  plain: [],
  avx2: ["-march=x86-64-v3"],
  avx512: ["-march=x86-64-v4", "-mprefer-vector-width=512"],
  avx512bf16: ["-march=x86-64-v4", "-mprefer-vector-width=512", "-mavx512bf16"],
  amx: ["-march=x86-64-v4", "-mprefer-vector-width=512", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
};

/**
 * Builds the addon if it is not there yet.
 *
 * @param {{ sanitize?: boolean, force?: boolean, log?: (line: string) => void }} [options] sanitize: with AddressSanitizer and
 *   UndefinedBehaviorSanitizer and the emulated AMX kernels, for tests; force: compile even if the file is there.
 * @returns {Promise<{ file: string, built: boolean }>}
 * @throws {NativeBuildError} if the compiler or a header is missing, or the compiler fails (with its messages).
 */
export async function buildNative({ sanitize = false, force = false, log = () => {} } = {}) {
  const plan = await planBuild(sanitize);
  if (existsSync(plan.file) && !force) {
    markCurrent(plan, sanitize);
    return { file: plan.file, built: false };
  }

  const started = Date.now();
  log(`Compiling the native ops (${plan.objects.length} files) with ${plan.compiler}`);
  const objects = join(BUILD, "objects");
  mkdirSync(dirname(plan.file), { recursive: true });
  mkdirSync(objects, { recursive: true });
  const scratch = mkdtempSync(join(dirname(plan.file), "linking-"));
  try {
    const files = await compileAll(plan, objects, force, log);
    const linked = join(scratch, "true_intents.node");
    await compiler(plan.compiler, [...files, "-shared", ...plan.linkFlags, "-o", linked]);
    renameSync(linked, plan.file);
    markCurrent(plan, sanitize);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  log(`Compiled ${relative(ROOT, plan.file)} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return { file: plan.file, built: true };
}

/** Where the program finds the addon without asking the compiler: build/native/current.json = { file }. */
function markCurrent(plan, sanitize) {
  if (sanitize) return;
  const current = join(BUILD, "current.json");
  const content = JSON.stringify({ file: relative(dirname(current), plan.file) });
  if (existsSync(current) && readFileSync(current, "utf8") === content) return;
  writeFileSync(`${current}.${process.pid}`, content);
  renameSync(`${current}.${process.pid}`, current);
}

async function planBuild(sanitize) {
  const require = createRequire(join(ROOT, "package.json"));
  const tensorflow = join(dirname(require.resolve("@tensorflow/tfjs-node-gpu/package.json")), "deps");
  const header = join(tensorflow, "include", "tensorflow", "c", "kernels.h");
  if (!existsSync(header)) throw new NativeBuildError("TensorFlow's headers are not unpacked beside tfjs-node");
  const nodeHeaders = join(dirname(require.resolve("node-api-headers/package.json")), "include");

  const compilerName = process.env.CXX || "g++";
  const version = await compiler(compilerName, ["--version"]);
  const openmp = await supportsOpenmp(compilerName);

  const common = [
    "-std=c++17",
    "-fPIC",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-DNAPI_VERSION=8",
    "-DIS_SLIM_BUILD",
    "-isystem",
    nodeHeaders,
    "-isystem",
    join(tensorflow, "include"),
    ...(openmp ? ["-fopenmp"] : ["-Wno-unknown-pragmas"]),
    ...(sanitize
      ? ["-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
      : ["-O3"]),
  ];
  // No -ffast-math: it would let the compiler reorder sums, so that a row's result could depend on the rows beside it, and linking
  // with it would switch the whole process to flush-to-zero.
  const arithmetic = ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fno-exceptions"];

  const wanted = cpu() !== "x64" ? ["plain"] : sanitize ? ["plain", "avx512bf16"] : Object.keys(SETS);
  const sets = wanted.map((set) => [set, SETS[set]]);
  if (sanitize) sets.push(["amx_emulated", ["-DTI_EMULATE_AMX"]]);
  const present = sets.map(([set]) => `-DTI_WITH_${set}`);
  const sources = readdirSync(SOURCE).filter((name) => name.endsWith(".cc"));
  const perSet = sources.filter((name) => name.startsWith("kernels"));
  const objects = [
    ...perSet.flatMap((source) =>
      sets.map(([set, flags]) => ({
        source,
        name: `${source.slice(0, -3)}.${set}`,
        flags: [...flags, ...arithmetic, `-DTI_SET=${set}`],
      })),
    ),
    ...sources
      .filter((name) => !perSet.includes(name))
      .map((source) => ({ source, name: source.slice(0, -3), flags: source === "dispatch.cc" ? present : [] })),
  ];
  const libraries = join(tensorflow, "lib");
  const linkFlags = [
    `-L${libraries}`,
    ...["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"].map((name) => `-l:${name}`),
    `-Wl,-rpath,${libraries}`,
    ...(openmp ? ["-fopenmp"] : []),
    ...(sanitize ? ["-fsanitize=address,undefined"] : []),
  ];

  const hash = createHash("sha256")
    .update(version)
    .update(JSON.stringify([objects, common, linkFlags]));
  for (const name of sourceFiles(SOURCE)) hash.update(name).update(readFileSync(join(SOURCE, name)));
  hash.update(readFileSync(header)).update(String(statSync(header).size));
  const folder = join(BUILD, hash.digest("hex").slice(0, 16));
  return { compiler: compilerName, version, objects, common, linkFlags, file: join(folder, "true_intents.node") };
}

function sourceFiles(folder) {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort();
}

/** Compiles what is not there yet; an object's name holds the hash of its flags, its source and the headers that it includes. */
async function compileAll(plan, folder, force, log) {
  const waiting = plan.objects.map((object) => {
    const hash = createHash("sha256")
      .update(plan.version)
      .update(JSON.stringify([plan.common, object.flags]));
    for (const name of withHeaders(object.source)) hash.update(name).update(readFileSync(join(SOURCE, name)));
    return { ...object, file: join(folder, `${object.name}.${hash.digest("hex").slice(0, 16)}.o`) };
  });
  const files = waiting.map((object) => object.file);
  let done = 0;
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      if (force || !existsSync(next.file)) {
        const unfinished = `${next.file}.${process.pid}`;
        await compiler(plan.compiler, [...plan.common, ...next.flags, "-c", join(SOURCE, next.source), "-o", unfinished]);
        renameSync(unfinished, next.file);
      }
      log(`  ${++done}/${plan.objects.length} ${next.name}`);
    }
  };
  const results = await Promise.allSettled(Array.from({ length: availableParallelism() }, worker));
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
  return files;
}

/** A source and the headers of ours that it includes, directly or not; includes are relative to src/native or to the includer. */
function withHeaders(source, seen = new Set()) {
  if (seen.has(source)) return seen;
  seen.add(source);
  for (const [, name] of readFileSync(join(SOURCE, source), "utf8").matchAll(/^#include "(.+)"/gm)) {
    const beside = join(dirname(source), name);
    if (existsSync(join(SOURCE, beside))) withHeaders(beside, seen);
    else if (existsSync(join(SOURCE, name))) withHeaders(name, seen);
  }
  return seen;
}

async function compiler(name, args) {
  try {
    return (await run(name, args, { maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    if (error.code === "ENOENT") throw new NativeBuildError(`the C++ compiler "${name}" was not found (install g++, or set CXX)`);
    const messages = String(error.stderr ?? error.message).trim();
    throw new NativeBuildError(`the C++ compiler "${name}" failed:\n${messages}`, { cause: error });
  }
}

/** Apple's clang has no OpenMP of its own: the kernels then run on one thread. */
async function supportsOpenmp(name) {
  try {
    await run(name, ["-fopenmp", "-E", "-x", "c++", "-include", "omp.h", "/dev/null"], { maxBuffer: 1 << 26 });
    return true;
  } catch {
    return false;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const flags = new Set(process.argv.slice(2));
  try {
    const { file, built } = await buildNative({
      sanitize: flags.has("--sanitize"),
      force: flags.has("--force"),
      log: console.log,
    });
    if (!built) console.log(`Up to date: ${relative(ROOT, file)}`);
  } catch (error) {
    console.error(error instanceof NativeBuildError ? error.message : error);
    process.exitCode = 1;
  }
}
