/**
 * The command line. A command is a citty definition in src/commands, loaded when it is asked for.
 *
 * Exit codes: 0 done; 1 failed, with the reason on stderr; 2 wrong usage; 130 interrupted. `--verbose` anywhere (or DEBUG)
 * shows the stack of an error.
 */
import { readFileSync } from "node:fs";
import { inspect, stripVTControlCharacters } from "node:util";
import { renderUsage, runCommand } from "citty";
import { checkArguments, resolveCommand, UsageError } from "./cli/arguments.js";
import { closest } from "./closest.js";
import { Interrupted, watchInterrupts } from "./cli/interrupt.js";
import { commands } from "./commands/index.js";
import { visibleText } from "./report/text.js";

const program = "true-intents";

/** Runs one command line (without node and script) and sets the exit code. */
export async function main(rawArguments: readonly string[]): Promise<void> {
  const verbose = rawArguments.includes("--verbose") || Boolean(process.env["DEBUG"]);
  const args = rawArguments.filter((argument) => argument !== "--verbose");
  // A closed pipe (`… | head`) ends the command quietly.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
  watchInterrupts();
  try {
    await dispatch(args);
  } catch (error) {
    process.exitCode = report(error, verbose);
  }
}

async function dispatch(args: string[]): Promise<void> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(overview());
    if (name === undefined) process.exitCode = 2;
    return;
  }
  if (name === "--version" || name === "-v") {
    console.log(version());
    return;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) {
    const similar = closest(name, Object.keys(commands));
    const hint = similar === null ? "" : ` Did you mean "${similar}"?`;
    throw new UsageError(`unknown command "${name}".${hint} See: ${program} --help`);
  }
  const command = await entry.load();
  const { leaf, path, leafArguments } = await resolveCommand(command, name, rest);
  if (leafArguments.some((argument) => argument === "--help" || argument === "-h")) {
    const usage = await renderUsage(leaf, { meta: { name: [program, ...path.slice(0, -1)].join(" ") } });
    console.log(process.stdout.isTTY ? usage : stripVTControlCharacters(usage));
    return;
  }
  await checkArguments(leaf, [program, ...path].join(" "), leafArguments);
  await runCommand(command, { rawArgs: rest });
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `${program} ${version()}: intent-aware prompt-safety classifiers on small language models

Usage: ${program} <command> [options]

${lines.join("\n")}

Options of every command: --help, --verbose (the whole story of an error)`;
}

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/**
 * Says on stderr what went wrong; the exit code. The project's own errors say in one line what to do. Messages hold names of files, labels and
 * words of servers: nothing in them acts on the terminal.
 */
function report(error: unknown, verbose: boolean): number {
  if (error instanceof Interrupted || (error instanceof Error && error.name === "AbortError")) return 130;
  if (verbose) console.error(visibleText(inspect(error)));
  else if (!(error instanceof Error)) console.error(`${program}: ${visibleText(String(error))}`);
  else {
    console.error(`${program}: ${visibleText(error.message)}`);
    if (isUnexpected(error)) console.error("This error is not one that the project knows; --verbose shows where it comes from.");
  }
  return error instanceof Error && (error.name === "UsageError" || error.name === "CLIError") ? 2 : 1;
}

/** JavaScript's own errors; the project's have names of their own, the system's a code. */
function isUnexpected(error: Error): boolean {
  return ["Error", "TypeError", "RangeError", "ReferenceError", "SyntaxError"].includes(error.name) && !("code" in error);
}
