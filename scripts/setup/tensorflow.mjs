/**
 * TensorFlow's C library, taken from the official Python wheel (wheels.json pins the versions and their sha256) and kept in
 * the user's cache, where all copies of the project share it and no `npm ci` removes it.
 *
 * The CUDA build is the plain `tensorflow` wheel with the libraries of its `and-cuda` extra; ptxas is left out, only XLA uses it.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLock } from "./lock.mjs";
import { findPython, hasPip, pipDownload } from "./python.mjs";
import { firstLine, missing } from "./report.mjs";
import { findCompiler, findProgram, run } from "./run.mjs";

/**
 * @typedef {object} Build
 * @property {readonly string[]} platforms as pip names them
 * @property {{ download: number, unpacked: number }} megabytes
 * @property {readonly { package: string, version: string, sha256: string }[]} wheels
 */

/** @type {{ tensorflow: string, pythonVersion: string, builds: Record<string, Build> }} */
const table = JSON.parse(readFileSync(new URL("wheels.json", import.meta.url), "utf8"));

/** The library could not be had; the message says why. */
class Unavailable extends Error {
  constructor(/** @type {string} */ message, /** @type {string} */ todo) {
    super(message);
    this.todo = todo;
  }
}

const withoutIt = "the suite runs on the WASM backend (float32, slower)";

/** @param {import("./report.mjs").Context} context */
export async function tensorflowLibrary(context) {
  const names = await buildNames();
  if (names.length === 0) {
    return missing(
      `there is none that we can use for ${platformName()}; ${withoutIt}.`,
      "The native engine needs Linux with glibc.",
    );
  }
  /** @type {Unavailable | null} */
  let first = null;
  for (const name of names) {
    try {
      const folder = await fetchBuild(context, name, /** @type {Build} */ (table.builds[name]));
      const detail = `${table.tensorflow} (${name}) in ${folder}`;
      return { state: /** @type {const} */ ("ready"), detail, facts: { build: name, folder } };
    } catch (error) {
      const problem = error instanceof Unavailable ? error : new Unavailable(firstLine(error), "Run the set-up again.");
      first ??= problem;
      if (name !== names.at(-1)) context.log(`   CUDA build: ${problem.message}; trying the CPU build.`);
    }
  }
  return missing(`${first?.message}; ${withoutIt}.`, first?.todo ?? "");
}

/** Builds that this machine can load, the better one first. */
async function buildNames() {
  const header = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport()).header;
  if (process.platform !== "linux" || !header.glibcVersionRuntime) return [];
  const name = `linux-${process.arch}`;
  const cuda = `${name}-cuda`;
  const names = cuda in table.builds && (await hasNvidiaGpu()) ? [cuda, name] : [name];
  return names.filter((candidate) => candidate in table.builds);
}

const platformName = () => `${process.platform} on ${process.arch}`;

async function hasNvidiaGpu() {
  const tool = findProgram("nvidia-smi");
  if (tool === null) return false;
  const { ok, output } = await run(tool, ["-L"]);
  return ok && output.includes("GPU 0");
}

