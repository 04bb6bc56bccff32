import { defineCommand } from "citty";
import { UsageError } from "../cli/arguments.js";
import { interruptSignal } from "../cli/interrupt.js";
import { resolveModel } from "../model/catalogue/resolve.js";
import { readPeft } from "../model/peft.js";
import { mergeToSafetensors } from "../model/weights/merge.js";
import { openWeights } from "../model/weights/source.js";
import { modelFlags } from "./open.js";

export default defineCommand({
  meta: { name: "merge", description: "Fold a PEFT adapter into its model and write an ordinary safetensors folder" },
  args: {
    model: modelFlags.model,
    adapter: { type: "string", required: true, description: "PEFT folder", valueHint: "DIR" },
    out: { type: "string", required: true, description: "A new or empty folder", valueHint: "DIR" },
    dtype: { type: "string", default: "bfloat16", description: "float32 or bfloat16" },
  },
  async run({ args }) {
    const { dtype } = args;
    if (dtype !== "float32" && dtype !== "bfloat16")
      throw new UsageError(`--dtype is "${dtype}"; it must be float32 or bfloat16`);
    const { path } = await resolveModel(args.model, { signal: interruptSignal() });
    const source = openWeights(path);
    try {
      mergeToSafetensors(source, readPeft(args.adapter), args.out, { dtype });
      console.log(args.out);
    } finally {
      source.close();
    }
  },
});
