/** Speed of greedy generation, every completion of full length. */
import { generate } from "../model/generate.js";
import { encodeInput, type LanguageModel } from "../model/language-model.js";
import { SFT_GENERATION } from "../prompts/sft.js";
import { peakRssMiB, timing, withLeakCount } from "./measure.js";
import { shortRows } from "./work.js";

export interface GenerateBenchOptions {
  /** Prompts generated together. */
  readonly batch: number;
  readonly newTokens: number;
  readonly runs: number;
}

export async function benchGenerate(model: LanguageModel, options: GenerateBenchOptions): Promise<Record<string, unknown>> {
  const { source, rows } = shortRows();
  const prompts = rows
    .filter((row) => row.prompt.length >= 20)
    .slice(0, options.batch)
    .map((row) => encodeInput(model.tokenizer, SFT_GENERATION.input(row.prompt)));
  const run = async (newTokens: number): Promise<number> => {
    const started = performance.now();
    await generate(model.decoder, prompts, { maxNewTokens: newTokens, batchSize: options.batch, eosIds: [] });
    return performance.now() - started;
  };
  await run(4);
  const { result, leakedTensors } = await withLeakCount(async () => {
    const milliseconds: number[] = [];
    for (let i = 0; i < options.runs; i++) milliseconds.push(await run(options.newTokens));
    return { milliseconds, prefillMs: await run(1) };
  });
  const times = timing(result.milliseconds);
  return {
    rows: source,
    prompts: prompts.length,
    promptTokens: prompts.reduce((sum, p) => sum + p.length, 0),
    newTokensPerSecond: (prompts.length * options.newTokens * 1000) / times.medianMs,
    bestNewTokensPerSecond: (prompts.length * options.newTokens * 1000) / times.bestMs,
    prefillMs: result.prefillMs,
    ...times,
    leakedTensors,
    peakRssMiB: peakRssMiB(),
  };
}
