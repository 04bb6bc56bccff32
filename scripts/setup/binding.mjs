/**
 * Joins tfjs-node to the TensorFlow library in the cache: links the library into the package, compiles the package's binding
 * against it (once per machine) and tries the two out.
 *
 * The package's own build would need node-gyp and a download that is gone; its sources compile as they are, with one call.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { missing, readReport } from "./report.mjs";
import { findCompiler, run } from "./run.mjs";

const flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-DNAPI_VERSION=8"];
const linking = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", "-Wl,-rpath,$ORIGIN/../../deps/lib"];
const withoutIt = "the suite runs on the WASM backend (float32, slower)";

/**
 * @param {import("./report.mjs").Context} context
 * @param {Readonly<Record<string, import("./report.mjs").StepResult>>} results of the earlier steps
 * @returns {Promise<import("./report.mjs").StepResult>}
 */
export async function installBinding(context, results) {
  const library = results["TensorFlow library"]?.facts?.folder;
  if (typeof library !== "string") return missing(`nothing to bind to; ${withoutIt}.`, "");
  const packageFolder = join(context.root, "node_modules", "@tensorflow", "tfjs-node-gpu");
  const compiled = join(context.cache, "binding", cacheKey(packageFolder, library), "tfjs_binding.node");
  const linked = link(library, join(packageFolder, "deps"));
  if (!existsSync(compiled)) {
    const problem = await compile(context, packageFolder, library, compiled);
    if (problem) return problem;
  }
  const placed = place(compiled, join(packageFolder, "lib", "napi-v8", "tfjs_binding.node"));

  const before = readReport(context.root)?.steps["TensorFlow binding"];
  if (!linked && !placed && before?.state === "ready" && before.facts?.compiled === compiled) return before;
  return tryOut(packageFolder, compiled);
}

/** The binding depends on its sources, the library and how it is compiled; not on the compiler: both interfaces are plain C. */
function cacheKey(/** @type {string} */ packageFolder, /** @type {string} */ library) {
  const hash = createHash("sha256").update([basename(library), ...flags, ...linking].join("\0"));
  for (const name of readdirSync(join(packageFolder, "binding")).sort()) {
    hash.update(`\0${name}\0`).update(readFileSync(join(packageFolder, "binding", name)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** @returns {boolean} whether the link had to be made. */
function link(/** @type {string} */ target, /** @type {string} */ path) {
  try {
    if (readlinkSync(path) === target) return false;
  } catch {
    // Missing, or a folder.
  }
  rmSync(`${path}.new`, { force: true });
  symlinkSync(target, `${path}.new`);
  rmSync(path, { recursive: true, force: true });
  renameSync(`${path}.new`, path);
  return true;
}

/** Copied, not linked: the loader looks for the library from where the file really lies. @returns {boolean} whether it was not there. */
function place(/** @type {string} */ source, /** @type {string} */ target) {
  if (existsSync(target) && readFileSync(target).equals(readFileSync(source))) return false;
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, `${target}.new`);
  renameSync(`${target}.new`, target);
  return true;
}

/** @returns {Promise<import("./report.mjs").StepResult | null>} what is missing, or null when it is compiled. */
async function compile(
  /** @type {import("./report.mjs").Context} */ { root, log },
  /** @type {string} */ packageFolder,
  /** @type {string} */ library,
  /** @type {string} */ target,
) {
  const compiler = findCompiler();
  if (compiler === null) {
    return missing(`a C++ compiler is missing; ${withoutIt}.`, "Install g++ and run the set-up again.");
  }
  log(`   compiling tfjs-node's binding with ${compiler}, once per machine`);
  mkdirSync(dirname(target), { recursive: true });
  const partial = `${target}.${process.pid}`;
  const sources = ["tfjs_backend.cc", "tfjs_binding.cc"].map((name) => join(packageFolder, "binding", name));
  const folders = [join(root, "node_modules", "node-api-headers", "include"), join(library, "include")];
  const { ok, output } = await run(compiler, [
    ...flags,
    ...folders.map((folder) => `-I${folder}`),
    ...sources,
    `-L${join(library, "lib")}`,
    ...linking,
    "-o",
    partial,
  ]);
  if (!ok) {
    rmSync(partial, { force: true });
    log(output.trim().split("\n").slice(-15).join("\n"));
    return missing(`${compiler} could not compile it (its words above); ${withoutIt}.`, "Try another compiler: CXX=<path>.");
  }
  renameSync(partial, target);
  return null;
}

const trial = `
  const tf = require(process.argv[1]);
  const backend = tf.backend();
  if (tf.tensor1d([1, 2, 3]).sum().dataSync()[0] !== 6) throw new Error("1 + 2 + 3 is not 6");
  console.log("\\n" + JSON.stringify({ version: backend.binding.TF_Version, gpu: backend.isUsingGpuDevice }));
`;

/** Loads the binding in a process of its own: a library that this CPU cannot run ends it by a signal. */
async function tryOut(/** @type {string} */ packageFolder, /** @type {string} */ compiled) {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3" };
  const { ok, output } = await run(process.execPath, ["-e", trial, packageFolder], { env });
  const lines = output.trim().split("\n");
  if (!ok) {
    const reason = lines.find((line) => line.startsWith("Error:")) ?? lines.at(-1);
    return missing(`it does not load (${reason}); ${withoutIt}.`, "Run the set-up again after mending that.");
  }
  const { version, gpu } = JSON.parse(lines.at(-1) ?? "{}");
  return {
    state: /** @type {const} */ ("ready"),
    detail: `TensorFlow ${version} loads and runs on the ${gpu ? "GPU" : "CPU"}`,
    facts: { compiled, version, gpu },
  };
}
