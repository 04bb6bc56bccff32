/** How long a single request takes with each model that an experiment trained, as src/experiments/requests.ts measured and kept it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import type { RequestLatency } from "../evaluate/latency.js";
import { adapterHash } from "../experiments/evaluation.js";
import { readJson } from "../experiments/run-folder.js";
import { groupBy } from "../group-by.js";
import type { MeasuredModel, TrainedModel } from "./measured-models.js";

/** Single requests of a model's first seed. */
export interface ModelLatency extends RequestLatency {
  /** As {@link MeasuredModel} calls it. */
  readonly model: string;
  /** Of the adapter that was timed. */
  readonly adapterSha256: string;
}

/** Where an experiment's times are. */
export const REQUESTS = "requests.json";

const milliseconds = z.number().positive();
const schema = z.array(
  z.strictObject({
    model: z.string(),
    adapterSha256: z.string(),
    requests: z.number().int().positive(),
    medianMilliseconds: milliseconds,
    medianInterval: z.strictObject({ low: milliseconds, high: milliseconds }).nullable(),
    p95Milliseconds: milliseconds,
    tokensPerPrompt: z.number().nonnegative(),
  }),
);

/** A model with what it takes to ask it. */
export type Timeable = MeasuredModel & { readonly trained: TrainedModel };

/**
 * The times that were measured of these models, in their order; an adapter that has been trained anew since has none.
 * @throws DataFormatError or RunFolderError for a damaged file
 */
export function readRequests(models: readonly MeasuredModel[]): ModelLatency[] {
  const kept = [...experimentsOf(models).keys()].flatMap(keptIn);
  return models.flatMap((model) => kept.filter((one) => isOf(one, model)).slice(0, 1));
}

/** The models that have no time among `known` and an adapter to measure one with; recorded experiments have no adapters. */
export function untimed(models: readonly MeasuredModel[], known: readonly ModelLatency[]): MeasuredModel[] {
  return models.filter(
    ({ name, trained }) => trained !== undefined && existsSync(trained.adapter) && !known.some(({ model }) => model === name),
  );
}

/** The models that can be asked again, by their experiment's folder. */
export function experimentsOf(models: readonly MeasuredModel[]): Map<string, Timeable[]> {
  const timeable = models.flatMap((model) => (model.trained === undefined ? [] : [{ ...model, trained: model.trained }]));
  return groupBy(timeable, ({ trained }) => trained.experiment);
}

/** All times in an experiment's folder, whatever their adapters are now. @throws DataFormatError or RunFolderError */
export function keptIn(experiment: string): ModelLatency[] {
  const file = join(experiment, REQUESTS);
  return existsSync(file) ? checkRow(schema, readJson(file), file, 0) : [];
}

function isOf({ model, adapterSha256 }: ModelLatency, { name, trained }: MeasuredModel): boolean {
  return (
    model === name && trained !== undefined && (!existsSync(trained.adapter) || adapterHash(trained.adapter) === adapterSha256)
  );
}
