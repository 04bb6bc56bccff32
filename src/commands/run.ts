import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defineCommand } from "citty";
import { UsageError } from "../cli/arguments.js";
import { interruptSignal } from "../cli/interrupt.js";
import { closest } from "../closest.js";
import { ConfigError } from "../experiments/config.js";
import { dpoConfig } from "../experiments/dpo-config.js";
import { dpoTables } from "../experiments/dpo-summary.js";
import { runDpo } from "../experiments/dpo.js";
import { DPO_PRESETS } from "../experiments/presets/dpo.js";
import { SFT_PRESETS } from "../experiments/presets/sft.js";
import { sftConfig, type SftConfig } from "../experiments/sft-config.js";
import { runSft } from "../experiments/sft.js";
import { summaryTables } from "../experiments/sft-summary.js";
import { columnArgs, columnFlags } from "./columns.js";

const RUNS = fileURLToPath(new URL("../../results/runs", import.meta.url));

const runFlags = {
  preset: { type: "string", default: "small", description: "smoke (seconds), small (minutes on a CPU) or paper (a GPU)" },
  resume: { type: "boolean", default: false, description: "Only go on with what is there (without it: go on, or begin)" },
  fresh: { type: "boolean", default: false, description: "Remove what is there and begin anew" },
  set: { type: "string", description: "A setting, key=value; as often as needed", valueHint: "key=value" },
} as const;

const sft = defineCommand({
  meta: { name: "sft", description: "Supervised fine-tuning: intent and verdict against the verdict alone" },
  args: {
    ...runFlags,
    out: { type: "string", description: "Run folder (default: results/runs/sft-PRESET)", valueHint: "DIR" },
    ...columnArgs,
  },
  async run({ args, rawArgs }) {
    const columns = columnFlags(args);
    const preset = { ...presetOf(SFT_PRESETS, args.preset), ...(Object.keys(columns).length > 0 && { columns }) };
    const config = asUsage(() => sftConfig(preset, valuesOf(rawArgs, "set")));
    await runAndShowSft(config, outFolder(args, "sft"), args.fresh);
  },
});

const dpo = defineCommand({
  meta: { name: "dpo", description: "Preference training on the SFT model's own intent errors: LE-DPO, IF-DPO and their unions" },
  args: {
    ...runFlags,
    sft: {
      type: "string",
      description: "Folder of the SFT experiment to start from (default: results/runs/sft-PRESET)",
      valueHint: "DIR",
    },
    out: { type: "string", description: "Run folder (default: results/runs/dpo-PRESET)", valueHint: "DIR" },
  },
  async run({ args, rawArgs }) {
    const out = outFolder(args, "dpo");
    const sft = relative(out, resolve(args.sft ?? join(RUNS, `sft-${args.preset}`)));
    const preset = { ...presetOf(DPO_PRESETS, args.preset), sft };
    const config = asUsage(() => dpoConfig(preset, valuesOf(rawArgs, "set")));
    const { fresh } = args;
    await runAndShow(out, async (signal) => dpoTables(await runDpo(config, out, { fresh, signal })));
  },
});

export default defineCommand({
  meta: { name: "run", description: "Run an experiment, or go on with it" },
  subCommands: { sft, dpo },
});

/** Runs the SFT experiment under Ctrl-C and prints its tables. */
export async function runAndShowSft(config: SftConfig, out: string, fresh: boolean): Promise<void> {
  await runAndShow(out, async (signal) => summaryTables(await runSft(config, out, { fresh, signal })));
}

async function runAndShow(out: string, run: (signal: AbortSignal) => Promise<string>): Promise<void> {
  const signal = interruptSignal();
  try {
    console.log(`\n${await run(signal)}`);
  } catch (error) {
    if (signal.aborted) process.stderr.write(`Stopped; what is done is kept. The same command goes on from there.\n`);
    throw error;
  }
  console.log(`\nUnparsed answers count as wrong. Predictions, logs and adapters: ${relative(process.cwd(), out)}`);
}

interface OutFlags {
  readonly preset: string;
  readonly out?: string | undefined;
  readonly resume: boolean;
  readonly fresh: boolean;
}

/** @throws UsageError if --resume is asked for and there is nothing, or --fresh beside it */
function outFolder({ preset, out: named, resume, fresh }: OutFlags, experiment: string): string {
  const out = resolve(named ?? join(RUNS, `${experiment}-${preset}`));
  if (resume && fresh) throw new UsageError("--resume and --fresh contradict each other");
  if (resume && !existsSync(join(out, "config.json"))) throw new UsageError(`--resume: there is no run in ${out}`);
  return out;
}

/** A setting that is wrong on the command line is wrong usage. */
function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof ConfigError ? new UsageError(error.message) : error;
  }
}

function presetOf<T>(presets: Readonly<Record<string, T>>, name: string): T {
  if (Object.hasOwn(presets, name)) return presets[name];
  const similar = closest(name, Object.keys(presets));
  const hint = similar === null ? "" : ` Did you mean ${similar}?`;
  throw new UsageError(`--preset is "${name}"; it must be ${Object.keys(presets).join(", ")}.${hint}`);
}

/** Every value of an option that may be given several times; citty keeps the last. */
function valuesOf(rawArguments: readonly string[], option: string): string[] {
  return rawArguments.flatMap((argument, i) => {
    if (argument === `--${option}`) return rawArguments.slice(i + 1, i + 2);
    return argument.startsWith(`--${option}=`) ? [argument.slice(option.length + 3)] : [];
  });
}
