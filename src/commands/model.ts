/** `true-intents model list|get|verify`: the models that are known by name, and the copies on this machine. */
import { defineCommand } from "citty";
import pc from "picocolors";
import { DownloadError } from "../download/errors.js";
import { formatBytes } from "../download/progress.js";
import { catalogue } from "../model/catalogue/catalogue.js";
import type { ModelEntry } from "../model/catalogue/entry.js";
import { ModelError, UnknownModelError } from "../model/catalogue/errors.js";
import { localModels, presentModel } from "../model/catalogue/present.js";
import { resolveModel } from "../model/catalogue/resolve.js";
import { verifyModels } from "../model/catalogue/verify.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** One row of `model list --json`. */
interface ListedModel {
  readonly name: string;
  readonly title: string;
  readonly role: string;
  readonly architecture: string;
  readonly runs: ModelEntry["runs"];
  readonly parameters: number;
  readonly bytes: number | null;
  readonly licence: ModelEntry["licence"];
  readonly gated: boolean;
  readonly sources: readonly string[];
  /** Path on this machine, or null. */
  readonly path: string | null;
  /** How to get it, where it is not here. */
  readonly get: string | null;
}

const list = defineCommand({
  meta: { name: "list", description: "Models known by name: size, licence, where from, and whether they are on this machine" },
  args: { json: { type: "boolean", description: "Print JSON" } },
  run: ({ args }) =>
    withUserErrors(args._.length > 0 ? "model list takes no names" : null, async () => {
      const models = await Promise.all(catalogue.map(listed));
      const names = new Set(catalogue.map((entry) => entry.name));
      const others = (await localModels()).filter((model) => !names.has(model.name));
      if (args.json) print(JSON.stringify({ models, others: others.map(({ name, folder }) => ({ name, folder })) }, null, 2));
      else for (const line of table(models)) print(line);
      if (!args.json) for (const other of others) print(`${other.name}  ${pc.dim(other.folder)}`);
      return 0;
    }),
});

const get = defineCommand({
  meta: { name: "get", description: "Download models (those already here are left alone) and print their paths" },
  args: {
    name: {
      type: "positional",
      required: false,
      description: "Catalogue names or hub ids (org/name, org/name@revision, org/name/file.gguf)",
    },
    source: { type: "string", description: "Only from here: hub or pypi", valueHint: "hub|pypi" },
  },
  run: ({ args }) => {
    const only = args.source === "hub" || args.source === "pypi" ? args.source : undefined;
    const misuse =
      args._.length === 0
        ? "model get needs a name; true-intents model list shows them"
        : args.source !== undefined && only === undefined
          ? `--source is hub or pypi, not ${args.source || "empty"}`
          : null;
    return withUserErrors(misuse, async (signal) => {
      for (const name of args._) {
        const start = Date.now();
        const model = await resolveModel(name, { log: say, signal, ...(only && { only }) });
        say(`${model.name}: ${model.licence ? `${model.licence.name} (${model.licence.url}), ` : ""}${seconds(start)}`);
        print(model.path);
      }
      return 0;
    });
  },
});

const verify = defineCommand({
  meta: { name: "verify", description: "Read the files of models again and compare their checksums" },
  args: { name: { type: "positional", required: false, description: "Models; without a name, all on this machine" } },
  run: ({ args }) =>
    withUserErrors(null, async (signal) => {
      const results = await verifyModels(args._, signal);
      if (results.length === 0) print("no models on this machine yet: true-intents model get NAME");
      for (const { name, folder, files, bytes, problems } of results) {
        if (problems.length === 0)
          print(`${pc.green("ok")}       ${name}  ${files} file${files === 1 ? "" : "s"}, ${formatBytes(bytes)}`);
        else print(`${pc.red("damaged")}  ${name}`);
        for (const problem of problems) print(`         ${problem}`);
        if (problems.length > 0) print(`         delete ${folder} and run: true-intents model get ${name}`);
      }
      return results.some((result) => result.problems.length > 0) ? 1 : 0;
    }),
});

/** Exit codes: 0 done; 1 could not be had, or is damaged; 2 wrong use, unknown name; 130 interrupted. */
export const modelCommand = defineCommand({
  meta: { name: "model", description: "List, download and verify models" },
  subCommands: { list, get, verify },
});

export default modelCommand;

async function listed(entry: ModelEntry): Promise<ListedModel> {
  const { name, title, role, architecture, runs, parameters, bytes, licence, gated, sources } = entry;
  const present = await presentModel(entry);
  const where = sources.map((source) => (source.kind === "hub" ? `hub:${source.repo}@${source.revision}` : "pypi"));
  const access =
    gated && !process.env["HF_TOKEN"] ? `accept the licence at ${licence.url} on its hub page, set HF_TOKEN, then ` : "";
  const howTo = present === null ? `${access}true-intents model get ${name}` : null;
  return {
    name,
    title,
    role,
    architecture,
    runs,
    parameters,
    bytes,
    licence,
    gated,
    sources: where,
    path: present?.path ?? null,
    get: howTo,
  };
}

function table(models: readonly ListedModel[]): string[] {
  const rows = models.map((model) => [
    model.name,
    `${(model.parameters / 1e9).toPrecision(3)} B`,
    model.bytes === null ? "?" : formatBytes(model.bytes),
    model.licence.name,
    model.gated ? "gated" : "open",
    model.sources.some((source) => source === "pypi") ? "hub, pypi" : "hub",
    model.path !== null ? "here" : model.runs === "server" ? "for a server" : "-",
    model.role,
  ]);
  const head = ["name", "parameters", "size", "licence", "access", "from", "state", "role"];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd();
  return [
    pc.bold(line(head)),
    ...rows.map(line),
    "",
    "Get one: true-intents model get NAME. Gated ones need their licence accepted on the hub and HF_TOKEN.",
  ];
}

/**
 * Runs a command's work: misuse and our own errors become one message and an exit code, Ctrl-C stops downloads so that
 * they can be resumed. Errors that are not the user's go on as they are.
 */
async function withUserErrors(misuse: string | null, work: (signal: AbortSignal) => Promise<number>): Promise<void> {
  if (misuse !== null) {
    say(misuse);
    process.exitCode = 2;
    return;
  }
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    process.exitCode = await work(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) {
      say("stopped; what was downloaded is kept, and the same command goes on from there");
      process.exitCode = 130;
    } else if (error instanceof ModelError || error instanceof DownloadError) {
      say(pc.red(error.message));
      process.exitCode = error instanceof UnknownModelError ? 2 : 1;
    } else throw error;
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

function seconds(start: number): string {
  return `${((Date.now() - start) / 1000).toFixed(1)} s`;
}
