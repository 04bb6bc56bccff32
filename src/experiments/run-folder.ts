/**
 * A run folder: everything one run leaves behind, readable by people and by the report.
 *
 *     config.json        what was asked for
 *     environment.json   versions, commit, machine, data hashes, seed
 *     log.jsonl          one line a step
 *     adapter/           the trained adapter, as PEFT writes it
 *     predictions/       one JSONL a set
 *     summary.json       the numbers
 */
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import type { DecoderOps } from "../tensor/ops.js";

export interface RunFolder {
  readonly path: string;
  file(...parts: string[]): string;
  /** Writes JSON whole or not at all. */
  writeJson(name: string, value: unknown): void;
  /** Whether a JSON file of the folder holds exactly this value. */
  matches(name: string, value: unknown): boolean;
  /** Removes what an earlier run left here. */
  clear(): void;
  /** Appends one line to log.jsonl. */
  log(entry: Record<string, unknown>): void;
}

export function openRunFolder(path: string): RunFolder {
  const make = (): void => void mkdirSync(join(path, "predictions"), { recursive: true });
  const file = (...parts: string[]): string => join(path, ...parts);
  make();
  return {
    path,
    file,
    writeJson: (name, value) => {
      writeFileSync(file(`${name}.part`), `${JSON.stringify(value, null, 2)}\n`);
      renameSync(file(`${name}.part`), file(name));
    },
    matches: (name, value) =>
      existsSync(file(name)) && readFileSync(file(name), "utf8") === `${JSON.stringify(value, null, 2)}\n`,
    clear: () => {
      for (const part of ["config.json", "environment.json", "log.jsonl", "adapter", "predictions", "summary.json"])
        rmSync(file(part), { recursive: true, force: true });
      make();
    },
    log: (entry) => appendFileSync(file("log.jsonl"), `${JSON.stringify(entry)}\n`),
  };
}

/** Versions, machine and code that a number comes from. */
export function describeEnvironment(ops: DecoderOps): Record<string, unknown> {
  const packageFile = new URL("../../package.json", import.meta.url);
  const { version, dependencies } = JSON.parse(readFileSync(packageFile, "utf8")) as {
    version: string;
    dependencies: Record<string, string>;
  };
  return {
    trueIntents: version,
    commit: gitCommit(),
    node: process.version,
    tfjs: dependencies["@tensorflow/tfjs-node-gpu"],
    ops: ops.name,
    placement: ops.device.placement,
    precision: ops.precision,
    cpu: cpus()[0]?.model ?? "unknown",
    threads: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    date: new Date().toISOString(),
  };
}

/** The checked-out commit, with "+changes" when the working tree differs; null outside a repository. */
function gitCommit(): string | null {
  try {
    const git = (...args: string[]): string =>
      execFileSync("git", args, {
        cwd: new URL("../..", import.meta.url),
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }).trim();
    return git("rev-parse", "HEAD") + (git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "+changes");
  } catch {
    return null;
  }
}
