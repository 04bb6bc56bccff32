/** What an SFT experiment can be told, each setting with what it may be. */
import { z } from "zod";
import type { OwnColumns } from "../data/own.js";
import { count, list, names, optimisation, precision, rate, rows, seeds, text } from "./config-fields.js";
import { applySettings, checkConfig, type ConfigSchema } from "./config.js";

export const MODES = ["generation", "classification"] as const;
/** Generation: intent and verdict. Classification: the verdict alone. */
export type Mode = (typeof MODES)[number];

export interface SftConfig {
  /** Catalogue name, hub id or path; "tiny-random": a model of random weights that is made on the spot. */
  readonly model: string;
  readonly precision: "auto" | "float32" | "bfloat16";
  readonly modes: readonly Mode[];
  readonly trainSet: string;
  /** Early stopping looks at the loss on it. */
  readonly validationSet: string;
  /** The learning rate is chosen by the mean F1 over these. */
  readonly selectionSets: readonly string[];
  readonly testSets: readonly string[];
  /** Columns of the sets that are the user's own files; absent: found by their usual names. */
  readonly columns?: OwnColumns;
  /** At most this many rows of each set, the first ones; 0: all. For trials. */
  readonly limit: number;
  /** Peak rates. Several are a sweep, run with the first seed only. */
  readonly learningRates: readonly number[];
  /** Those of classification, where it needs others (the paper's two modes end at different ones); absent: `learningRates`. */
  readonly classificationLearningRates?: readonly number[];
  readonly seeds: readonly number[];
  readonly epochs: number;
  /** Epochs without a lower validation loss after which training stops; 0: never. */
  readonly patience: number;
  /** Which epoch's adapter a run ends with: the one of the lowest validation loss, or the last. */
  readonly keep: "best" | "last";
  /** Rows an optimiser step. */
  readonly batchSize: number;
  /** Tokens a row. */
  readonly maxLength: number;
  readonly r: number;
  readonly loraAlpha: number;
  readonly beta2: number;
  readonly weightDecay: number;
  /** Share of the steps in which the rate rises; then it falls as a cosine. */
  readonly warmupRatio: number;
  /** Seconds between two checkpoints; one more is saved after each epoch. 0: after each step. */
  readonly checkpointSeconds: number;
}

const rates = list(rate).min(1).describe("numbers above 0 and at most 1, separated by commas");

/** The fields of an SFT config, for experiments that train by its recipe. */
export const sftFields = {
  model: text.describe("a model's name, hub id or path"),
  precision,
  modes: list(z.enum(MODES)).min(1).describe("generation, classification, or both separated by a comma"),
  trainSet: text.describe("the name of a data set"),
  validationSet: text.describe("the name of a data set"),
  selectionSets: names,
  testSets: names,
  columns: z
    .strictObject({
      prompt: text.exactOptional(),
      intent: text.exactOptional(),
      label: text.exactOptional(),
      id: text.exactOptional(),
      harmfulValues: z.array(z.string()).exactOptional(),
      safeValues: z.array(z.string()).exactOptional(),
    })
    .exactOptional()
    .describe("given by --prompt-column, --intent-column, --label-column and the like"),
  limit: rows,
  learningRates: rates,
  classificationLearningRates: rates.exactOptional().describe(rates.description ?? ""),
  seeds,
  patience: count(0, 1000).describe("a whole number of epochs; 0 means no early stopping"),
  keep: z.enum(["best", "last"]).describe("best or last"),
  r: count(1, 1024).describe("a whole number from 1 to 1024"),
  loraAlpha: z.number().positive().max(1e6).describe("a number above 0"),
  ...optimisation,
};
const schema = z.strictObject(sftFields) satisfies z.ZodType<SftConfig>;

const described: ConfigSchema<SftConfig> = {
  check: (value) => schema.safeParse(value),
  allowed: Object.fromEntries(Object.entries(schema.shape).map(([key, field]) => [key, field.description ?? ""])),
};

/**
 * A preset with some settings changed. `learningRates` is for both modes, unless `classificationLearningRates` is set too.
 * @param settings "key=value"; lists are separated by commas, and may be empty where none is needed ("testSets=")
 * @throws ConfigError naming the key, what it was given and what is allowed
 */
export function sftConfig(preset: SftConfig, settings: readonly string[] = []): SftConfig {
  return applySettings(presetFor(preset, settings), settings, described);
}

/** The preset as {@link sftConfig} starts from: `learningRates` that are set are for both modes, and replace those of classification. */
export function presetFor<Config extends SftConfig>(preset: Config, settings: readonly string[]): Config {
  const sets = (key: string): boolean => settings.some((setting) => setting.split("=")[0].trim() === key);
  if (sets("classificationLearningRates"))
    return { ...preset, classificationLearningRates: preset.classificationLearningRates ?? preset.learningRates };
  if (!sets("learningRates")) return preset;
  const rest = { ...preset };
  Reflect.deleteProperty(rest, "classificationLearningRates");
  return rest;
}

/** The rates that a mode is trained with. */
export function ratesOf({ learningRates, classificationLearningRates }: SftConfig, mode: Mode): readonly number[] {
  return mode === "classification" ? (classificationLearningRates ?? learningRates) : learningRates;
}

/** Reads a config back, for instance from a run folder. @throws ConfigError naming file and field */
export function checkSftConfig(value: unknown, file: string): SftConfig {
  return checkConfig(value, described, file);
}
