import { defineCommand } from "citty";
import { join, relative, resolve } from "node:path";
import { interruptSignal } from "../cli/interrupt.js";
import { ENGINE_FORMS } from "../engines/open.js";
import { agreementLines, agreementWithAnnotators, openInstruments } from "../experiments/dpo-instruments.js";
import { writeJson } from "../experiments/run-folder.js";
import { fileName } from "../file-name.js";
import { visibleText } from "../report/text.js";
import { jsonText } from "../terminal.js";
import { parseCount } from "./open.js";
import { RUNS } from "./run-shared.js";

export default defineCommand({
  meta: {
    name: "judge",
    description:
      "How far a judge of intents agrees with annotators: pairs of annotators, shuffled pairs, like words for unlike purposes",
  },
  args: {
    engine: { type: "string", default: "embedding", description: `embedding, or ${ENGINE_FORMS}`, valueHint: "ENGINE" },
    pairs: { type: "string", description: "At most so many pairs of each kind and set (default: all)", valueHint: "N" },
    out: {
      type: "string",
      description: "Folder of the answers, which are not asked for again (default: results/runs/judge-ENGINE)",
      valueHint: "DIR",
    },
    json: { type: "boolean", default: false, description: "Print one JSON object" },
  },
  async run({ args }) {
    const pairs = args.pairs === undefined ? {} : { pairs: parseCount("pairs", args.pairs, 1) };
    const out = resolve(args.out ?? join(RUNS, `judge-${fileName(args.engine)}`));
    const signal = interruptSignal();
    const instruments = await openInstruments(args.engine, join(out, "answers"), signal);
    try {
      const found = await agreementWithAnnotators(instruments.judge, { ...pairs, signal });
      writeJson(join(out, "judge.json"), found);
      console.log(args.json ? jsonText(found) : visibleText(agreementLines(found).join("\n")));
      if (!args.json) console.log(`\nVerdicts and intervals: ${relative(process.cwd(), join(out, "judge.json"))}`);
    } finally {
      await instruments.close();
    }
  },
});
