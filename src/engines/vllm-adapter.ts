/**
 * Rollouts from a vLLM server that loads a new adapter each step, for models that this machine's decoder is too slow for.
 *
 * The server is started with `--enable-lora --max-lora-rank R` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and sees the folder that adapters
 * are written to. It is given token ids, so that nothing in a prompt becomes a control token there. It draws by its own generator and
 * arithmetic: the same seed gives the same rollouts only as far as the server promises that, and a rollout's probabilities there differ a
 * little from this engine's (the ratio of the first optimiser step is taken to be 1 all the same, as in most trainers).
 */
import { z } from "zod";
import type { RolloutGroup, Rollout } from "../train/rollouts.js";
import { createRandom } from "../random.js";
import { concurrently } from "./concurrent.js";
import { postJson, type Reply } from "./post.js";
import { RequestFault, USUAL_BACK_OFF, withBackOff, type BackOff } from "./retry.js";
import { checkedUrl, readKey, withoutKey } from "./server.js";
import { statusFault } from "./status-fault.js";

export interface VllmOptions {
  /** Up to and with its version, as in http://localhost:8000/v1. */
  readonly baseUrl: string;
  /** Name of the environment variable that holds the key. Default null: none is sent. */
  readonly keyVariable?: string | null;
  /** Prompts under way at a time. Default 64. */
  readonly concurrency?: number;
  /** Time for the rollouts of one prompt, milliseconds. Default 600,000. */
  readonly timeoutMs?: number;
  readonly backOff?: BackOff;
}

/** How the ids of the server's model and ours fit together. */
export interface Ids {
  readonly encode: (text: string) => Int32Array;
  readonly decode: (ids: Int32Array) => string;
  readonly eosIds: readonly number[];
}

/** An adapter as the server is told of it. The name stands for its content: another content has another name. */
export interface ServedAdapter {
  readonly name: string;
  /** PEFT folder, as the server sees it. */
  readonly path: string;
}

export interface ServedRolloutOptions {
  readonly samples: number;
  readonly temperature: number;
  readonly maxNewTokens: number;
  readonly signal?: AbortSignal;
}

export interface ServedPrompt {
  readonly ids: Int32Array;
  /** Of all its rollouts; the server draws each from a stream of its own. */
  readonly seed: number;
}

export interface ServedGroup extends RolloutGroup {
  /** Rollouts whose ids the server did not give: its text was tokenised anew, which may give other ids than were drawn. */
  readonly retokenised: number;
}

/** A prompt that got no rollouts, and why. */
export interface MissedPrompt {
  readonly promptIndex: number;
  readonly fault: RequestFault;
}

const MAX_BYTES = 64 * 2 ** 20;

/**
 * Loads an adapter; no harm if it is there already.
 * @throws RequestFault; kind "hopeless" if the server does not load adapters, saying how it has to be started
 */
export async function loadServedAdapter(
  options: VllmOptions,
  { name, path }: ServedAdapter,
  signal?: AbortSignal,
): Promise<void> {
  const reply = await send(options, "load_lora_adapter", { lora_name: name, lora_path: path }, signal);
  if (reply.status === 200 || (reply.status === 400 && /already (been )?loaded/i.test(reply.body))) return;
  if (reply.status === 404 && !/lora|adapter|path/i.test(words(reply)))
    throw new RequestFault(
      `${said(reply)}: it loads no adapters; start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True`,
      "hopeless",
    );
  throw statusFault(reply, `${said(reply)}: the adapter ${path} was not loaded; does the server see this folder?`);
}

/** Forgetting is no work: a server that takes longer hangs. */
const UNLOAD_MS = 5000;

/** Lets the server forget an adapter; none of that name is as good. A server that is gone, or hangs, is taken for having forgotten it. */
export async function unloadServedAdapter(options: VllmOptions, name: string, signal?: AbortSignal): Promise<void> {
  const once = { ...options, timeoutMs: UNLOAD_MS, backOff: { ...USUAL_BACK_OFF, tries: 1 } };
  await send(once, "unload_lora_adapter", { lora_name: name }, signal).catch((error: unknown) => {
    if (!(error instanceof RequestFault)) throw error;
  });
}

/**
 * Samples from the base model with a loaded adapter; a server that was started anew meanwhile is given the adapter again. Yields a group or,
 * for a prompt that got none after some tries, a fault; after one that says that nobody gets an answer, the rest are not asked.
 * @param ids of the model here: the server's must be the same
 */
