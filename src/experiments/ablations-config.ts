/** What the ablations can be told: the settings of SFT, and where other labels and other prompts come from. */
import { z } from "zod";
import { count, list, text } from "./config-fields.js";
import { applySettings, checkConfig, type ConfigSchema } from "./config.js";
import { presetFor, sftFields, type SftConfig } from "./sft-config.js";

/** Where labels come from; how many rows there are; which prompts are added. */
export const ABLATIONS = ["source", "scale", "mix"] as const;
export type Ablation = (typeof ABLATIONS)[number];

/** `trainSet` is the annotated set, with its own labels. */
export interface AblationsConfig extends SftConfig {
  /**
   * A set with labels of its own for the prompts of the annotated set, matched by their text; or an engine that labels them zero-shot
   * (`local:MODEL`, `llama:MODEL`, `http://HOST/v1#MODEL`).
   */
  readonly otherLabels: string;
  /** The broader set that prompts are drawn from, with its own labels. */
  readonly pool: string;
  /** Of the annotated rows, each between 0 and 1. All of them are trained on in any case. */
  readonly shares: readonly number[];
  /** Epochs of training on the whole pool. */
  readonly poolEpochs: number;
  /** Of all draws of rows. */
  readonly drawSeed: number;
}

const schema = z.strictObject({
  ...sftFields,
  otherLabels: text.describe(
    "the name of a data set with the same prompts, or an engine: local:MODEL, llama:MODEL, http://HOST/v1#MODEL",
  ),
  pool: text.describe("the name of a data set"),
  shares: list(z.number().gt(0).lt(1)).describe("numbers between 0 and 1, separated by commas"),
  poolEpochs: count(1, 1000).describe("a whole number from 1 to 1000"),
  drawSeed: count(0, 2 ** 32 - 1).describe("a whole number"),
}) satisfies z.ZodType<AblationsConfig>;

const described: ConfigSchema<AblationsConfig> = {
  check: (value) => schema.safeParse(value),
  allowed: Object.fromEntries(Object.entries(schema.shape).map(([key, field]) => [key, field.description ?? ""])),
};

/**
 * A preset with some settings changed.
 * @param settings "key=value"; lists are separated by commas
 * @throws ConfigError naming the key, what it was given and what is allowed
 */
export function ablationsConfig(preset: AblationsConfig, settings: readonly string[] = []): AblationsConfig {
  return applySettings(presetFor(preset, settings), settings, described);
}

/** Reads a config back, for instance from a run folder. @throws ConfigError naming file and field */
export function checkAblationsConfig(value: unknown, file: string): AblationsConfig {
  return checkConfig(value, described, file);
}

/** Takes what SFT knows and drops the rest. */
const sftPart = z.object(sftFields) satisfies z.ZodType<SftConfig>;

/** What trains an arm. */
export function armConfig(config: AblationsConfig, arm: Pick<SftConfig, "trainSet" | "modes" | "epochs">): SftConfig {
  return { ...sftPart.parse(config), ...arm };
}
