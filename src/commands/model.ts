/** `true-intents model list|get|verify`: the models that are known by name, and the copies on this machine. */
import { defineCommand } from "citty";
import pc from "picocolors";
import { UsageError } from "../cli/arguments.js";
import { formatBytes } from "../download/progress.js";
import { printable } from "../evaluate/table.js";
import { catalogue } from "../model/catalogue/catalogue.js";
import type { ModelEntry } from "../model/catalogue/entry.js";
import { localModels, presentModel } from "../model/catalogue/present.js";
import { resolveModel } from "../model/catalogue/resolve.js";
import { verifyModels } from "../model/catalogue/verify.js";
import { jsonText, say } from "../terminal.js";
import { interruptible } from "./interruptible.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

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
  run: async ({ args }) => {
    const models = await Promise.all(catalogue.map(listed));
    const names = new Set(catalogue.map((entry) => entry.name));
    const others = (await localModels()).filter((model) => !names.has(model.name));
    if (args.json) {
      print(jsonText({ models, others: others.map(({ name, folder }) => ({ name, folder })) }, 2));
      return;
    }
    for (const line of table(models)) print(line);
    for (const other of others) print(`${printable(other.name)}  ${pc.dim(printable(other.folder))}`);
  },
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
  run: async ({ args }) => {
    const only = args.source === "hub" || args.source === "pypi" ? args.source : undefined;
    if (args.source !== undefined && only === undefined) {
      throw new UsageError(`--source is "${args.source}"; it must be hub or pypi`);
    }
    if (args._.length === 0) throw new UsageError("model get needs a name; true-intents model list shows them");
    for (const name of args._) {
      const start = Date.now();
      const model = await interruptible((signal) => resolveModel(name, { log: say, signal, ...(only && { only }) }));
      say(`${model.name}: ${model.licence ? `${model.licence.name} (${model.licence.url}), ` : ""}${seconds(start)}`);
      print(model.path);
    }
  },
});

const verify = defineCommand({
  meta: { name: "verify", description: "Read the files of models again and compare their checksums" },
  args: { name: { type: "positional", required: false, description: "Models; without a name, all on this machine" } },
  run: async ({ args }) => {
    const results = await interruptible((signal) => verifyModels(args._, signal));
    if (results.length === 0) print("no models on this machine yet: true-intents model get NAME");
    for (const { name, folder, files, bytes, problems } of results) {
      const shown = printable(name);
      if (problems.length === 0)
        print(`${pc.green("ok")}       ${shown}  ${files} file${files === 1 ? "" : "s"}, ${formatBytes(bytes)}`);
      else print(`${pc.red("damaged")}  ${shown}`);
      for (const problem of problems) print(`         ${printable(problem)}`);
      if (problems.length > 0) print(`         delete ${printable(folder)} and run: true-intents model get ${shown}`);
    }
    if (results.some((result) => result.problems.length > 0)) process.exitCode = 1;
  },
});

/** Exit codes beside the usual ones: 1 also for a damaged model, 2 also for an unknown name. */
export default defineCommand({
  meta: { name: "model", description: "List, download and verify models" },
  subCommands: { list, get, verify },
});

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

function seconds(start: number): string {
  return `${((Date.now() - start) / 1000).toFixed(1)} s`;
}
