/**
 * The patterns that published tokenizers split text with, in the form of their tokenizer.json. They are known to take time in
 * proportion to the text; a pattern that is not one of these runs under a time limit.
 */
const WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const MARKS_AND_SPACE = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** GPT-2, and what `ByteLevel` does with use_regex. */
export const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Llama 3: numbers in threes. */
export const LLAMA3 = `${WORDS}|\\p{N}{1,3}|${MARKS_AND_SPACE}`;

/** Qwen 2, 2.5 and 3: numbers digit by digit. */
export const QWEN2 = `${WORDS}|\\p{N}|${MARKS_AND_SPACE}`;

export const ONE_DIGIT = "\\p{N}";
export const DIGITS = "\\p{N}+";

const KNOWN: ReadonlySet<string> = new Set([GPT2, LLAMA3, QWEN2, ONE_DIGIT, DIGITS]);

export function isKnownPattern(pattern: string): boolean {
  return KNOWN.has(pattern);
}
