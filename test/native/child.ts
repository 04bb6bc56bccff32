/** Starts a TypeScript file in a Node process of its own, with other kernels, threads or another build of the addon. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What the child printed as its last line, parsed. @throws with the child's messages if it fails. */
export async function runChild(
  file: URL,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<unknown> {
  const { stdout } = await run(process.execPath, ["--import", "tsx", file.pathname, ...args], {
    env: { ...process.env, ...environment },
    maxBuffer: 1 << 24,
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

/** The environment in which a process loads the addon built with sanitizers. */
export async function sanitizedEnvironment(addon: string, kernels: string): Promise<Record<string, string>> {
  const { stdout } = await run(process.env.CXX ?? "g++", ["-print-file-name=libasan.so"]);
  return {
    LD_PRELOAD: stdout.trim(),
    // V8 and TensorFlow keep memory to the end on purpose.
    ASAN_OPTIONS: "detect_leaks=0",
    UBSAN_OPTIONS: "print_stacktrace=1",
    TRUE_INTENTS_NATIVE: addon,
    TRUE_INTENTS_KERNELS: kernels,
  };
}
