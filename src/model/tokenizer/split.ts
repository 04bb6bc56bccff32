import * as library from "@huggingface/tokenizers";
import { messageOf, TokenizerError } from "./errors.js";
import { MAX_NESTING, MAX_STEPS } from "./normalize.js";
import { DIGITS, GPT2, isKnownPattern, ONE_DIGIT } from "./patterns.js";
import type { Read } from "./read.js";
import { TimeLimitError, withTimeLimit } from "./time-limit.js";

/** Cuts pieces of a text smaller; `atStart`: the first piece is where the text begins. */
export type SplitStep = (pieces: string[], atStart: boolean) => string[];

export interface Splitting {
  split: (text: string, atStart: boolean) => string[];
  /** The pieces are to be read as bytes in GPT-2's alphabet. */
  byteLevel: boolean;
}

const BEHAVIOURS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
type Behaviour = (typeof BEHAVIOURS)[number];

const MAX_PATTERN = 4096;
/** For one piece and a pattern that nobody has vouched for. */
const PATTERN_MILLISECONDS = 2000;

/** The steps of a tokenizer.json `pre_tokenizer`. Throws TokenizerError on a kind that is not one of these. */
export function splittingOf(config: Read, file: string): Splitting {
  const steps: SplitStep[] = [];
  let byteLevel = false;

  function add(part: Read, depth: number): void {
    if (part.value === null || part.value === undefined) return;
    const type = part.get("type").string();
    if (byteLevel) throw part.error("nothing may follow ByteLevel, whose pieces are bytes");
    switch (type) {
      case "Sequence":
        if (depth >= MAX_NESTING) throw part.error("sequences nest too deeply");
        for (const item of part.get("pretokenizers").items(MAX_STEPS)) add(item, depth + 1);
        return;
      case "ByteLevel":
        byteLevel = true;
        if (part.get("add_prefix_space").boolean(true))
          steps.push((pieces) => pieces.map((p) => (p.startsWith(" ") ? p : ` ${p}`)));
        if (part.get("use_regex").boolean(true)) steps.push(splitBy(GPT2, "Isolated", false, part, file));
        return;
      case "Digits":
        steps.push(
          part.get("individual_digits").boolean(false)
            ? splitBy(ONE_DIGIT, "Isolated", false, part, file)
            : splitBy(DIGITS, "Contiguous", false, part, file),
        );
        return;
      case "Split":
        steps.push(splitConfigured(part, file));
        return;
      case "Metaspace":
        steps.push(metaspace(part));
        return;
      case "WhitespaceSplit":
        steps.push((pieces) => pieces.flatMap((piece) => piece.split(/\p{White_Space}+/u)));
        return;
      case "BertPreTokenizer":
        steps.push((pieces) => pieces.flatMap((piece) => piece.match(BERT_PIECE) ?? []));
        return;
      default:
        throw part.error(`the pre-tokenizer ${JSON.stringify(type)} is not supported; use a model with another tokenizer`);
    }
  }

  add(config, 0);
  return {
    byteLevel,
    split: (text, atStart) => steps.reduce((pieces, step) => step(pieces, atStart), [text]).filter((piece) => piece !== ""),
  };
}

