/**
 * What an OpenAI-compatible server says, read strictly: an answer, or a fault that says what was wrong. Nothing that is cut off or of
 * another form becomes an answer.
 *
 * A reply's id is not looked at: servers give the same one twice in good faith (Ollama draws from a thousand). Answers belong to the
 * connection that they came by.
 */
import { z } from "zod";
import type { Answer } from "./engine.js";
import type { Reply } from "./post.js";
import { RequestFault } from "./retry.js";
import { statusFault } from "./status-fault.js";

const count = z.int().nonnegative();
/** Counts that make no sense do not spoil an answer. */
const usage = z.object({ prompt_tokens: count, completion_tokens: count }).nullish().catch(null);

const chat = z.object({
  choices: z
    .array(
      z.object({
        message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
        finish_reason: z.string().nullish(),
      }),
    )
    .length(1),
  usage,
});

const completion = z.object({
  choices: z.array(z.object({ text: z.string(), finish_reason: z.string().nullish() })).length(1),
  usage,
});

const failure = z.object({
  error: z.union([
    z.string(),
    z.object({
      message: z.string().catch(""),
      type: z.string().nullish().catch(null),
      code: z.union([z.string(), z.number()]).nullish().catch(null),
    }),
  ]),
});

/** What the request asked for, as far as reading its reply needs it. */
export interface Asked {
  readonly kind: "chat" | "completion";
  /** A JSON schema was sent. */
  readonly constrained: boolean;
  /** Takes out of a text what must not be passed on. Applied to every text of the reply before anything else is done with it. */
  readonly hide: (text: string) => string;
}

/**
 * The answer in a reply.
 * @throws RequestFault: that of {@link statusFault}; "passing" for every broken reply of status 200; "hopeless" for a used-up quota; "refused"
 * for an answer that the server or the model holds back
 */
export function readReply(reply: Reply, asked: Asked): Answer {
  if (reply.status !== 200) throw replyFault(reply, asked);
  const content = parseJson(reply.body, asked.hide);
  const error = failure.safeParse(content);
  if (error.success) throw errorFault(error.data.error, reply, asked);
  const { text, finish, usage } = asked.kind === "chat" ? readChat(content) : readCompletion(content);
  const finishReason = FINISHES[finish ?? ""];
  if (finish === "content_filter") throw new RequestFault("the server's content filter held the answer back", "refused");
  if (text === null || finishReason === undefined)
    throw new RequestFault(
      `the answer is not whole (${text === null ? "no text" : `finish_reason ${shown(finish)}`})`,
      "passing",
    );
  if (asked.constrained && finishReason === "stop" && !isJson(text))
    throw new RequestFault(`the server takes a JSON schema and does not hold the model to it; ${WITHOUT_SCHEMA}`, "refused");
  return {
    kind: "answer",
    text: text.toWellFormed(),
    finishReason,
    promptTokens: usage?.prompt_tokens ?? null,
    completionTokens: usage?.completion_tokens ?? null,
  };
}

const WITHOUT_SCHEMA = "open it with schema: false to ask in words alone";

const FINISHES: Readonly<Record<string, Answer["finishReason"] | undefined>> = Object.assign(
  Object.create(null) as Record<string, Answer["finishReason"]>,
  {
    stop: "stop",
    eos: "stop",
    eos_token: "stop",
    stop_sequence: "stop",
    end_turn: "stop",
    length: "length",
    max_tokens: "length",
  },
);

interface Said {
  readonly text: string | null;
  readonly finish: string | null | undefined;
  readonly usage: z.infer<typeof usage>;
}

function readChat(content: unknown): Said {
  const { choices, usage } = checked(chat, content);
  const [{ message, finish_reason: finish }] = choices;
  if (message.refusal) throw new RequestFault(`the model refuses: ${shown(message.refusal)}`, "refused");
  return { text: message.content ?? null, finish, usage };
}

function readCompletion(content: unknown): Said {
  const { choices, usage } = checked(completion, content);
  return { text: choices[0].text, finish: choices[0].finish_reason, usage };
}

function checked<T>(schema: z.ZodType<T>, content: unknown): T {
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw new RequestFault(`the reply has another form: ${path.join(".") || "reply"}: ${shown(message)}`, "passing");
}

function parseJson(body: string, hide: Asked["hide"]): unknown {
  try {
    return JSON.parse(body, (_, value: unknown) => (typeof value === "string" ? hide(value) : value)) as unknown;
  } catch {
    const what = body.trim() === "" ? "empty" : /^\s*</.test(body) ? "HTML or XML, not JSON: a proxy's?" : "broken JSON";
    throw new RequestFault(`the reply is ${what}`, "passing");
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function replyFault(reply: Reply, asked: Asked): RequestFault {
  let parsed: z.infer<typeof failure>["error"] = "";
  try {
    parsed = failure.parse(parseJson(reply.body, asked.hide)).error;
  } catch {
    // Error pages have any form; the status says enough.
  }
  return errorFault(parsed, reply, asked);
}

/** @param error the error object of a reply, whatever its status: some proxies send theirs with 200 */
function errorFault(error: z.infer<typeof failure>["error"], reply: Reply, { constrained }: Asked): RequestFault {
  const { message, type, code } = typeof error === "string" ? { message: error, type: null, code: null } : error;
  const inner = Number(code);
  const status = reply.status === 200 && inner >= 400 && inner <= 599 ? inner : reply.status;
  const quota = [code, type].some((word) => word === "insufficient_quota" || word === "billing_hard_limit_reached");
  const hint = constrained && status === 400 ? `; if the server has no JSON-schema output, ${WITHOUT_SCHEMA}` : "";
  const said = `the server says ${status}${message === "" ? "" : `: ${shown(message)}`}${hint}`;
  return statusFault({ status: quota ? 402 : status, headers: reply.headers }, said);
}

/** A server's words in a message of ours: one line, no control characters, not long. */
function shown(text: string | null | undefined): string {
  const line = (text ?? "null")
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
