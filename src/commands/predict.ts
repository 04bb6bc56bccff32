import { defineCommand } from "citty";
import { UsageError } from "../cli/arguments.js";
import { interruptSignal } from "../cli/interrupt.js";
import { classify } from "../evaluate/classify.js";
import { SFT_CLASSIFICATION, SFT_GENERATION } from "../prompts/sft.js";
import { modelFlags, openAdapter, openNamedModel, parsePrecision } from "./open.js";

export default defineCommand({
  meta: { name: "predict", description: "Say what a prompt intends and whether it is harmful" },
  args: {
    prompt: { type: "positional", required: true, description: "The prompt to judge" },
    ...modelFlags,
    adapter: { type: "string", description: "PEFT folder, or none (default: the one npm start trained)", valueHint: "DIR" },
    format: {
      type: "string",
      default: "generation",
      description: "generation (intent and verdict) or classification (verdict only)",
    },
    json: { type: "boolean", default: false, description: "Print one JSON object" },
  },
  async run({ args }) {
    // Words without quotes arrive one by one.
    const prompt = args._.join(" ");
    const format = { generation: SFT_GENERATION, classification: SFT_CLASSIFICATION }[args.format];
    if (format === undefined) throw new UsageError(`--format is "${args.format}"; it must be generation or classification`);
    const model = await openNamedModel(args.model, parsePrecision(args.precision), args.json);
    const adapter = openAdapter(model, args.adapter);
    try {
      const started = performance.now();
      for await (const result of classify(model, format, [prompt], {
        lora: adapter?.lora ?? null,
        signal: interruptSignal(),
      })) {
        const milliseconds = performance.now() - started;
        const { verdict, harmfulProbability, newTokens, text } = result;
        if (args.json) console.log(JSON.stringify({ prompt, ...verdict, harmfulProbability, text, newTokens, milliseconds }));
        else {
          if (format.statesIntent) console.log(`Intent:      ${verdict.intent ?? "(none stated)"}`);
          console.log(
            `Verdict:     ${verdict.harm === "unparsed" ? `unparsed, the model wrote: ${JSON.stringify(text)}` : verdict.harm}`,
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
