/** The fields of a Hugging Face `config.json` that matter to the decoder, checked by zod; everything else is ignored. */
import { z } from "zod";
import { ModelConfigError } from "../config.js";

const size = z.int().min(1);
const flag = z.boolean().nullish();
const positive = z.number().positive();
const ids = z.union([z.int(), z.array(z.int()).max(64)]).nullish();

const rope = z.looseObject({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: positive.nullish(),
  factor: positive.nullish(),
  low_freq_factor: positive.nullish(),
  high_freq_factor: positive.nullish(),
  original_max_position_embeddings: positive.nullish(),
  partial_rotary_factor: positive.nullish(),
});

const nestedRope = rope.extend({ full_attention: rope.nullish(), sliding_attention: rope.nullish() });

const schema = z.looseObject({
  vocab_size: size.optional(),
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size.optional(),
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  max_position_embeddings: size.optional(),
  rms_norm_eps: positive.optional(),
  hidden_act: z.string().nullish(),
  hidden_activation: z.string().nullish(),
  tie_word_embeddings: flag,
  attention_bias: flag,
  mlp_bias: flag,
  bos_token_id: ids,
  eos_token_id: ids,
  pad_token_id: ids,
  rope_theta: positive.nullish(),
  rope_local_base_freq: positive.nullish(),
  rope_scaling: nestedRope.nullish(),
  rope_parameters: nestedRope.nullish(),
  partial_rotary_factor: positive.nullish(),
  use_sliding_window: flag,
  sliding_window: z.int().min(0).nullish(),
  sliding_window_pattern: size.nullish(),
  _sliding_window_pattern: size.nullish(),
  max_window_layers: z.int().min(0).nullish(),
  layer_types: z.array(z.string()).max(1024).nullish(),
  query_pre_attn_scalar: positive.nullish(),
  attn_logit_softcapping: z.number().nullish(),
  final_logit_softcapping: z.number().nullish(),
  use_bidirectional_attention: z.union([z.boolean(), z.string()]).nullish(),
  quantization_config: z.unknown().optional(),
});

export type RawRope = Readonly<z.infer<typeof nestedRope>>;
export type RawConfig = Readonly<z.infer<typeof schema>>;

/** Checks types and signs of fields. @throws ModelConfigError naming the first field that is wrong */
export function parseRawConfig(json: unknown, file: string): RawConfig {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ModelConfigError(file, issue.path.join(".") || "contents", issue.message);
}
