/** What the subcommands of `run` share: their flags, the run folder, Ctrl-C, and how wrong settings are told. */
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defineCommand } from "citty";
import { UsageError } from "../cli/arguments.js";
import { interruptSignal } from "../cli/interrupt.js";
import { closest } from "../closest.js";
import { ConfigError } from "../experiments/config.js";

/** Where runs go that are not told where to. */
export const RUNS = fileURLToPath(new URL("../../results/runs", import.meta.url));

export const runFlags = {
  preset: { type: "string", default: "small", description: "smoke (seconds), small (minutes on a CPU) or paper (a GPU)" },
  resume: { type: "boolean", default: false, description: "Only go on with what is there (without it: go on, or begin)" },
  fresh: { type: "boolean", default: false, description: "Remove what is there and begin anew" },
  set: { type: "string", description: "A setting, key=value; as often as needed", valueHint: "key=value" },
} as const;

/**
 * Runs an experiment under Ctrl-C, prints what it returns and where its files are.
 * @param files what the folder holds
 */
export async function runAndShow(
  out: string,
  run: (signal: AbortSignal) => Promise<string>,
  files = "Unparsed answers count as wrong. Predictions, logs and adapters",
): Promise<void> {
  const signal = interruptSignal();
  try {
    console.log(`\n${await run(signal)}`);
  } catch (error) {
    if (signal.aborted) process.stderr.write(`Stopped; what is done is kept. The same command goes on from there.\n`);
    throw error;
  }
  console.log(`\n${files}: ${relative(process.cwd(), out)}`);
}

/**
 * The subcommand of an experiment that goes on from a finished `run sft`.
 * @param experiment as the run folder is called
 * @param read a preset and `--set`s to a checked config
 * @param run runs it in the folder `out` and returns what is printed at the end
 */
export function defineAfterSft<Config extends { readonly sft: string }>(
  experiment: string,
  description: string,
  presets: Readonly<Record<string, Config>>,
  read: (preset: Config, settings: readonly string[]) => Config,
  run: (config: Config, out: string, options: { readonly fresh: boolean; readonly signal: AbortSignal }) => Promise<string>,
) {
  return defineCommand({
    meta: { name: experiment, description },
    args: {
      ...runFlags,
      sft: {
        type: "string",
        description: "Folder of the SFT experiment to start from (default: results/runs/sft-PRESET)",
        valueHint: "DIR",
      },
      out: { type: "string", description: `Run folder (default: results/runs/${experiment}-PRESET)`, valueHint: "DIR" },
    },
    async run({ args, rawArgs }) {
      const out = outFolder(args, experiment);
      const sft = relative(out, resolve(args.sft ?? join(RUNS, `sft-${args.preset}`)));
      const config = asUsage(() => read({ ...presetOf(presets, args.preset), sft }, valuesOf(rawArgs, "set")));
      await runAndShow(out, (signal) => run(config, out, { fresh: args.fresh, signal }));
    },
  });
}

interface OutFlags {
  readonly preset: string;
  readonly out?: string | undefined;
  readonly resume: boolean;
  readonly fresh: boolean;
}

/** The run folder that the flags name. @throws UsageError if --resume is asked for and there is nothing, or --fresh beside it */
export function outFolder({ preset, out: named, resume, fresh }: OutFlags, experiment: string): string {
  const out = resolve(named ?? join(RUNS, `${experiment}-${preset}`));
  if (resume && fresh) throw new UsageError("--resume and --fresh contradict each other");
  if (resume && !existsSync(join(out, "config.json"))) throw new UsageError(`--resume: there is no run in ${out}`);
  return out;
}

/** A setting that is wrong on the command line is wrong usage. */
export function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof ConfigError ? new UsageError(error.message) : error;
  }
}

/** @throws UsageError naming the presets there are, and the closest one */
export function presetOf<T>(presets: Readonly<Record<string, T>>, name: string): T {
  if (Object.hasOwn(presets, name)) return presets[name];
  const similar = closest(name, Object.keys(presets));
  const hint = similar === null ? "" : ` Did you mean ${similar}?`;
  throw new UsageError(`--preset is "${name}"; it must be ${Object.keys(presets).join(", ")}.${hint}`);
}

/** Every value of an option that may be given several times; citty keeps the last. */
export function valuesOf(rawArguments: readonly string[], option: string): string[] {
  return rawArguments.flatMap((argument, i) => {
    if (argument === `--${option}`) return rawArguments.slice(i + 1, i + 2);
    return argument.startsWith(`--${option}=`) ? [argument.slice(option.length + 3)] : [];
  });
}
