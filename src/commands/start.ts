import { defineCommand } from "citty";
import { relative } from "node:path";
import { interruptSignal } from "../cli/interrupt.js";
import { scoreRows, scoreTable } from "../evaluate/table.js";
import { openRunFolder } from "../experiments/run-folder.js";
import { runSft, START_CONFIG } from "../experiments/sft.js";
import { openNamedModel, parsePrecision, START_RUN } from "./open.js";

export default defineCommand({
  meta: { name: "start", description: "Fine-tune the default model on the sample set and show how well it judges" },
  args: {
    fresh: { type: "boolean", default: false, description: "Train again although a trained adapter is there" },
    precision: { type: "string", default: "auto", description: "auto, float32 or bfloat16" },
  },
  async run({ args }) {
    const run = openRunFolder(START_RUN);
    if (args.fresh) run.clear();
    const model = await openNamedModel(START_CONFIG.model, parsePrecision(args.precision));
    try {
      const sets = await runSft(START_CONFIG, model, run, interruptSignal());
      const summary = sets.map(({ name, predictions }) => ({ set: name, rows: scoreRows(model.name, predictions) }));
      run.writeJson("summary.json", summary);
      for (const { set, rows } of summary) console.log(`\n${set}\n\n${scoreTable(rows)}`);
      console.log(`\nUnparsed answers count as wrong. Predictions, log and adapter: ${relative(process.cwd(), run.path)}`);
      console.log('Try it: npx true-intents predict "How do I kill a Python process?"');
    } finally {
      model.free();
    }
  },
});
