/** The label of an intent that stands alone, as mining asks an SFT model for it (paper section 4.1, step 3). */
import type { Harm } from "../data/prompt.js";
import { SFT_GENERATION, verdictPrefix } from "./sft.js";

/** A label is one word; the paper's raw-prompt version allows as many. */
export const RELABEL_MAX_NEW_TOKENS = 5;

/**
 * What the model reads to label an intent alone: no prompt before it, raw text, the intent's part of its own output format with the harm
 * left open, `Intent: <intent>; Harm:`.
 *
 * The paper's raw version writes `Intent: <intent>`, a line break and `Harm: `. A line break labels as well as the semicolon that the model was
 * trained to write (annotators' own intents, 60 rows outside training, Gemma 3 270M after SFT: 59 and 58 right); the blank at the end splits
 * the label word's token, and no label came at all.
 * @throws PromptFormatError if the intent is nothing but white space
 */
export function relabelInput(intent: string): string {
  return verdictPrefix(SFT_GENERATION, intent);
}

/** The label that a completion of {@link relabelInput} gives; null if it gives none. */
export function relabelledHarm(completion: string): Harm | null {
  const { harm } = SFT_GENERATION.parse(verdictPrefix(SFT_GENERATION, "it") + completion);
  return harm === "unparsed" ? null : harm;
}
