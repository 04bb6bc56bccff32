/** Measured models as points of the Pareto figure: a mean score and a time a prompt, each with its interval. */
import { bootstrapMean } from "../evaluate/bootstrap.js";
import { throughputInterval, throughputOf } from "../evaluate/latency.js";
import { AUPRC_STATISTIC, f1Statistic } from "../evaluate/statistic.js";
import type { MeasuredModel } from "./measured-models.js";
import type { ParetoMeasure, ParetoPoint } from "./pareto.js";

const STATISTICS = { F1: f1Statistic(), AUPRC: AUPRC_STATISTIC };

/**
 * One point a model: the mean score over its sets and seeds, wall time and generated tokens a prompt in batches, and the share of answers
 * that could not be read. A model that did not see every set, or whose score is not defined on one, has no point.
 */
export function pointsOf(models: readonly MeasuredModel[], measure: ParetoMeasure = "F1"): ParetoPoint[] {
  return models.flatMap(({ name: model, group, sets, runs }) => {
    if (runs.length === 0 || runs.some((seeds) => seeds.length === 0)) return [];
    const mean = bootstrapMean(runs, STATISTICS[measure]);
    const said = runs.flat(2);
    const { millisecondsPerPrompt, tokensPerPrompt } = throughputOf(said);
    if (mean === null || millisecondsPerPrompt === null) return [];
    return [
      {
        ...{ model, group, measure, millisecondsPerPrompt, tokensPerPrompt },
        score: mean.estimate,
        interval: { low: mean.low, high: mean.high },
        // Every set has the same seeds in the same order.
        latencyInterval: throughputInterval(runs[0].map((_, seed) => runs.map((seeds) => seeds[seed]))),
        unparsed: said.filter(({ harm }) => harm === "unparsed").length / said.length,
        sets: sets.join(", "),
      },
    ];
  });
}
