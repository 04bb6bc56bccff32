/** The metadata that a GGUF conversion of a tokenizer.json would hold: the same vocabulary on the other way in. */
import { specFromJson } from "../../../src/model/tokenizer/from-json.js";

interface TokenizerJson {
  model: { vocab: Record<string, number>; merges: string[][] };
  added_tokens: { id: number; content: string; special: boolean }[];
}

export function ggufMetadataOf(
  tokenizer: unknown,
  kind: { model: "gpt2"; pre: string } | { model: "llama"; prefix: boolean },
): Map<string, unknown> {
  const { model, added_tokens: added } = tokenizer as TokenizerJson;
  const tokens = specFromJson({ file: "test", tokenizer }).tokens;
  const types = new Int32Array(tokens.length).fill(1);
  tokens.forEach((token, id) => {
    if (/^<0x[0-9A-F]{2}>$/.test(token!)) types[id] = 6;
  });
  for (const token of added) types[token.id] = token.content === "<unk>" ? 2 : token.special ? 3 : 4;
  const metadata = new Map<string, unknown>([
    ["tokenizer.ggml.model", kind.model],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.token_type", types],
    ["tokenizer.ggml.bos_token_id", tokens.indexOf("<s>")],
    ["tokenizer.ggml.eos_token_id", tokens.indexOf("</s>")],
  ]);
  if (kind.model === "gpt2") {
    metadata.set("tokenizer.ggml.pre", kind.pre);
    metadata.set(
      "tokenizer.ggml.merges",
      model.merges.map((pair) => pair.join(" ")),
    );
  } else {
    metadata.set("tokenizer.ggml.add_space_prefix", kind.prefix);
    metadata.set(
      "tokenizer.ggml.scores",
      Float32Array.from(tokens, (_, id) => -id),
    );
  }
  return metadata;
}
