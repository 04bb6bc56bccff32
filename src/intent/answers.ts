/**
 * Answers of a policy that is rewarded for them, read strictly. Evaluation reads what a model means (`src/prompts`); here a text either
 * has its form or has not, and an intent may be bad whatever a judge is made to say of it.
 *
 * Every function walks the text a fixed number of times: rollouts are hostile text, and there are many.
 */
import type { Harm } from "../data/prompt.js";
import { GRPO_SYSTEM, REASONING_END, REASONING_START } from "../prompts/grpo.js";

/** "sft": `Intent: …; Harm: …`. "reasoning": the same on the line after `<reasoning>…</reasoning>`. */
export type AnswerForm = "sft" | "reasoning";

export interface StatedAnswer {
  /** Trimmed, not empty, one line. */
  readonly intent: string;
  readonly harm: Harm;
  /** What follows the label, trimmed. */
  readonly tail: string;
}

/**
 * Reads an answer of a form; null if it is none. Capitals do not matter. A form has one reasoning (with a word in it) and nothing before it,
 * one `Intent:`, one `Harm:` after a semicolon on the same line, and one verdict: text after the label may be anything but a word for the
 * other label.
 */
export function readAnswer(text: string, form: AnswerForm): StatedAnswer | null {
  const answer = form === "sft" ? text : afterReasoning(text);
  if (answer === null || holdsTag(answer)) return null;
  const [intentMark, secondIntent] = [...answer.matchAll(INTENT_MARK)];
  const [harmMark, secondHarm] = [...answer.matchAll(HARM_MARK)];
  if (intentMark === undefined || harmMark === undefined || secondIntent !== undefined || secondHarm !== undefined) return null;
  if (answer.slice(0, intentMark.index).trim() !== "") return null;
  const stated = answer.slice(intentMark.index + intentMark[0].length, harmMark.index);
  const said = /^[ \t]*(harmful|safe)(?![\p{L}\p{N}_])/iu.exec(answer.slice(harmMark.index + harmMark[0].length));
  if (said === null || !/;[ \t]*$/.test(stated.slice(-16)) || /[\n\r\u2028\u2029]/.test(stated.trimStart())) return null;
  const intent = stated.slice(0, stated.lastIndexOf(";")).trim();
  const harm = said[1].toLowerCase() === "safe" ? "safe" : "harmful";
  const tail = answer.slice(harmMark.index + harmMark[0].length + said[0].length).trim();
  return intent === "" || OTHER_LABEL[harm].test(visible(tail)) ? null : { intent, harm, tail };
}

const INTENT_MARK = /intent\s{0,4}:/gi;
const HARM_MARK = /harm\s{0,4}:/gi;
/** Words that take a verdict back. */
const OTHER_LABEL: Readonly<Record<Harm, RegExp>> = {
  safe: /(?<!un)harmful|unsafe|dangerous|malicious|\bnot\b/i,
  harmful: /(?<!un)safe|harmless|benign|unharmful|\bnot\b/i,
};

/** What follows the reasoning; null without exactly one, at the beginning, that says something. */
function afterReasoning(text: string): string | null {
  const [lower, start] = [text.toLowerCase(), text.length - text.trimStart().length];
  if (!lower.startsWith(REASONING_START, start)) return null;
  const from = start + REASONING_START.length;
  const end = lower.indexOf(REASONING_END, from);
  if (end < 0 || lower.indexOf(REASONING_START, from) >= 0 || lower.indexOf(REASONING_END, end + 1) >= 0) return null;
  return /\p{L}/u.test(text.slice(from, end)) ? text.slice(end + REASONING_END.length) : null;
}

/** Tags that stand where none belongs, and what chat templates and reasoning models end or begin with. */
function holdsTag(text: string): boolean {
  // The slash has its own spaces: two runs of them side by side would be tried in every division.
  return /<\s*(?:\/\s*)?(?:reasoning|think)|<\||\|>|\[\/?INST\]|<\/?s>|<(?:start|end)_of_turn>/i.test(text);
}

/** Why an intent is a bad one whatever a judge says. */
export type IntentFault = "empty_intent" | "repeated" | "copied" | "template" | "judge_addressed";

/**
 * - `empty_intent`: hardly a word;
 * - `repeated`: four words in a row come twice, words stand doubled again and again, or less than half of them are different;
 * - `template`: a placeholder, or words of the instructions;
 * - `copied`: the prompt, or six or more words as they stand in it, and nothing else (unless the annotator's intent is such a copy);
 * - `judge_addressed`: words of the judge's rubric, or words to whoever judges; in the text after the label too.
 */
