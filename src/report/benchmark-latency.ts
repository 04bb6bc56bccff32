/** The paper's latency table (`tab:pareto_latency`) with what was measured here in it, the fastest first. */
import type { ParetoPoint } from "./pareto.js";
import { loadPublished } from "./published.js";

/** All twelve published rows; ours are in batches on the machine that the run names, so their times compare with each other only. */
export function latencyTable(points: readonly ParetoPoint[]): object[] {
  const published = loadPublished("latency").rows.map(({ model, millisecondsPerPrompt, tokensPerPrompt, f1Printed }) => ({
    ...{ model, from: "published: one GPU, all prompts at once", millisecondsPerPrompt, tokensPerPrompt },
    ...{ f1: f1Printed, interval: null, over: "five benchmarks" },
  }));
  const own = points.map(({ model, group, millisecondsPerPrompt, tokensPerPrompt, score, interval, sets }) => ({
    ...{ model, from: `${group}, in batches`, millisecondsPerPrompt, tokensPerPrompt, f1: score, interval, over: sets },
  }));
  return [...published, ...own]
    .sort((a, b) => a.millisecondsPerPrompt - b.millisecondsPerPrompt)
    .map(({ model, from, millisecondsPerPrompt, tokensPerPrompt, f1, interval, over }) => ({
      ...{ model, from, "ms a prompt": millisecondsPerPrompt.toFixed(2), "tokens a prompt": tokensPerPrompt?.toFixed(1) ?? "–" },
      "mean F1": f1.toFixed(3),
      "95% interval": interval === null ? "–" : `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`,
      "F1 over": over,
    }));
}

/** What stands behind the published times: prompts, tokens, seconds, rates. "Used" is the paper's figure, "computed" its notebook's own. */
export function latencyDetail(): object[] {
  return loadPublished("latency").detail.map((row) => ({
    ...{ model: row.model, output: row.output, prompts: row.count, tokens: row.tokens, seconds: row.totalSeconds.toFixed(1) },
    ...{ "prompts a second": row.promptsPerSecond, "tokens a second": row.tokensPerSecond },
    ...{ "F1 used": row.f1Used.toFixed(4), "F1 computed": row.f1Computed.toFixed(4) },
  }));
}
