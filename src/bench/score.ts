/** Speed of label scoring: one forward pass a prompt, `harmful` against `safe` at its end. */
import { encodeInput, type LanguageModel } from "../model/language-model.js";
import { labelProbabilities } from "../model/score.js";
import { SFT_CLASSIFICATION } from "../prompts/sft.js";
import { peakRssMiB, timing, withLeakCount } from "./measure.js";
import { shortRows, trainingRows, type BenchRows } from "./work.js";

export async function benchScore(
  model: LanguageModel,
  options: { readonly prompts: number; readonly runs: number },
): Promise<Record<string, unknown>> {
  const { tokenizer, decoder } = model;
  const labels = [
    tokenizer.encode(SFT_CLASSIFICATION.labelWords.harmful),
    tokenizer.encode(SFT_CLASSIFICATION.labelWords.safe),
  ] as const;
  const measure = async ({ source, rows }: BenchRows): Promise<Record<string, unknown>> => {
    const prompts = rows
      .slice(0, options.prompts)
      .map((row) => encodeInput(tokenizer, SFT_CLASSIFICATION.input(row.prompt)).subarray(0, 512));
    const tokens = prompts.reduce((sum, p) => sum + p.length, 0);
    await labelProbabilities(decoder, prompts.slice(0, 4), labels);
    const { result, leakedTensors } = await withLeakCount(async () => {
      const milliseconds: number[] = [];
      for (let i = 0; i < options.runs; i++) {
        const started = performance.now();
        await labelProbabilities(decoder, prompts, labels);
        milliseconds.push(performance.now() - started);
      }
      return milliseconds;
    });
    const times = timing(result);
    return {
      rows: source,
      prompts: prompts.length,
      promptsPerSecond: (prompts.length * 1000) / times.medianMs,
      tokensPerSecond: (tokens * 1000) / times.medianMs,
      ...times,
      leakedTensors,
    };
  };
  return { long: await measure(trainingRows()), short: await measure(shortRows()), peakRssMiB: peakRssMiB() };
}