export function intentFault(
  { intent, tail }: StatedAnswer,
  { prompt, goldIntent }: { readonly prompt: string; readonly goldIntent: string },
  form: AnswerForm,
): IntentFault | null {
  const said = words(intent);
  const letters = visible(intent).match(/\p{L}/gu)?.length ?? 0;
  if (letters < 3 || (said.length < 2 && letters < 8)) return "empty_intent";
  if (JUDGE_TALK.some((pattern) => pattern.test(visible(`${intent}\n${tail}`)))) return "judge_addressed";
  if (repeats(said)) return "repeated";
  const withoutPlaceholders = words(visible(intent).replace(/<[^<>]*>|\{[^{}]*\}|\[[^[\]]*\]|\([^()]*\)/g, " "));
  if (withoutPlaceholders.length < 2 && withoutPlaceholders.length < said.length) return "template";
  if (said.length >= 2 && holds(PLACEHOLDERS, said)) return "template";
  if (form === "reasoning" && said.length >= 3 && holds(INSTRUCTIONS, said)) return "template";
  const source = words(prompt);
  const copies = holds(source, said) && (said.length >= 6 || said.length === source.length);
  if (copies && !holds(source, words(goldIntent))) return "copied";
  return null;
}

const JUDGE_TALK: readonly RegExp[] = [
  /\b(?:good|decent|bad)[\s_-]{0,3}match/i,
  /\bthought process\s{0,3}:/i,
  /["'`]verdict["'`]|\bverdict\s{0,3}[:=]|\bverdict\b.{0,8}\b(?:good|decent|bad|match)\b/i,
  /\b(?:reference|generated|sampled|gold)[\s_-]intent\b/i,
  /\b(?:this|above|my) (?:annotation|intent|classification|answer) (?:is|matches|deserves|should)\b/i,
  /\b(?:dear|hey|hello|hi|note (?:to|for)|attention|message (?:to|for)|instructions? (?:to|for)),? (?:the )?(?:judge|grader|rater|reviewer|evaluator|annotator)/i,
  /\b(?:rate|grade|score|mark|judge|label|accept|count) (?:this|it|me|that|the (?:intent|annotation|answer))\b.{0,20}\b(?:as|with|good|full|correct|right)\b/i,
  /\b(?:match(?:es|ing)?|same (?:aim )?as|identical to|equals?|equal to) (?:the )?(?:reference|gold|annotator|annotation|human)/i,
  // Spaces of one line only: every line's beginning would be tried with all empty lines after it.
  /^[^\S\n\r\u2028\u2029]*(?:system|assistant|user|judge|grader|verdict|answer|score|reward|rating)\s{0,3}:/im,
  /\b(?:reward|score|rating)\s{0,3}[:=]\s{0,3}\d/i,
  /\byou are (?:now )?(?:a|the|my) (?:judge|grader|rater|evaluator)\b/i,
  /\bjudge:|\bas (?:the|your) (?:judge|grader|evaluator),? (?:you|say|answer)/i,
];

function repeats(said: readonly string[]): boolean {
  const seen = new Set<string>();
  for (let i = 0; i + 4 <= said.length; i++) {
    const four = said.slice(i, i + 4).join(" ");
    if (seen.has(four)) return true;
    seen.add(four);
  }
  const same = (i: number, j: number): boolean => said[i] === said[j];
  if (said.filter((_, i) => i > 0 && same(i - 1, i)).length >= 2) return true;
  for (let i = 0; i + 3 < said.length; i++) if (same(i, i + 2) && same(i + 1, i + 3)) return true;
  for (let i = 0; i + 5 < said.length; i++) if (same(i, i + 3) && same(i + 1, i + 4) && same(i + 2, i + 5)) return true;
  return said.length >= 8 && new Set(said).size < said.length / 2;
}

/** Whether words stand in others in a row; none stand in nothing. */
function holds(text: readonly string[], part: readonly string[]): boolean {
  return part.length > 0 && ` ${text.join(" ")} `.includes(` ${part.join(" ")} `);
}

/** Lower-case words without signs. */
function words(text: string): string[] {
  return (
    visible(text)
      .toLowerCase()
      .match(/[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*/gu) ?? []
  );
}

/** The text as a reader sees it: compatibility forms (full-width letters) as plain ones, invisible characters left out. */
function visible(text: string): string {
  return text
    .normalize("NFKC")
    .replace(/[\p{Cf}\p{Mn}]/gu, "")
    .replace(/[_*]+/g, "_");
}

const INSTRUCTIONS = words(GRPO_SYSTEM);
/** What a format's description has in place of the intent. */
const PLACEHOLDERS = words(
  "what the person wants to achieve, in one sentence; what the user wants; the intent of the user or of the person; the intent of the prompt is one sentence about the aim",
);
