import { GPT2, LLAMA3, QWEN2 } from "./patterns.js";
import type { Read } from "./read.js";

/** What `tokenizer.ggml.pre` names, in the terms of a tokenizer.json. */
export interface GgufPreTokenizer {
  normalizer: unknown;
  preTokenizer: unknown;
  ignoreMerges: boolean;
  /** Where the file does not say. */
  addBos: boolean;
}

const BYTES = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
const split = (pattern: string) => ({ type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false });
const sequence = (...steps: unknown[]) => ({ type: "Sequence", pretokenizers: [...steps, BYTES] });

const gpt2: GgufPreTokenizer = { normalizer: null, preTokenizer: sequence(split(GPT2)), ignoreMerges: false, addBos: false };
const digitsFirst: GgufPreTokenizer = {
  ...gpt2,
  preTokenizer: sequence({ type: "Digits", individual_digits: true }, split(GPT2)),
};
const llama3: GgufPreTokenizer = { normalizer: null, preTokenizer: sequence(split(LLAMA3)), ignoreMerges: true, addBos: true };
// llama.cpp leaves Qwen's NFC out; the model was trained with it.
const qwen2: GgufPreTokenizer = {
  normalizer: { type: "NFC" },
  preTokenizer: sequence(split(QWEN2)),
  ignoreMerges: false,
  addBos: false,
};

/** Where each of llama.cpp's names (`llama-vocab.cpp`) leads. */
const BY_NAME: ReadonlyMap<string, GgufPreTokenizer> = new Map([
  ["gpt-2", gpt2],
  ["phi-2", gpt2],
  ["smollm", digitsFirst],
  ["starcoder", digitsFirst],
  ["refact", digitsFirst],
  ["command-r", digitsFirst],
  ["llama-bpe", llama3],
  ["llama3", llama3],
  ["llama-v3", llama3],
  ["qwen2", qwen2],
]);

/** @throws TokenizerError on a name that is not known: a wrong split would silently give wrong ids */
export function preTokenizerOf(pre: Read): GgufPreTokenizer {
  const name = pre.string("default");
  const found = BY_NAME.get(name);
  if (found !== undefined) return found;
  throw pre.error(
    `the split ${JSON.stringify(name.slice(0, 60))} is not known (${[...BY_NAME.keys()].join(", ")}); use the model's folder with its tokenizer.json`,
  );
}
