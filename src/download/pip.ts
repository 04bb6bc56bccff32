/**
 * Fetches packages from the Python package registry through the user's own pip, so that its mirror, proxy and certificate
 * settings hold. Packages are downloaded, never installed, and nothing in them is run.
 */
import { spawn } from "node:child_process";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { DownloadError } from "./errors.js";

/** One wheel: `name==version`. */
export interface Package {
  readonly name: string;
  readonly version: string;
}

export interface WheelOptions {
  readonly signal?: AbortSignal;
  /** Called about twice a second with the bytes that pip has written so far for this wheel. */
  readonly onProgress?: (bytes: number) => void;
}

const keptOutput = 16 * 1024;

/**
 * Path of the package's wheel in `folder`, downloading it there unless it is there already. Throws DownloadError:
 * "missing-tool" without Python or pip, "not-found" when the registry has no such package, "unreachable" when it cannot
 * be reached, "server" otherwise; the message carries pip's own words.
 */
export async function fetchWheel(wanted: Package, folder: string, options: WheelOptions = {}): Promise<string> {
  const present = await findWheel(wanted, folder);
  if (present !== null) return present;
  // pip writes to its temporary folder and copies the finished wheel: on the same disk, and swept with our own folder.
  const temporary = join(folder, "tmp");
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const watch = setInterval(() => {
    void largestFile(temporary).then((bytes) => options.onProgress?.(bytes));
  }, 500);
  try {
    await runPip(wanted, folder, temporary, options.signal);
  } finally {
    clearInterval(watch);
    await rm(temporary, { recursive: true, force: true });
  }
  const wheel = await findWheel(wanted, folder);
  if (wheel === null) {
    throw new DownloadError("server", `pip ended well but left no wheel of ${wanted.name} ${wanted.version} in ${folder}`);
  }
  return wheel;
}

async function runPip(wanted: Package, folder: string, temporary: string, signal?: AbortSignal): Promise<void> {
  const environment = { ...process.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary };
  const requirement = `${wanted.name}==${wanted.version}`;
  const pip = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"];
  for (const python of ["python3", "python"]) {
    const result = await run(python, [...pip, "--progress-bar", "off", "-d", folder, requirement], environment, signal);
    if (result === null) continue;
    if (result.code === 0) return;
    throw pipError(requirement, result.output);
  }
  throw new DownloadError(
    "missing-tool",
    `the package registry needs Python with pip, and neither python3 nor python is on the PATH. Install Python 3, ` +
      "or put the model's file in a folder that TRUE_INTENTS_MODELS names.",
  );
}

/** Exit code and the tail of what a program printed; null when there is no such program. */
async function run(
  program: string,
  args: string[],
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<{ code: number; output: string } | null> {
  signal?.throwIfAborted();
  const child = spawn(program, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keep = (piece: Buffer): void => {
    output = (output + piece.toString("utf8")).slice(-keptOutput);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const stop = (): void => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 3000).unref();
  };
  signal?.addEventListener("abort", stop);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") resolve(null);
        else reject(error);
      });
      child.once("close", (exit) => resolve(exit ?? -1));
      // When stopped, do not wait for what pip itself may have started and what still holds its pipes.
      child.once("exit", (exit) => {
        if (!signal?.aborted) return;
        child.stdout.destroy();
        child.stderr.destroy();
        resolve(exit ?? -1);
      });
    });
    signal?.throwIfAborted();
    return code === null ? null : { code, output };
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

function pipError(requirement: string, output: string): DownloadError {
  const said = output
    .split("\n")
    .filter((line) => /^(ERROR|WARNING: Retrying)|No module named/.test(line.trim()) || line.includes("rror: "))
    .slice(-3)
    .map((line) => line.trim().slice(0, 300))
    .join(" | ");
  const words = said || output.trim().split("\n").at(-1)?.slice(0, 300) || "nothing";
  if (/No module named pip/.test(output)) {
    return new DownloadError(
      "missing-tool",
      "Python is there but has no pip: install it (python3 -m ensurepip, or the python3-pip package)",
    );
  }
  if (/No space left on device/.test(output)) {
    return new DownloadError("disk-full", `the disk filled up while pip downloaded ${requirement}: ${words}`);
  }
  if (
    /NewConnectionError|name resolution|Name or service not known|Connection refused|ProxyError|ConnectTimeout|unreachable/i.test(
      output,
    )
  ) {
    return new DownloadError("unreachable", `pip cannot reach its package registry for ${requirement}: ${words}`);
  }
  if (/No matching distribution found/.test(output)) {
    return new DownloadError("not-found", `pip finds no package ${requirement} in its package registry: ${words}`);
  }
  return new DownloadError("server", `pip could not download ${requirement}: ${words}`);
}

async function findWheel(wanted: Package, folder: string): Promise<string | null> {
  const names = await readdir(folder).catch((): string[] => []);
  const prefix = `${normalised(wanted.name)}-${wanted.version}-`;
  const name = names.find((entry) => entry.endsWith(".whl") && normalised(entry).startsWith(normalised(prefix)));
  return name === undefined ? null : join(folder, name);
}

/** Package names compare without case, and with "-", "_" and "." the same (PEP 503). */
function normalised(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}

/** Size of the largest file: pip may write the wheel to several places at once. */
async function largestFile(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  let largest = 0;
  for (const entry of entries) {
    const info = await stat(join(folder, entry)).catch(() => null);
    if (info?.isFile()) largest = Math.max(largest, info.size);
  }
  return largest;
}
