/** What an engine has done so far, for progress lines and summaries. */
import type { Engine, Outcome } from "./engine.js";

export interface EngineCounts {
  /** Samples that the engine answered, and that failed. */
  readonly answered: number;
  readonly failed: number;
  /** Samples that a cache answered; they cost nothing and are not counted in the rest. */
  readonly cached: number;
  /** Tokens of the answers, where the engine counts them. Each sample's prompt counts, as servers charge it. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** In the prices' currency; null if there are no prices. What failed requests may have cost is not in it. */
  readonly cost: number | null;
}

/** What a million tokens cost. */
export interface Prices {
  readonly prompt: number;
  readonly completion: number;
}

export interface CountedEngine extends Engine {
  /** Counts since the engine was made. */
  counts(): EngineCounts;
}

/** The same engine, counting. */
export function countedEngine(engine: Engine, prices: Prices | null = null): CountedEngine {
  let answered = 0;
  let failed = 0;
  let promptTokens = 0;
  let completionTokens = 0;
  const count = ({ result }: Outcome): void => {
    if (result.kind === "failure") failed++;
    else {
      answered++;
      promptTokens += result.promptTokens ?? 0;
      completionTokens += result.completionTokens ?? 0;
    }
  };
  return {
    name: engine.name,
    get identity() {
      return engine.identity;
    },
    canConstrain: engine.canConstrain,
    async *complete(requests, options) {
      for await (const outcome of engine.complete(requests, options)) {
        count(outcome);
        yield outcome;
      }
    },
    counts: () => ({
      answered,
      failed,
      cached: 0,
      promptTokens,
      completionTokens,
      cost: prices === null ? null : (promptTokens * prices.prompt + completionTokens * prices.completion) / 1e6,
    }),
    close: () => engine.close(),
  };
}

/** One line: "412 answered, 3 failed, 88 from the cache; 51,200 + 9,870 tokens; cost 0.42". */
export function describeCounts({ answered, failed, cached, promptTokens, completionTokens, cost }: EngineCounts): string {
  const number = (value: number): string => value.toLocaleString("en-US");
  const samples = [
    `${number(answered)} answered`,
    ...(failed > 0 ? [`${number(failed)} failed`] : []),
    ...(cached > 0 ? [`${number(cached)} from the cache`] : []),
  ];
  const tokens = promptTokens + completionTokens > 0 ? [`${number(promptTokens)} + ${number(completionTokens)} tokens`] : [];
  return [samples.join(", "), ...tokens, ...(cost === null ? [] : [`cost ${cost.toFixed(2)}`])].join("; ");
}
