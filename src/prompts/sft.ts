/**
 * The two output formats of supervised fine-tuning: what the model reads, what it is trained to write, where in its text the
 * verdict stands, and how its text is read back. A format is plain data, so that a later regime is one more constant.
 */
import type { Harm } from "../data/prompt.js";
import type { ChatMessage } from "../model/chat-template.js";
import { oneLine } from "./one-line.js";
import { parseClassification, parseGeneration, type Verdict } from "./parse.js";

/** What evaluation needs to know of a format. */
export interface OutputFormat {
  readonly name: string;
  /** Whether a completion states the intent, so that training rows need one. */
  readonly statesIntent: boolean;
  /** What the model reads before it answers: raw text, or messages that go through its chat template with thinking off. */
  readonly input: (prompt: string) => string | readonly ChatMessage[];
  /** What the model wrote, up to the place where one of the label words follows; null if it came to no such place. */
  readonly beforeVerdict: (text: string, verdict: Verdict) => string | null;
  /** What follows there, exactly, for either verdict: the two continuations that are scored against each other. */
  readonly labelWords: Readonly<Record<Harm, string>>;
  readonly parse: (completion: string) => Verdict;
  /** Enough for a whole completion (the paper's setting). */
  readonly maxNewTokens: number;
}

/** A format on raw text whose completion is made of an intent and a label word alone. */
export interface RawFormat extends OutputFormat {
  readonly input: (prompt: string) => string;
  /** The completion up to the verdict; the intent is used only if the format states it. */
  readonly prefix: (intent: string) => string;
}

/** The raw prompt and a line break: no system prompt, no chat template. */
const rawInput = (prompt: string): string => `${prompt}\n`;

/** `Intent: <one sentence>; Harm: harmful|safe` */
export const SFT_GENERATION: RawFormat = {
  name: "sft-generation",
  statesIntent: true,
  input: rawInput,
  prefix: (intent) => `Intent: ${intent}; Harm:`,
  // The intent in the format's own words, whatever stood around it.
  beforeVerdict: (_, { intent }) => (intent === null ? null : verdictPrefix(SFT_GENERATION, intent)),
  labelWords: { harmful: " harmful", safe: " safe" },
  parse: parseGeneration,
  maxNewTokens: 64,
};

/** `harmful` or `safe` */
export const SFT_CLASSIFICATION: RawFormat = {
  name: "sft-classification",
  statesIntent: false,
  input: rawInput,
  prefix: () => "",
  beforeVerdict: () => "",
  labelWords: { harmful: "harmful", safe: "safe" },
  parse: parseClassification,
  maxNewTokens: 4,
};

/** A row cannot be written in a format without changing its meaning. */
export class PromptFormatError extends Error {
  override readonly name = "PromptFormatError";
}

/** What {@link trainingText} needs of a row. */
export interface TrainingRow {
  readonly id: string;
  readonly prompt: string;
  readonly intent: string | null;
  readonly harm: Harm;
}

/**
 * Input and completion of a training row. White space within the intent becomes single spaces; the end-of-text token is the
 * tokenizer's business and not part of the text.
 * @throws PromptFormatError if the format states an intent and the row has none, or if the completion would not be read back as
 * the row's intent and label (an intent that itself contains "; Harm: …").
 */
export function trainingText(format: RawFormat, row: TrainingRow): { readonly input: string; readonly completion: string } {
  const completion = verdictPrefix(format, row.intent) + format.labelWords[row.harm];
  const verdict = format.parse(completion);
  if (verdict.harm !== row.harm || (format.statesIntent && verdict.intent !== oneLine(row.intent ?? ""))) {
    throw new PromptFormatError(
      `row "${row.id}" cannot be written as ${format.name}: "${completion.slice(0, 200)}" reads as ` +
        `${JSON.stringify(verdict).slice(0, 200)}; change the row's intent`,
    );
  }
  return { input: format.input(row.prompt), completion };
}

/**
 * The completion up to the verdict position, for scoring `format.labelWords` there: the model reads `format.input(prompt)`, this
 * prefix, and then one of the two label words.
 * @param intent - the row's own or the model's stated intent; not used by a format that states none
 * @throws PromptFormatError if the format states an intent and there is none.
 */
export function verdictPrefix(format: RawFormat, intent: string | null): string {
  if (!format.statesIntent) return format.prefix("");
  const text = oneLine(intent ?? "");
  if (text === "") throw new PromptFormatError(`the format ${format.name} states an intent, and there is none`);
  return format.prefix(text);
}
