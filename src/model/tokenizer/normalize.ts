import type { Read } from "./read.js";

/** A change of the whole text before it is split. */
export type TextStep = (text: string) => string;

/** The steps of a tokenizer.json `normalizer`. Throws TokenizerError on a kind that is not one of these. */
export function normalizerOf(config: Read, depth = 0): TextStep {
  if (config.value === null || config.value === undefined) return (text) => text;
  const type = config.get("type").string();
  switch (type) {
    case "Sequence": {
      if (depth >= MAX_NESTING) throw config.error("sequences nest too deeply");
      const steps = config
        .get("normalizers")
        .items(MAX_STEPS)
        .map((step) => normalizerOf(step, depth + 1));
      return (text) => runSteps(steps, text);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(type);
    case "Prepend": {
      const prepend = inserted(config.get("prepend"));
      return (text) => (text === "" ? text : prepend + text);
    }
    case "Replace": {
      const from = config.get("pattern").get("String").string();
      const to = inserted(config.get("content"));
      if (from === "") throw config.get("pattern").error("an empty pattern matches everywhere");
      return (text) => text.replaceAll(from, () => to);
    }
    case "Lowercase":
      return lowercase;
    case "BertNormalizer":
      return bertNormalizer(config);
    default:
      throw config.error(`the normalizer ${JSON.stringify(type)} is not supported; use a model with another tokenizer`);
  }
}

export const MAX_STEPS = 32;
export const MAX_NESTING = 4;
const MAX_INSERTED = 32;

/** Steps that insert text can multiply it; no published ones make more than a few characters of one. */
function runSteps(steps: readonly TextStep[], text: string): string {
  const limit = 4096 + 64 * text.length;
  return steps.reduce((t, step) => {
    const next = step(t);
    if (next.length > limit) throw new RangeError(`normalised from ${text.length} to more than ${limit} characters`);
    return next;
  }, text);
}

function inserted(at: Read): string {
  const text = at.string();
  if (text.length > MAX_INSERTED) throw at.error(`inserts ${text.length} characters; at most ${MAX_INSERTED} are expected`);
  return text;
}

/** Character by character, as Rust does: JavaScript alone writes a sigma at the end of a word as ς. */
function lowercase(text: string): string {
  return text.replaceAll("Σ", "σ").toLowerCase();
}

const CONTROL = /[\p{Cc}\p{Cf}\p{Co}\uFFFD]/gu;
const IDEOGRAPH =
  /[\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/** BERT's: control characters out, white space to spaces, ideographs apart, accents off, lower case. */
function bertNormalizer(config: Read): TextStep {
  const lower = config.get("lowercase").boolean(true);
  const accents = config.get("strip_accents").value;
  const steps: TextStep[] = [];
  if (config.get("clean_text").boolean(true)) {
    steps.push((text) =>
      text.replace(CONTROL, (c) => (c === "\t" || c === "\n" || c === "\r" ? " " : "")).replace(/\p{White_Space}/gu, " "),
    );
  }
  if (config.get("handle_chinese_chars").boolean(true)) steps.push((text) => text.replace(IDEOGRAPH, " $& "));
  if (accents === true || (lower && accents !== false)) steps.push((text) => text.normalize("NFD").replace(/\p{Mn}/gu, ""));
  if (lower) steps.push(lowercase);
  return (text) => steps.reduce((t, step) => step(t), text);
}
