import { OriginInterpreter } from "./chat-template/interpreter.js";
import { Environment, parse, tokenize, type Node } from "./chat-template/library.js";
import { formatDay } from "./chat-template/date.js";
import { unusedMarks, type ChatSegment } from "./chat-template/origin.js";
import type { Tokenizer } from "./tokenizer/index.js";
import { TimeLimitError, withTimeLimit } from "./tokenizer/time-limit.js";

export type { ChatSegment } from "./chat-template/origin.js";

export interface ChatMessage {
  /** Ours to choose: lower-case letters and underscores (system, user, assistant, tool, …). */
  readonly role: string;
  /** May come from anyone. Lone surrogates are read as U+FFFD. */
  readonly content: string;
}

export interface ChatOptions {
  /** Open the assistant's turn at the end (default false). */
  readonly addGenerationPrompt?: boolean;
  /** Definitions of tools, as JSON. Their text counts as message text. */
  readonly tools?: readonly unknown[];
  /** The day that templates with a date are told, as 2024-07-26 (the default, which Llama's own templates fall back on). */
  readonly date?: string;
  /** Further variables of ours (`enable_thinking`, `date_string`). */
  readonly extra?: Readonly<Record<string, string | number | boolean>>;
}

/** A chat template that cannot be read, that refuses the messages, or that takes too much time or memory. */
export class ChatTemplateError extends Error {
  override readonly name = "ChatTemplateError";
}

/** The longest published templates have some 30,000 characters. */
const MAX_TEMPLATE = 2 ** 18;
const MILLISECONDS = 5000;
/** Characters that a template may make on the way, beside 64 for each of the messages'. */
const MIN_BUDGET = 2 ** 26;

/** What the template itself said by raise_exception. */
class Raised extends Error {}

/**
 * Renders a conversation with a model's own template (Jinja, as in transformers) and says of each stretch whether the template wrote it
 * or a message did, after whatever trimming and joining the template does. A template comes with a model and may be hostile: it sees no
 * object of ours, and its length, time, steps and memory are bounded.
 *
 * @param tokens names of control tokens that templates print (`bos_token`, `eos_token`, …)
 * @throws ChatTemplateError
 */
export function renderChat(
  template: string,
  messages: readonly ChatMessage[],
  options: ChatOptions & { readonly tokens?: Readonly<Record<string, string>> } = {},
): ChatSegment[] {
  if (template.length > MAX_TEMPLATE)
    throw new ChatTemplateError(`the chat template has ${template.length} characters; at most ${MAX_TEMPLATE} are run`);
  const said = messages.map(({ role, content }, i) => {
    if (!/^[a-z][a-z_]{0,31}$/.test(role))
      throw new ChatTemplateError(`messages[${i}].role is ${JSON.stringify(role.slice(0, 40))}; expected a name like user`);
    return { role, content: content.toWellFormed() };
  });
  const tools = options.tools === undefined ? null : (JSON.parse(JSON.stringify(options.tools).toWellFormed()) as unknown);
  const day = new Date(`${options.date ?? "2024-07-26"}T00:00:00Z`);
  if (Number.isNaN(day.getTime()))
    throw new ChatTemplateError(`date is ${JSON.stringify(options.date)}; expected a day like 2024-07-26`);
  const ours = { ...options.tokens, ...options.extra };
  const marks = unusedMarks([template, ...said.map((message) => message.content), JSON.stringify([tools, ours])]);
  if (marks === null) throw new ChatTemplateError("the messages use nearly every private-use character; leave some out");

  const budget = MIN_BUDGET + 64 * said.reduce((n, message) => n + message.content.length, 0);
  try {
    return withTimeLimit(MILLISECONDS, () => {
      const interpreter = new OriginInterpreter(new Environment(), marks, budget);
      for (const [name, value] of Object.entries({ true: true, false: false, none: null, True: true, False: false, None: null }))
        interpreter.define(name, value);
      interpreter.defineFunction("raise_exception", (message) => {
        throw new Raised(String(message).slice(0, 500));
      });
      interpreter.defineFunction("range", boundedRange);
      interpreter.defineFunction("strftime_now", (format) => formatDay(day, String(format)));
      interpreter.define("add_generation_prompt", options.addGenerationPrompt ?? false);
      for (const [name, value] of Object.entries(ours)) interpreter.define(name, value);
      interpreter.defineForeign("messages", said, OUR_KEYS);
      if (tools !== null) interpreter.defineForeign("tools", tools, new Set());
      return interpreter.render(parsed(template));
    });
  } catch (error) {
    if (error instanceof Raised)
      throw new ChatTemplateError(`the model's chat template refuses these messages: ${error.message}`, { cause: error });
    const problem = error instanceof TimeLimitError || error instanceof Error ? error.message.slice(0, 500) : String(error);
    throw new ChatTemplateError(`the chat template failed: ${problem}`, { cause: error });
  }
}

const OUR_KEYS: ReadonlySet<string> = new Set(["role"]);

/** Parsed templates; a run uses one or two. */
const PARSED = new Map<string, Node>();

function parsed(template: string): Node {
  let program = PARSED.get(template);
  if (program === undefined) {
    program = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
    if (PARSED.size >= 8) PARSED.clear();
    PARSED.set(template, program);
  }
  return program;
}

const MAX_RANGE = 10_000;

function boundedRange(...args: unknown[]): number[] {
  const numbers = args.filter((arg) => typeof arg === "number");
  const [start, stop] = numbers.length > 1 ? numbers : [0, numbers[0] ?? 0];
  const step = numbers[2] ?? 1;
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (step === 0 || !(length <= MAX_RANGE))
    throw new Error(`range(${numbers.join(", ")}) is not a range of at most ${MAX_RANGE}`);
  return Array.from({ length }, (_, i) => start + i * step);
}

/**
 * Ids of a conversation. Control tokens come from the template alone: whatever a message says, it is text. For messages that spell no
 * control token the ids are those of transformers' apply_chat_template.
 *
 * @throws ChatTemplateError, TokenizerError
 */
export function encodeChat(
  tokenizer: Tokenizer,
  template: string,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Int32Array {
  const tokens: Record<string, string> = {};
  const name = (key: string, id: number | null | undefined): void => {
    const text = id === null || id === undefined ? null : tokenizer.tokenText(id);
    if (text !== null) tokens[key] = text;
  };
  name("bos_token", tokenizer.bosId);
  name("eos_token", tokenizer.eosIds.at(0));
  name("pad_token", tokenizer.padId);
  return tokenizer.encodeSegments(renderChat(template, messages, { ...options, tokens }));
}