/** Punctuation as BERT has it, every ASCII mark and Unicode's P; or a run of what is neither punctuation nor white space. */
const BERT_PIECE = /[\p{P}!-/:-@[-`{-~]|[^\p{P}!-/:-@[-`{-~\p{White_Space}]+/gu;

function splitConfigured(part: Read, file: string): SplitStep {
  const pattern = part.get("pattern");
  const behaviour = BEHAVIOURS.find((b) => b === part.get("behavior").value);
  if (behaviour === undefined) throw part.get("behavior").error(`expected one of ${BEHAVIOURS.join(", ")}`);
  const invert = part.get("invert").boolean(false);
  const literal = pattern.get("String").value;
  if (literal === undefined) return splitBy(pattern.get("Regex").string(), behaviour, invert, pattern.get("Regex"), file);
  if (typeof literal !== "string" || literal === "") throw pattern.get("String").error("expected a string that is not empty");
  const plain = new RegExp(literal.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu");
  return (pieces) => pieces.flatMap((piece) => cutAt(piece, plain, behaviour, invert));
}

function splitBy(pattern: string, behaviour: Behaviour, invert: boolean, at: Read, file: string): SplitStep {
  const regex = compile(pattern, at);
  if (isKnownPattern(pattern)) return (pieces) => pieces.flatMap((piece) => cutAt(piece, regex, behaviour, invert));
  return (pieces) => {
    try {
      return withTimeLimit(PATTERN_MILLISECONDS, () => pieces.flatMap((piece) => cutAt(piece, regex, behaviour, invert)));
    } catch (error) {
      const problem = error instanceof TimeLimitError ? `the pattern was ${error.message} on this text` : messageOf(error);
      throw new TokenizerError(file, at.field, `${problem}; use another tokenizer or a shorter text`, { cause: error });
    }
  };
}

/** The library's declarations do not resolve under Node's module rules (0.2.0), so what we use of it is declared here. */
const { SplitPreTokenizer } = library as unknown as {
  SplitPreTokenizer: new (config: { type: "Split"; pattern: { Regex: string }; behavior: "Isolated"; invert: boolean }) => {
    pattern: RegExp | null;
  };
};

/** Rust's (Oniguruma's) dialect in JavaScript's, by Hugging Face's translation. */
function compile(pattern: string, at: Read): RegExp {
  if (pattern === "" || pattern.length > MAX_PATTERN) throw at.error(`expected a pattern of 1 to ${MAX_PATTERN} characters`);
  // The translation folds case in ASCII only, Oniguruma in Unicode: there 's is also 'ſ.
  const unicode = pattern.replaceAll("(?i:'s|", "(?i:'s|'ſ|");
  try {
    const regex = new SplitPreTokenizer({ type: "Split", pattern: { Regex: unicode }, behavior: "Isolated", invert: false })
      .pattern;
    if (regex !== null) return regex;
  } catch (error) {
    throw at.error(`the pattern cannot be read: ${messageOf(error)}`);
  }
  throw at.error("the pattern cannot be read");
}

function cutAt(text: string, pattern: RegExp, behaviour: Behaviour, invert: boolean): string[] {
  const bounds: number[] = [];
  const matched: boolean[] = [];
  let done = 0;
  const push = (end: number, isMatch: boolean): void => {
    if (end > done) {
      bounds.push(end);
      matched.push(isMatch !== invert);
    }
    done = end;
  };
  for (const match of text.matchAll(pattern)) {
    push(match.index, false);
    push(match.index + match[0].length, true);
  }
  push(text.length, false);

  const out: string[] = [];
  let start = 0;
  for (let i = 0; i < bounds.length; i++) {
    const last = i + 1 === bounds.length;
    const joins = !last && joinsNext(behaviour, matched, i);
    if (joins) continue;
    if (behaviour !== "Removed" || !matched[i]) out.push(text.slice(start, bounds[i]));
    start = bounds[i];
  }
  return out;
}

/** Whether segment i and the next one are one piece. Of neighbouring matches, only the one beside the text joins it. */
function joinsNext(behaviour: Behaviour, matched: boolean[], i: number): boolean {
  if (behaviour === "Contiguous") return matched[i] === matched[i + 1];
  if (behaviour === "MergedWithPrevious") return matched[i + 1] && !matched[i];
  if (behaviour === "MergedWithNext") return matched[i] && !matched[i + 1];
  return false;
}

/** SentencePiece's space: each becomes a mark, one is put in front, and pieces begin at marks where the file says so. */
function metaspace(part: Read): SplitStep {
  const mark = part.get("replacement").string("▁");
  const scheme = part.get("prepend_scheme").string("always");
  const splits = part.get("split").boolean(true);
  if (Array.from(mark).length !== 1) throw part.get("replacement").error("expected one character");
  if (!["always", "first", "never"].includes(scheme)) throw part.get("prepend_scheme").error("expected always, first or never");
  const begins = new RegExp(`(?=${mark.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")})`, "u");
  return (pieces, atStart) =>
    pieces.flatMap((piece, i) => {
      const marked = piece.replaceAll(" ", () => mark);
      const prepend = scheme === "always" || (scheme === "first" && atStart && i === 0);
      const whole = prepend && !marked.startsWith(mark) ? mark + marked : marked;
      return splits ? whole.split(begins) : [whole];
    });
}
