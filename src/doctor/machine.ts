/** The machine and the tools on it. */
import { execFile } from "node:child_process";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { promisify } from "node:util";
import type { MachineFacts, ToolVersions } from "./report.js";

const run = promisify(execFile);
const patienceMs = 10_000;

export async function machineFacts(): Promise<MachineFacts> {
  const listed = await output("nvidia-smi", ["-L"]);
  return {
    cpu: cpus()[0]?.model.trim() || "unknown",
    cores: availableParallelism(),
    memory: { totalBytes: totalmem(), freeBytes: freemem() },
    gpus: (listed ?? "").split("\n").flatMap((line) => /^GPU \d+: ([^(]+)/.exec(line)?.[1]?.trim() ?? []),
    platform: `${process.platform} ${process.arch}`,
  };
}

export async function toolVersions(environment: NodeJS.ProcessEnv = process.env): Promise<ToolVersions> {
  const [npm, python, compiler] = await Promise.all([
    firstOutput(["npm"], ["--version"]),
    firstOutput([environment["PYTHON"], "python3", "python"], ["--version"]),
    firstOutput([environment["CXX"], "g++", "c++", "clang++"], ["--version"]),
  ]);
  return { node: process.versions.node, npm, python: python?.replace(/^Python /, "") ?? null, compiler };
}

async function firstOutput(programs: readonly (string | undefined)[], args: readonly string[]): Promise<string | null> {
  for (const program of programs) {
    const text = program ? await output(program, args) : null;
    if (text !== null) return text.split("\n", 1)[0].trim();
  }
  return null;
}

async function output(program: string, args: readonly string[]): Promise<string | null> {
  try {
    return (await run(program, args, { timeout: patienceMs })).stdout;
  } catch {
    return null;
  }
}