/** @returns {Promise<string>} the folder with lib/ and include/. Made beside and renamed when whole: if it exists, it is whole. */
async function fetchBuild(
  /** @type {import("./report.mjs").Context} */ { cache, log },
  /** @type {string} */ name,
  /** @type {Build} */ build,
) {
  const key = createHash("sha256")
    .update(build.wheels.map((wheel) => wheel.sha256).join())
    .digest("hex")
    .slice(0, 12);
  const folder = join(cache, "tensorflow", `${table.tensorflow}-${name}-${key}`);
  if (existsSync(folder)) return folder;
  makeFolder(join(cache, "tensorflow"));
  await withLock(join(cache, "tensorflow.lock"), "the TensorFlow library", log, async () => {
    if (existsSync(folder)) return;
    // Nobody else works here while we hold the lock: what lies there is left over from an interrupted set-up.
    for (const left of readdirSync(join(cache, "tensorflow")).filter((entry) => entry.startsWith("partial-"))) {
      rmSync(join(cache, "tensorflow", left), { recursive: true, force: true });
    }
    const partial = mkdtempSync(join(cache, "tensorflow", "partial-"));
    try {
      await assemble(partial, build, log);
      renameSync(partial, folder);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  });
  return folder;
}

async function assemble(/** @type {string} */ folder, /** @type {Build} */ build, /** @type {(line: string) => void} */ log) {
  const { download, unpacked } = build.megabytes;
  if (findCompiler() === null) {
    throw new Unavailable("a C++ compiler is missing, without which it cannot be used", "Install g++ and run the set-up again.");
  }
  await requireSpace(folder, download + unpacked);
  const python = await findPython();
  if (python === null) {
    throw new Unavailable(
      "Python 3.9 or newer is missing, which fetches it",
      "Install python3 with pip and run the set-up again.",
    );
  }
  if (!(await hasPip(python))) {
    throw new Unavailable(`${python.path} has no pip, which fetches it`, "Install python3-pip and run the set-up again.");
  }
  log(`   fetching TensorFlow ${table.tensorflow} with pip: ${build.wheels.length} wheel(s), ${download} MB, once per machine`);
  for (const wheel of build.wheels) await addWheel(folder, wheel, build, python);
  if (!existsSync(join(folder, "lib", "libtensorflow_cc.so.2")) || !existsSync(join(folder, "include", "tensorflow"))) {
    throw new Unavailable(
      "the wheel does not hold the library where it is expected",
      "Report this, with the version in wheels.json.",
    );
  }
}

async function addWheel(
  /** @type {string} */ folder,
  /** @type {Build["wheels"][number]} */ wheel,
  /** @type {Build} */ build,
  /** @type {import("./python.mjs").Python} */ python,
) {
  const downloads = join(folder, "downloads");
  mkdirSync(downloads);
  const options = { folder: downloads, pythonVersion: table.pythonVersion, platforms: build.platforms };
  const name = `${wheel.package} ${wheel.version}`;
  const ok = await pipDownload(python, wheel, options);
  const file = readdirSync(downloads).find((entry) => entry.endsWith(".whl"));
  if (!ok || file === undefined) {
    throw new Unavailable(
      `pip could not fetch ${name}`,
      "Check the network connection (pip says more above) and run the set-up again.",
    );
  }
  const sum = await sha256(join(downloads, file));
  if (sum !== wheel.sha256) {
    throw new Unavailable(
      `${name} has sha256 ${sum} instead of ${wheel.sha256} and was thrown away`,
      "Run the set-up again; if it stays so, the package index serves a different file.",
    );
  }
  const script = fileURLToPath(new URL("unpack.py", import.meta.url));
  const { ok: unpacked, output } = await run(python.path, ["-I", script, join(downloads, file), folder]);
  if (!unpacked) throw new Unavailable(`${name} could not be unpacked (${lastLine(output)})`, "Run the set-up again.");
  rmSync(downloads, { recursive: true });
}

function makeFolder(/** @type {string} */ folder) {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new Unavailable(
      `the cache folder cannot be made (${firstLine(error)})`,
      "Set TRUE_INTENTS_CACHE to a folder you can write to.",
    );
  }
}

async function requireSpace(/** @type {string} */ folder, /** @type {number} */ megabytes) {
  const { bavail, bsize } = await statfs(folder);
  const free = Math.floor((bavail * bsize) / 1e6);
  if (free >= megabytes) return;
  throw new Unavailable(
    `it needs ${megabytes} MB in ${folder}, where ${free} MB are free`,
    "Make room, or set TRUE_INTENTS_CACHE to a folder on a larger disk.",
  );
}

async function sha256(/** @type {string} */ path) {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece);
  return hash.digest("hex");
}

const lastLine = (/** @type {string} */ text) => text.trim().split("\n").at(-1) ?? "";
