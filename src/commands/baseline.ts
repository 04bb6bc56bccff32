import { defineCommand } from "citty";
import { join, relative, resolve } from "node:path";
import { UsageError } from "../cli/arguments.js";
import { interruptSignal } from "../cli/interrupt.js";
import { closest } from "../closest.js";
import { ENGINE_FORMS, KEY_VARIABLE, openEngine } from "../engines/open.js";
import { runBaseline, type BaselineSummary } from "../experiments/baseline.js";
import { fileName } from "../file-name.js";
import type { BaselineForm } from "../prompts/baseline-form.js";
import { GUARDS } from "../prompts/guards/index.js";
import { ZERO_SHOT } from "../prompts/zero-shot.js";
import { jsonText } from "../terminal.js";
import { columnArgs, columnFlags } from "./columns.js";
import { DEFAULT_SETS, openSets, summaryText } from "./evaluate.js";
import { parseCount, parsePrecision } from "./open.js";
import { RUNS } from "./run-shared.js";

const FORMS = [...ZERO_SHOT, ...GUARDS];

export default defineCommand({
  meta: {
    name: "baseline",
    description: "Score a model that was not trained here: any instruct model zero-shot, or a guard model in its own form",
  },
  args: {
    engine: { type: "string", required: true, description: ENGINE_FORMS, valueHint: "ENGINE" },
    form: {
      type: "string",
      default: "zero-shot",
      description: `By commas; zero-shot is the first four (the default): ${FORMS.map(({ name }) => name).join(", ")}`,
      valueHint: "FORM,…",
    },
    sets: {
      type: "string",
      description: `Names (true-intents data list; also NAME-test and the like) or files, by commas (default: ${DEFAULT_SETS.join(",")})`,
      valueHint: "NAME,…",
    },
    ...columnArgs,
    out: {
      type: "string",
      description: "Folder, with several forms one with a folder for each (default: results/runs/baseline-ENGINE-FORM)",
      valueHint: "DIR",
    },
    precision: { type: "string", default: "auto", description: "Of a local: engine: auto, float32 or bfloat16" },
    keyVariable: {
      type: "string",
      description: `Environment variable with a server's key (default: ${KEY_VARIABLE}, if it is set)`,
      valueHint: "NAME",
    },
    concurrency: { type: "string", default: "8", description: "Requests to a server under way at a time", valueHint: "N" },
    schema: {
      type: "boolean",
      default: true,
      description: "Hold a server's answers to JSON schemas (--no-schema: ask in words)",
    },
    latency: { type: "boolean", default: false, description: "Also time single requests" },
    byTheme: { type: "boolean", default: false, description: "Also print scores by theme or type, and by level" },
    fresh: { type: "boolean", default: false, description: "Remove what an earlier run left in the folder, answers too" },
    json: { type: "boolean", default: false, description: "Print each summary as a line of JSON" },
  },
  async run({ args }) {
    const forms = chosenForms(args.form);
    const sets = await openSets(args.sets, columnFlags(args));
    const { keyVariable, schema, latency, fresh } = args;
    const server = {
      concurrency: parseCount("concurrency", args.concurrency, 1),
      schema,
      ...(keyVariable !== undefined && { keyVariable }),
    };
    const signal = interruptSignal();
    const engine = await openEngine(args.engine, { precision: parsePrecision(args.precision), server, resolve: { signal } });
    try {
      for (const form of forms) {
        const out = folderFor(args.out, args.engine, form, forms.length);
        const summary = await runBaseline(engine, form, sets, out, { latency, fresh, signal });
        console.log(
          args.json
            ? jsonText(summary)
            : `\n${baselineText(summary, args.byTheme)}\n\nAll of it: ${relative(process.cwd(), out)}`,
        );
      }
    } catch (error) {
      if (signal.aborted) process.stderr.write("Stopped; what was answered is kept. The same command goes on from there.\n");
      throw error;
    } finally {
      await engine.close();
    }
  },
});

const HOW: Readonly<Record<BaselineSummary["answers"], string>> = {
  choice: "the likelier of the two words",
  schema: "answers held to a JSON schema",
  free: "answers in free text",
};

function baselineText(summary: BaselineSummary, byTheme: boolean): string {
  const how = `${summary.form}: ${HOW[summary.answers]}. Unparsed answers count as wrong.`;
  return `${how}\n\n${summaryText({ ...summary, model: `${summary.model}, ${summary.form}` }, byTheme)}`;
}

/** @throws UsageError naming the closest form */
function chosenForms(text: string): BaselineForm[] {
  const names = text.split(",").map((name) => name.trim());
  const forms = names.flatMap((name) => {
    if (name === "zero-shot") return ZERO_SHOT;
    const form = FORMS.find((known) => known.name === name);
    if (form !== undefined) return [form];
    const similar = closest(name, ["zero-shot", ...FORMS.map((known) => known.name)]);
    const hint =
      similar === null ? `known are zero-shot, ${FORMS.map((known) => known.name).join(", ")}` : `did you mean ${similar}?`;
    throw new UsageError(`--form: there is no "${name}"; ${hint}`);
  });
  return [...new Set(forms)];
}

function folderFor(out: string | undefined, engine: string, form: BaselineForm, forms: number): string {
  if (out !== undefined) return forms === 1 ? resolve(out) : resolve(out, form.name);
  return join(RUNS, `baseline-${fileName(engine)}-${form.name}`);
}