export async function* servedRollouts(
  options: VllmOptions,
  adapter: ServedAdapter,
  ids: Ids,
  prompts: readonly ServedPrompt[],
  sampling: ServedRolloutOptions,
): AsyncGenerator<ServedGroup | MissedPrompt> {
  let lost: RequestFault | null = null;
  let loading: Promise<void> | null = null;
  const work = async (promptIndex: number, signal: AbortSignal): Promise<ServedGroup | MissedPrompt> => {
    if (lost !== null) return { promptIndex, fault: lost };
    const { ids: prompt, seed } = prompts[promptIndex];
    const content = {
      model: adapter.name,
      prompt: [...prompt],
      n: sampling.samples,
      max_tokens: sampling.maxNewTokens,
      temperature: sampling.temperature,
      top_p: 1,
      seed,
      return_token_ids: true,
    };
    const ask = async (): Promise<ServedGroup> => {
      const reply = await post(options, "completions", content, signal);
      if (reply.status === 404) {
        // It knows no such model: it was started anew. One load for all who find that out.
        loading ??= loadServedAdapter(options, adapter, signal).finally(() => (loading = null));
        await loading;
        throw new RequestFault("the server had lost the adapter", "passing");
      }
      if (reply.status !== 200) throw statusFault(reply, said(reply));
      return { promptIndex, ...readRollouts(reply.body, sampling.samples, ids) };
    };
    try {
      return await withBackOff(ask, options.backOff ?? USUAL_BACK_OFF, createRandom(seed, "back off"), signal);
    } catch (fault) {
      if (!(fault instanceof RequestFault)) throw fault;
      if (fault.kind === "unreachable" || fault.kind === "hopeless") lost = fault;
      return { promptIndex, fault };
    }
  };
  yield* concurrently(
    prompts.map((_, i) => i),
    options.concurrency ?? 64,
    work,
    sampling.signal,
  );
}

async function send(options: VllmOptions, path: string, content: object, signal?: AbortSignal): Promise<Reply> {
  const ask = async (): Promise<Reply> => {
    const reply = await post(options, path, content, signal);
    if (reply.status === 200) return reply;
    const fault = statusFault(reply, said(reply));
    if (fault.kind === "passing") throw fault;
    return reply;
  };
  return withBackOff(ask, options.backOff ?? USUAL_BACK_OFF, createRandom(0, path), signal);
}

/** What a server says back never holds the key. */
async function post(options: VllmOptions, path: string, content: object, signal?: AbortSignal): Promise<Reply> {
  const { baseUrl, keyVariable = null, timeoutMs = 600_000 } = options;
  const key = keyVariable === null ? null : readKey(keyVariable);
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  const url = new URL(path, checkedUrl(baseUrl));
  const reply = await postJson(url, content, { headers, timeoutMs, maxBytes: MAX_BYTES, ...(signal && { signal }) });
  return { ...reply, body: withoutKey(reply.body, key) };
}

const failure = z.object({ error: z.object({ message: z.string() }).or(z.string()).optional(), message: z.string().optional() });

function said(reply: Reply): string {
  return `the server says ${reply.status}${words(reply)}`;
}

/** What a server says of its own fault, on one line; "" if nothing that can be read. */
function words({ body }: Reply): string {
  try {
    const { error, message } = failure.parse(JSON.parse(body));
    const said = typeof error === "string" ? error : (error?.message ?? message ?? "");
    const line = said.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ");
    return line === "" ? "" : `: ${line.slice(0, 300)}`;
  } catch {
    return "";
  }
}

const whole = z.int().nonnegative();
const completion = z.object({
  choices: z.array(
    z.object({
      index: whole,
      text: z.string(),
      finish_reason: z.enum(["stop", "length"]),
      stop_reason: z.unknown().optional(),
      token_ids: z.array(whole).nullish(),
    }),
  ),
});

function readRollouts(body: string, samples: number, ids: Ids): { rollouts: Rollout[]; retokenised: number } {
  let content: unknown;
  try {
    content = JSON.parse(body);
  } catch {
    throw new RequestFault("the reply is broken JSON", "passing");
  }
  const parsed = completion.safeParse(content);
  if (!parsed.success)
    throw new RequestFault(`the reply has another form: ${parsed.error.issues[0].path.join(".") || "reply"}`, "passing");
  const { choices } = parsed.data;
  const rollouts: Rollout[] = [];
  let retokenised = 0;
  for (const choice of choices) {
    const { index, text, finish_reason: finish, stop_reason: stop, token_ids: drawn } = choice;
    if (index >= samples || rollouts[index] !== undefined)
      throw new RequestFault(`the reply has rollouts that were not asked for (index ${index})`, "passing");
    if (drawn === null || drawn === undefined) retokenised++;
    const written = drawn ?? [...ids.encode(text)];
    // Ended by a token that the server left out.
    if (finish === "stop" && !ids.eosIds.includes(written.at(-1) ?? -1)) {
      const end = ids.eosIds.find((id) => id === stop) ?? ids.eosIds.at(0);
      if (end === undefined)
        throw new RequestFault("the server ended a rollout, and the model here has no id that ends a text", "hopeless");
      written.push(end);
    }
    const all = Int32Array.from(written);
    rollouts[index] = {
      ids: all,
      text: ids.decode(all.filter((id) => !ids.eosIds.includes(id))),
      finishReason: finish === "length" ? "length" : "eos",
      logProbs: null,
    };
  }
  if (choices.length !== samples)
    throw new RequestFault(`the reply has ${choices.length} rollouts and not ${samples}`, "passing");
  return { rollouts, retokenised };
}
