/** Strict reading of arguments: citty ignores what it does not know, and a mistyped option should not be ignored. */
import { parseArgs } from "node:util";
import type { ArgsDef, SubCommandsDef } from "citty";
import { closest } from "../closest.js";

/** A command of any arguments, as citty takes it. */
export type AnyCommand = Exclude<Awaited<SubCommandsDef[string]>, (...args: never) => unknown>;

/** The command line is wrong; the message says how and what would be right. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

type Resolvable<T> = T | Promise<T> | (() => T | Promise<T>);

async function resolved<T extends object>(value: Resolvable<T> | undefined): Promise<T | undefined> {
  return typeof value === "function" ? await value() : await value;
}

/**
 * Follows the names of subcommands (`model get …`) to the command that will run.
 * @returns the command, the names that led to it and the arguments left for it.
 * @throws UsageError if a subcommand is needed and not given, or unknown.
 */
export async function resolveCommand(
  command: AnyCommand,
  name: string,
  args: readonly string[],
): Promise<{ leaf: AnyCommand; path: string[]; leafArguments: readonly string[] }> {
  let leaf = command;
  let leafArguments = args;
  const path = [name];
  for (;;) {
    const children = await resolved<SubCommandsDef>(leaf.subCommands);
    const names = Object.keys(children ?? {});
    const [next, ...rest] = leafArguments;
    if (children === undefined || names.length === 0 || next === "--help" || next === "-h") return { leaf, path, leafArguments };
    const known = `true-intents ${path.join(" ")} ${names.join("|")}`;
    if (next === undefined) throw new UsageError(`which one? ${known}`);
    if (!Object.hasOwn(children, next)) {
      const similar = closest(next, names);
      throw new UsageError(`unknown: "${next}".${similar === null ? "" : ` Did you mean "${similar}"?`} Usage: ${known}`);
    }
    leaf = (await resolved(children[next] as Resolvable<AnyCommand>))!;
    leafArguments = rest;
    path.push(next);
  }
}

/**
 * Checks arguments against a command's definition.
 * @param name the command as typed, for messages
 * @throws UsageError for an unknown option, an option without its value, and words for a command that takes none.
 */
export async function checkArguments(command: AnyCommand, name: string, args: readonly string[]): Promise<void> {
  const definitions = (await resolved<ArgsDef>(command.args as Resolvable<ArgsDef> | undefined)) ?? {};
  const options: Record<string, { type: "boolean" | "string"; short?: string; multiple: true }> = {};
  let takesWords = false;
  for (const [key, definition] of Object.entries(definitions)) {
    if (definition.type === "positional") takesWords = true;
    else {
      const type = definition.type === "boolean" ? "boolean" : "string";
      const aliases = "alias" in definition && definition.alias !== undefined ? [definition.alias].flat() : [];
      for (const word of [key, kebabCase(key), ...aliases]) {
        if (word.length > 1) options[word] = { type, multiple: true };
        else options[key] = { type, multiple: true, short: word };
      }
    }
  }
  const help = `See: ${name} --help`;
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, allowNegative: true, strict: true });
  } catch (error) {
    throw new UsageError(`${explain(error, Object.keys(options))} ${help}`);
  }
  const [extra] = parsed.positionals;
  if (!takesWords && extra !== undefined) throw new UsageError(`unexpected argument "${extra}". ${help}`);
}

function explain(error: unknown, known: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const unknown = /^Unknown option '-{1,2}(?:no-)?([^']+)'/.exec(message)?.[1];
  if (unknown === undefined) return message.split("\n").join(" ");
  const similar = closest(unknown, known);
  return `unknown option "--${unknown}".${similar === null ? "" : ` Did you mean "--${similar}"?`}`;
}

const kebabCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
