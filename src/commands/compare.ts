import { defineCommand } from "citty";
import { UsageError } from "../cli/arguments.js";
import { compareModels, comparisonText } from "../evaluate/comparison.js";
import { openPredictionFolder } from "../evaluate/prediction-folder.js";
import { jsonText } from "../terminal.js";

export default defineCommand({
  meta: { name: "compare", description: "Two models on the same prompts: differences with intervals, McNemar's test, in words" },
  args: {
    folders: {
      type: "positional",
      required: true,
      description: "A and B: folders of evaluate or of runs, or folders that hold a run a seed (seed-1, seed-2, …)",
    },
    sets: { type: "string", description: "Sets, by commas (default: all that both have)", valueHint: "NAME,…" },
    json: { type: "boolean", default: false, description: "Print one JSON object" },
  },
  run({ args }) {
    const [a, b, ...more] = args._;
    if (b === undefined || more.length > 0) throw new UsageError("compare needs two folders: true-intents compare A B");
    const [first, second] = [a, b].map(openPredictionFolder);
    const names = args.sets?.split(",").map((name) => name.trim()) ?? first.sets.filter((set) => second.sets.includes(set));
    if (names.length === 0) throw new UsageError(`${a} and ${b} have predictions for no set in common`);
    const comparison = compareModels(names.map((set) => ({ set, first: first.read(set), second: second.read(set) })));
    console.log(args.json ? jsonText({ first: a, second: b, ...comparison }) : comparisonText(comparison, a, b));
  },
});
