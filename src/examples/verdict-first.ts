/**
 * A worked example of an experiment of one's own: does it hurt to say the verdict first and the intent after it? (The verdict would then be
 * the first token, as fast as plain classification.) It reads top to bottom: a format, training rows, training, the test set, a comparison
 * with an SFT run on the same prompts.
 *
 *     npx tsx -e "import('./src/examples/verdict-first.ts').then((m) => m.verdictFirst())"
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import {
  activateLora,
  evaluateSet,
  f1Statistic,
  fineTuneRows,
  loadSet,
  openModel,
  openOps,
  pairedDifference,
  readPredictions,
  resolveModel,
  type LabelledPrompt,
  type OutputFormat,
} from "../index.js";

const VERDICT_FIRST: OutputFormat = {
  name: "verdict-first",
  statesIntent: true,
  input: (prompt) => `${prompt}\n`,
  beforeVerdict: () => "Harm:",
  labelWords: { harmful: " harmful", safe: " safe" },
  parse(text) {
    const [, harm, intent = null] = /^Harm: (harmful|safe); Intent: (.+)/.exec(text) ?? [];
    return { harm: harm === "harmful" || harm === "safe" ? harm : "unparsed", intent };
  },
  maxNewTokens: 64,
};

export interface VerdictFirstOptions {
  /** Catalogue name or folder. Default: the model of the small SFT experiment. */
  readonly model?: string;
  /** At most so many training and test rows; default: all. For trials. */
  readonly limit?: number;
  /** Predictions of the SFT run to compare with, on the sample set's test split. */
  readonly compareWith?: string;
  readonly out?: string;
}

/** Prints F1's difference to the SFT run with its 95% interval, and returns the predictions' file. Needs a finished `run sft` (or `compareWith`). */
export async function verdictFirst({
  model: name = "gemma-3-270m",
  limit = Infinity,
  compareWith = "results/recorded/sft-small/generation/lr-0.001/seed-22/predictions/sample-test.jsonl",
  out = "results/runs/verdict-first/sample-test.jsonl",
}: VerdictFirstOptions = {}): Promise<string> {
  const { rows } = await loadSet("sample");
  const split = (wanted: string): LabelledPrompt[] => rows.filter((row) => row.split === wanted).slice(0, limit);
  const train = split("train").map(({ prompt, harm, intent }) => ({
    prompt: VERDICT_FIRST.input(prompt) as string,
    completion: `Harm: ${harm}; Intent: ${intent}`,
  }));

  const { path } = await resolveModel(name);
  const model = openModel(await openOps(), path);
  try {
    const { adapter } = await fineTuneRows(model, train, { epochs: 2, learningRate: 1e-3, seed: 22 });
    const lora = activateLora(model.decoder, adapter, false);
    try {
      mkdirSync(dirname(out), { recursive: true });
      const said = await evaluateSet(model, VERDICT_FIRST, split("test"), out, { lora });
      const before = readPredictions(compareWith).slice(0, limit);
      console.log("F1 less that of SFT, which says the intent first:", pairedDifference([said], [before], f1Statistic()));
      return out;
    } finally {
      lora.free();
      adapter.free();
    }
  } finally {
    model.free();
  }
}
