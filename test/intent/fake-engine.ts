/** An engine whose answers a test writes. Outcomes come in a shuffled order, as from a server. */
import type { CompletionRequest, Engine, Failure } from "../../src/engines/engine.js";
import { createRandom, shuffled } from "../../src/random.js";

export interface FakeEngine extends Engine {
  /** Every request so far. */
  readonly asked: CompletionRequest[];
}

export const failure = (reason: string, retryable = true): Failure => ({ kind: "failure", reason, retryable });

/** What the engine is given as text: the raw text, or the last message. */
export function textOf({ input }: CompletionRequest): string {
  return "text" in input ? input.text : input.messages.at(-1)!.content;
}

/** @param answer the text, a failure, or null for no outcome at all */
export function fakeEngine(
  answer: (request: CompletionRequest, sample: number) => string | Failure | null,
  options: { readonly canConstrain?: boolean; readonly order?: number } = {},
): FakeEngine {
  const asked: CompletionRequest[] = [];
  return {
    name: "fake",
    identity: { engine: "fake" },
    canConstrain: options.canConstrain ?? false,
    asked,
    async *complete(requests, { signal } = {}) {
      asked.push(...requests);
      const all = requests.flatMap((request, index) =>
        Array.from({ length: request.samples }, (_, sample) => ({ request, index, sample })),
      );
      for (const { request, index, sample } of shuffled(all, createRandom(options.order ?? 1))) {
        await Promise.resolve();
        signal?.throwIfAborted();
        const result = answer(request, sample);
        if (result === null) continue;
        yield {
          index,
          sample,
          result:
            typeof result === "string"
              ? { kind: "answer", text: result, finishReason: "stop", promptTokens: null, completionTokens: null }
              : result,
        };
      }
    },
    close: () => Promise.resolve(),
  };
}
