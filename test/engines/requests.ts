/** Requests, and the outcomes of all of them. */
import type { CompletionRequest, Engine, Outcome } from "../../src/engines/engine.js";

export function ask(content: string, more: Partial<CompletionRequest> = {}): CompletionRequest {
  const input = { messages: [{ role: "user", content }] };
  return { input, maxNewTokens: 16, temperature: 0.8, topP: 0.95, samples: 1, seed: 1, ...more };
}

/** Outcomes in the order of requests and samples; whether they were kept from before is left out. */
export async function outcomes(engine: Engine, requests: readonly CompletionRequest[], signal?: AbortSignal): Promise<Outcome[]> {
  const found: Outcome[] = [];
  for await (const { index, sample, result } of engine.complete(requests, signal ? { signal } : {}))
    found.push({ index, sample, result });
  return found.sort((a, b) => a.index - b.index || a.sample - b.sample);
}

/** What must come out, once each: [index, sample]. */
export function places(requests: readonly CompletionRequest[]): [number, number][] {
  return requests.flatMap(({ samples }, index) => Array.from({ length: samples }, (_, i): [number, number] => [index, i]));
}
