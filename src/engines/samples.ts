/** Which samples a request asks for. */
import type { CompletionRequest } from "./engine.js";

/** Numbers of the samples wanted, ascending. */
export function wantedSamples({ samples, skip = [] }: CompletionRequest): number[] {
  const left = new Set(skip);
  return Array.from({ length: samples }, (_, sample) => sample).filter((sample) => !left.has(sample));
}
