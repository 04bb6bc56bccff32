import { defineCommand } from "citty";
import { join, relative, resolve } from "node:path";
import { UsageError } from "../cli/arguments.js";
import { interruptSignal } from "../cli/interrupt.js";
import type { OwnColumns } from "../data/own.js";
import { groupTable, latencyText, meanText, setText } from "../evaluate/report-tables.js";
import { printable } from "../evaluate/table.js";
import { adapterHash, runEvaluation, type EvaluationSummary } from "../experiments/evaluation.js";
import { predictionFile } from "../experiments/run-folder.js";
import { loadAtHand, loadNamed, type NamedSet } from "../experiments/sets.js";
import type { Mode } from "../experiments/sft-config.js";
import { fileName } from "../file-name.js";
import { jsonText, say } from "../terminal.js";
import { adapterFolder, parseFormat, trainedAs } from "./adapter.js";
import { columnArgs, columnFlags } from "./columns.js";
import { DEFAULT_MODEL, modelFlags, parseCount, parsePrecision } from "./open.js";
import { RUNS } from "./run-shared.js";

/** Evaluated where --sets is not given, those of them that are at hand. */
export const DEFAULT_SETS = ["sample-test", "xstest"];

export default defineCommand({
  meta: { name: "evaluate", description: "Score a model on data sets: F1 and more with intervals, per set, mean, by theme" },
  args: {
    model: {
      type: "string",
      description: `Catalogue name, hub id, GGUF file or safetensors folder (default: the adapter's, or ${DEFAULT_MODEL})`,
      valueHint: "name|path",
    },
    precision: modelFlags.precision,
    adapter: { type: "string", description: "PEFT folder, or a run's folder (default: the model as it is)", valueHint: "DIR" },
    format: { type: "string", description: "generation or classification (default: the run's, else generation)" },
    sets: {
      type: "string",
      description: `Names (true-intents data list; also NAME-test and the like) or files, by commas (default: ${DEFAULT_SETS.join(",")})`,
      valueHint: "NAME,…",
    },
    ...columnArgs,
    out: {
      type: "string",
      description: "Folder (default: results/runs/evaluate-…, one a model, adapter and format)",
      valueHint: "DIR",
    },
    batchSize: { type: "string", description: "Prompts generated together", valueHint: "N" },
    latency: { type: "boolean", default: false, description: "Also time single requests" },
    byTheme: { type: "boolean", default: false, description: "Also print scores by theme or type, and by level" },
    fresh: { type: "boolean", default: false, description: "Remove what an earlier evaluation left in the folder" },
    json: { type: "boolean", default: false, description: "Print the summary as JSON" },
  },
  async run({ args }) {
    const adapter = args.adapter === undefined || args.adapter === "none" ? null : adapterFolder(args.adapter);
    const trained = adapter === null ? {} : trainedAs(adapter);
    const model = args.model ?? trained.model ?? DEFAULT_MODEL;
    const format = args.format === undefined ? (trained.mode ?? "generation") : parseFormat(args.format);
    const sets = await openSets(args.sets, columnFlags(args));
    const out = resolve(args.out ?? join(RUNS, defaultName(model, adapter, format)));
    const request = {
      model,
      precision: parsePrecision(args.precision),
      adapter,
      format,
      sets,
      latency: args.latency,
      ...(args.batchSize !== undefined && { batchSize: parseCount("batch-size", args.batchSize, 1) }),
    };
    const summary = await runEvaluation(request, out, { fresh: args.fresh, signal: interruptSignal() });
    if (args.json) console.log(jsonText(summary));
    else
      console.log(
        `\n${summaryText(summary, args.byTheme)}\n\nUnparsed answers count as wrong. All of it: ${relative(process.cwd(), out)}`,
      );
  },
});

/** What of a summary is printed. */
type Printed = Pick<EvaluationSummary, "model" | "sets" | "mean" | "latency" | "notes">;

/** What the command prints. */
export function summaryText(summary: Printed, byTheme: boolean): string {
  const parts = Object.entries(summary.sets).flatMap(([set, report]) => {
    const groups = byTheme ? [report.byTheme, report.byLevel].filter((group) => group.length > 0) : [];
    return [setText(set, summary.model, report), ...groups.map(groupTable)];
  });
  parts.push(meanText(summary.mean));
  if (summary.latency !== null) parts.push(latencyText(summary.latency));
  parts.push(...summary.notes.map(printable));
  return parts.filter((part) => part !== "").join("\n\n");
}

/** The sets that are named must be there; of the default ones, those that are at hand are taken. */
export async function openSets(names: string | undefined, columns: OwnColumns): Promise<NamedSet[]> {
  if (names === undefined) {
    const { sets, leftOut } = await loadAtHand(DEFAULT_SETS, 0);
    for (const { set, reason } of leftOut) say(`${set} is left out: ${reason}`);
    return sets;
  }
  const sets: NamedSet[] = [];
  for (const name of names.split(",").map((part) => part.trim())) {
    if (name === "") throw new UsageError(`--sets is "${names}"; it must be names separated by commas`);
    const same = sets.find((set) => predictionFile("", set.name) === predictionFile("", name));
    if (same !== undefined)
      throw new UsageError(`--sets names ${same.name} and ${name}, whose predictions would stand in one file`);
    sets.push(await loadNamed(name, 0, columns));
  }
  return sets;
}

function defaultName(model: string, adapter: string | null, format: Mode): string {
  return `evaluate-${fileName(model)}-${adapter === null ? "base" : adapterHash(adapter).slice(0, 8)}-${format}`;
}
