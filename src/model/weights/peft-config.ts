/** `adapter_config.json` of a PEFT LoRA adapter: what this engine can apply, and what it must refuse rather than apply wrongly. */
import { z } from "zod";
import { quoted } from "./errors.js";
import { JsonError, readJsonFile } from "./json.js";

/** An adapter folder that is damaged, inconsistent or of a kind this engine does not apply; says which file and where. */
export class AdapterError extends Error {
  override readonly name = "AdapterError";

  constructor(
    readonly file: string,
    readonly where: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${file}: ${where}: ${problem}`, options);
  }
}

export interface PeftConfig {
  readonly r: number;
  readonly loraAlpha: number;
  /** Plain names of projections; null where PEFT was given a pattern ("all-linear", a regular expression). */
  readonly targetModules: readonly string[] | null;
  /** PEFT: layers_to_transform. Null: all. */
  readonly layers: readonly number[] | null;
  readonly useRslora: boolean;
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
  readonly baseModel: string;
}

/** What src/native/lora_plan.cc takes. */
export const MAX_RANK = 4096;
const MAX_CONFIG_BYTES = 1024 * 1024;

const layer = z.int().min(0).max(1023);
const schema = z.looseObject({
  peft_type: z.string(),
  r: z.int().min(1).max(MAX_RANK),
  lora_alpha: z.number().positive(),
  target_modules: z.union([z.array(z.string()).max(4096), z.string()]).nullish(),
  layers_to_transform: z.union([layer, z.array(layer).max(1024)]).nullish(),
  use_rslora: z.boolean().nullish(),
  rank_pattern: z.record(z.string(), z.int().min(1).max(MAX_RANK)).nullish(),
  alpha_pattern: z.record(z.string(), z.number().positive()).nullish(),
  base_model_name_or_path: z.string().nullish(),
  bias: z.string().nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
});

/** Switches that change what the adapter computes. Anything but null, false or empty is refused. */
const REFUSED = [
  "use_dora", "modules_to_save", "fan_in_fan_out", "lora_bias", "layer_replication", "trainable_token_indices", "target_parameters",
  "use_qalora", "use_bdlora", "alora_invocation_tokens", "kasa_config", "monteclora_config",
]; // prettier-ignore

/** Initialisations that leave the base model as it is; others (PiSSA, OLoRA, CorDA, LoftQ) train against a changed base. */
const HARMLESS_INITS = ["gaussian", "eva", "orthogonal"];

/** Keys that PEFT added after this was written are let through. @throws AdapterError naming the field; WeightFileError if unreadable */
export function readPeftConfig(file: string): PeftConfig {
  const fail = (field: string, problem: string, cause?: unknown): never => {
    throw new AdapterError(file, field, problem, { cause });
  };
  let json: unknown;
  try {
    json = readJsonFile(file, MAX_CONFIG_BYTES);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    return fail("contents", cause.message, cause);
  }
  const result = schema.safeParse(json);
  if (!result.success) return fail(result.error.issues[0].path.join(".") || "contents", result.error.issues[0].message);
  const raw = result.data;
  if (raw.peft_type !== "LORA") return fail("peft_type", `${quoted(raw.peft_type)} is not LORA, the only kind supported`);
  if ((raw.bias ?? "none") !== "none") return fail("bias", "trained biases are not supported; only none is");
  for (const field of REFUSED) if (isSet(raw[field])) return fail(field, "is not supported");
  if (typeof raw.init_lora_weights === "string" && !HARMLESS_INITS.includes(raw.init_lora_weights)) {
    return fail(
      "init_lora_weights",
      `${quoted(raw.init_lora_weights)} trains against a changed base model, which is not supported`,
    );
  }
  const layers = raw.layers_to_transform ?? null;
  return {
    r: raw.r,
    loraAlpha: raw.lora_alpha,
    targetModules: Array.isArray(raw.target_modules) ? raw.target_modules : null,
    layers: layers === null ? null : [layers].flat(),
    useRslora: raw.use_rslora ?? false,
    rankPattern: checkedPattern(raw.rank_pattern, "rank_pattern", fail),
    alphaPattern: checkedPattern(raw.alpha_pattern, "alpha_pattern", fail),
    baseModel: raw.base_model_name_or_path ?? "",
  };
}

function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return false;
  return typeof value === "object" ? Object.keys(value).length > 0 : true;
}

function checkedPattern(
  pattern: Record<string, number> | null | undefined,
  field: string,
  fail: (field: string, problem: string) => never,
): Record<string, number> {
  for (const key of Object.keys(pattern ?? {})) {
    // PEFT takes these as regular expressions. Run on names from a file, one could take forever; plain names are all that trainers write.
    if (!/^\^?\w+(\.\w+)*$/.test(key))
      fail(`${field}.${key.slice(0, 120)}`, "is not a plain module name; regular expressions are not supported");
  }
  return { ...pattern };
}

/** PEFT's rule: the first key that is the module's full name or the end of it after a dot. */
export function patternValue(pattern: Readonly<Record<string, number>>, moduleName: string, otherwise: number): number {
  for (const [key, value] of Object.entries(pattern)) {
    if (key.startsWith("^") ? moduleName === key.slice(1) : moduleName === key || moduleName.endsWith(`.${key}`)) return value;
  }
  return otherwise;
}
