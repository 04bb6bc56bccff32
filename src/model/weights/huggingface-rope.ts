/** The rope fields of a Hugging Face config: transformers 5's `rope_parameters`, or `rope_theta` with `rope_scaling` as before. */
import { ModelConfigError, type DecoderConfig } from "../config.js";
import type { RawConfig, RawRope } from "./huggingface-schema.js";
import { ropeFrequencies, type RopeRule } from "./rope-frequencies.js";

/** @throws ModelConfigError naming a field that is missing or a kind of scaling that is not supported */
export function huggingFaceRope(
  raw: RawConfig,
  gemma: boolean,
  headDim: number,
  maxPositions: number,
  file: string,
): DecoderConfig["ropeFrequencies"] {
  if (!Number.isInteger(headDim) || headDim % 2 !== 0 || headDim < 2 || headDim > 1024) {
    throw new ModelConfigError(file, "head_dim", `${headDim} is not an even number from 2 to 1024`);
  }
  if (!gemma) return { global: ropeFrequencies(plainRopeRule(raw, maxPositions, file), headDim), local: null };
  const { global, local } = gemmaRopeRules(raw, maxPositions, file);
  return { global: ropeFrequencies(global, headDim), local: ropeFrequencies(local, headDim) };
}

function plainRopeRule(raw: RawConfig, maxPositions: number, file: string): RopeRule {
  const given = raw.rope_scaling ?? raw.rope_parameters ?? {};
  const field = raw.rope_scaling ? "rope_scaling" : "rope_parameters";
  return ropeRule(
    { partial_rotary_factor: raw.partial_rotary_factor, ...given },
    field,
    raw.rope_theta ?? 10_000,
    maxPositions,
    file,
  );
}

function gemmaRopeRules(raw: RawConfig, maxPositions: number, file: string): { global: RopeRule; local: RopeRule } {
  const { full_attention: full, sliding_attention: sliding } = raw.rope_parameters ?? {};
  return {
    global: ropeRule(
      { ...full, ...raw.rope_scaling },
      "rope_parameters.full_attention",
      raw.rope_theta ?? 1_000_000,
      maxPositions,
      file,
    ),
    local: ropeRule({ ...sliding }, "rope_parameters.sliding_attention", raw.rope_local_base_freq ?? 10_000, maxPositions, file),
  };
}

function ropeRule(raw: RawRope, field: string, defaultTheta: number, maxPositions: number, file: string): RopeRule {
  const need = (key: "factor" | "low_freq_factor" | "high_freq_factor"): number => {
    const value = raw[key];
    if (value === null || value === undefined) throw new ModelConfigError(file, `${field}.${key}`, "is missing");
    return value;
  };
  if ((raw.partial_rotary_factor ?? 1) !== 1) {
    throw new ModelConfigError(file, `${field}.partial_rotary_factor`, "rotating only a part of each head is not supported");
  }
  const theta = raw.rope_theta ?? defaultTheta;
  const type = raw.rope_type ?? raw.type ?? "default";
  switch (type) {
    case "default":
      return { type, theta };
    case "linear":
      return { type, theta, factor: need("factor") };
    case "llama3": {
      const [lowFrequencyFactor, highFrequencyFactor] = [need("low_freq_factor"), need("high_freq_factor")];
      if (highFrequencyFactor <= lowFrequencyFactor) {
        throw new ModelConfigError(
          file,
          `${field}.high_freq_factor`,
          `${highFrequencyFactor} is not above low_freq_factor ${lowFrequencyFactor}`,
        );
      }
      const original = raw.original_max_position_embeddings ?? maxPositions;
      return { type, theta, factor: need("factor"), lowFrequencyFactor, highFrequencyFactor, original };
    }
    default:
      throw new ModelConfigError(
        file,
        `${field}.rope_type`,
        `${JSON.stringify(type.slice(0, 60))} is not supported (default, linear, llama3 are)`,
      );
  }
}
