/** The tables of the Pareto notebook: points, single requests, and one benchmark that is the same for all. */
import { bootstrapMean } from "../evaluate/bootstrap.js";
import { f1Statistic } from "../evaluate/statistic.js";
import type { ParetoPoint, Range } from "./pareto.js";
import { loadPublished } from "./published.js";
import { modesOf, predictionsOf, type ExperimentRecord } from "./runs.js";
import type { ModelLatency } from "./single-requests.js";

/** Points as table rows, the fastest first. */
export function pointTable(points: readonly ParetoPoint[], frontier: readonly ParetoPoint[]): object[] {
  return points
    .toSorted((a, b) => a.millisecondsPerPrompt - b.millisecondsPerPrompt)
    .map((point) => ({
      model: point.model,
      from: point.group,
      "ms a prompt": point.millisecondsPerPrompt,
      "its 95% interval": rangeOf(point.latencyInterval, (value) => value.toPrecision(3)),
      "tokens a prompt": point.tokensPerPrompt,
      unparsed: point.unparsed === null ? "–" : `${(100 * point.unparsed).toFixed(1)}%`,
      [point.measure]: point.score.toFixed(3),
      "95% interval": rangeOf(point.interval, (value) => value.toFixed(3)),
      over: point.sets,
      "on its frontier": frontier.includes(point) ? "yes" : "",
    }));
}

function rangeOf(range: Range | null, text: (value: number) => string): string {
  return range === null ? "–" : `${text(range.low)} to ${text(range.high)}`;
}

/** Published F1s on one benchmark beside ours: the one comparison on the same prompts. */
export function sameSetTable(experiment: ExperimentRecord, set: "xstest"): object[] {
  const ours = modesOf(experiment).flatMap((mode) => {
    const runs = predictionsOf(experiment, mode, set);
    const interval = runs.length === 0 ? null : bootstrapMean([runs], f1Statistic());
    if (interval === null) return [];
    return [{ model: `${experiment.model} SFT, ${mode}`, from: "measured here", F1: interval.estimate }];
  });
  const published = loadPublished("benchmark-main").rows.map(({ group, model, f1 }) => ({
    model,
    from: group.replace("Ours", "the paper"),
    F1: f1[set],
  }));
  return [...published, ...ours].sort((a, b) => b.F1 - a.F1).map((row) => ({ ...row, F1: row.F1.toFixed(3) }));
}

/** Single requests as table rows. */
export function requestTable(latencies: readonly ModelLatency[]): object[] {
  return latencies.map(({ model, requests, medianMilliseconds, medianInterval, p95Milliseconds, tokensPerPrompt }) => ({
    ...{ model, requests, "median, ms": medianMilliseconds.toFixed(0) },
    "its 95% interval": rangeOf(medianInterval, (value) => value.toFixed(0)),
    "95th percentile, ms": p95Milliseconds.toFixed(0),
    "tokens a prompt": tokensPerPrompt.toFixed(1),
  }));
}

/** The measured points at the median of a single request instead of the time in batches, of those that were timed. */
export function requestPoints(points: readonly ParetoPoint[], latencies: readonly ModelLatency[]): ParetoPoint[] {
  const timed = new Map(latencies.map((latency) => [latency.model, latency]));
  return points.flatMap((point) => {
    const latency = timed.get(point.model);
    if (latency === undefined) return [];
    const { medianMilliseconds: millisecondsPerPrompt, medianInterval: latencyInterval, tokensPerPrompt } = latency;
    return [{ ...point, millisecondsPerPrompt, latencyInterval, tokensPerPrompt }];
  });
}
