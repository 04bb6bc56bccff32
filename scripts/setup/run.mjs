/** Programs that set-up starts: found on PATH, run without a shell, ended with set-up. */
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { constants as os } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";

/** Set-up cannot go on; the message says what is missing and what to do. */
export class SetupError extends Error {
  name = "SetupError";
}

/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();

/** On Ctrl-C or a termination: ends what runs, then exits by the signal's number (128 + n). Locks go with the process. */
export function interruptible() {
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.once(signal, () => {
      for (const child of children) child.kill("SIGTERM");
      console.error("\nset-up interrupted; run it again to go on.");
      process.exit(128 + os.signals[signal]);
    });
  }
}

/** @returns {string | null} the program's path, or null if it is not on PATH. */
export function findProgram(/** @type {string} */ name) {
  const suffixes = process.platform === "win32" ? [".exe", ".cmd", ""] : [""];
  const folders = isAbsolute(name) ? [""] : (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  for (const folder of folders) {
    for (const suffix of suffixes) {
      const path = join(folder, name) + suffix;
      try {
        accessSync(path, constants.X_OK);
        if (statSync(path).isFile()) return path;
      } catch {
        // Not here: look on.
      }
    }
  }
  return null;
}

/** @returns {string | null} the path of CXX, g++, c++ or clang++: the first that is there. */
export function findCompiler() {
  for (const name of [process.env.CXX, "g++", "c++", "clang++"]) {
    const path = name ? findProgram(name) : null;
    if (path !== null) return path;
  }
  return null;
}

/**
 * Runs a program to its end. `show`: its output goes to the terminal; otherwise it is collected.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ show?: boolean, cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ ok: boolean, output: string }>} output: stdout and stderr together, empty when shown
 */
export function run(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: options.show ? ["ignore", "inherit", "inherit"] : ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32" && program.endsWith(".cmd"),
    });
    children.add(child);
    let output = "";
    child.stdout?.on("data", (piece) => (output += piece));
    child.stderr?.on("data", (piece) => (output += piece));
    child.on("error", (error) => {
      children.delete(child);
      resolve({ ok: false, output: error.message });
    });
    child.on("close", (code, signal) => {
      children.delete(child);
      resolve({ ok: code === 0, output: signal ? `${output}\nended by ${signal}` : output });
    });
  });
}
