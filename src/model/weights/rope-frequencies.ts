/** Rotary frequencies: the angle per position of each pair of a head's dimensions, with the scalings that stretch the context. */

/** A rope rule in Hugging Face's names. `original` is `original_max_position_embeddings`. */
export type RopeRule =
  | { readonly type: "default"; readonly theta: number }
  | { readonly type: "linear"; readonly theta: number; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly theta: number;
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly original: number;
    };

/** Frequencies [headDim / 2] in float32, rounded at each step as transformers' `modeling_rope_utils` does. */
export function ropeFrequencies(rule: RopeRule, headDim: number): Float32Array {
  const { fround } = Math;
  const plain = Float32Array.from({ length: headDim / 2 }, (_, i) => fround(1 / fround(rule.theta ** fround((2 * i) / headDim))));
  switch (rule.type) {
    case "default":
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / rule.factor);
    case "llama3":
      return plain.map((frequency) => llama3(frequency, rule));
  }
}

/** Llama 3.1: long waves are stretched by the factor, short ones kept, those between blended. */
function llama3(frequency: number, rule: Extract<RopeRule, { type: "llama3" }>): number {
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength > rule.original / rule.lowFrequencyFactor) return frequency / rule.factor;
  if (wavelength < rule.original / rule.highFrequencyFactor) return frequency;
  const smooth = (rule.original / wavelength - rule.lowFrequencyFactor) / (rule.highFrequencyFactor - rule.lowFrequencyFactor);
  return ((1 - smooth) * frequency) / rule.factor + smooth * frequency;
}
