import { defineCommand } from "citty";
import { interruptSignal } from "../cli/interrupt.js";
import { classify } from "../evaluate/classify.js";
import { printable } from "../evaluate/table.js";
import { FORMATS } from "../experiments/sft-run.js";
import { loadAdapter } from "../model/language-model.js";
import { visibleText } from "../report/text.js";
import { jsonText } from "../terminal.js";
import { parseFormat, trainedAs } from "./adapter.js";
import { DEFAULT_MODEL, modelFlags, openNamedModel, parsePrecision, trainedAdapter } from "./open.js";

export default defineCommand({
  meta: { name: "predict", description: "Say what a prompt intends and whether it is harmful" },
  args: {
    prompt: { type: "positional", required: true, description: "The prompt to judge" },
    model: {
      type: "string",
      description: `Catalogue name, hub id, GGUF file or safetensors folder (default: the adapter's, or ${DEFAULT_MODEL})`,
      valueHint: "name|path",
    },
    precision: modelFlags.precision,
    adapter: {
      type: "string",
      description: "PEFT folder, a run's folder, or none (default: the one npm start trained)",
      valueHint: "DIR",
    },
    format: {
      type: "string",
      description: "generation (intent and verdict) or classification (verdict only) (default: the run's, else generation)",
    },
    json: { type: "boolean", default: false, description: "Print one JSON object" },
  },
  async run({ args }) {
    // Words without quotes arrive one by one.
    const prompt = args._.join(" ");
    const folder = args.adapter === "none" ? null : trainedAdapter(args.adapter);
    const trained = folder === null ? {} : trainedAs(folder);
    const format = FORMATS[args.format === undefined ? (trained.mode ?? "generation") : parseFormat(args.format)];
    const model = await openNamedModel(args.model ?? trained.model ?? DEFAULT_MODEL, parsePrecision(args.precision), args.json);
    const adapter = folder === null ? null : loadAdapter(model, folder);
    try {
      const started = performance.now();
      for await (const result of classify(model, format, [prompt], {
        lora: adapter?.lora ?? null,
        signal: interruptSignal(),
      })) {
        const milliseconds = performance.now() - started;
        const { verdict, harmfulProbability, newTokens, text } = result;
        if (args.json) console.log(jsonText({ prompt, ...verdict, harmfulProbability, text, newTokens, milliseconds }));
        else {
          if (format.statesIntent) console.log(`Intent:      ${printable(verdict.intent ?? "(none stated)")}`);
          console.log(
            `Verdict:     ${verdict.harm === "unparsed" ? `unparsed, the model wrote: ${visibleText(JSON.stringify(text))}` : verdict.harm}`,
          );
          console.log(`P(harmful):  ${harmfulProbability?.toFixed(3) ?? "not defined without an intent"}`);
          console.log(`Time:        ${milliseconds.toFixed(0)} ms for ${newTokens} tokens`);
        }
      }
    } finally {
      adapter?.free();
      model.free();
    }
  },
});
