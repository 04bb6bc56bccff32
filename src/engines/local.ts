/** Completions from this project's own decoder, with any adapter: many samples a prompt, the prompt computed once. */
import { ChatTemplateError, encodeChat, type ChatMessage } from "../model/chat-template.js";
import { generateEach, GenerationError } from "../model/generate.js";
import { encodeInput, type LanguageModel, type LoadedAdapter } from "../model/language-model.js";
import { TokenizerError, type Tokenizer } from "../model/tokenizer/index.js";
import type { CompletionRequest, Engine, EngineInput, Failure, Outcome } from "./engine.js";
import { loadedAdapterHash, modelHash } from "./fingerprint.js";
import { wantedSamples } from "./samples.js";

export interface LocalEngineOptions {
  /** For people. */
  readonly name: string;
  /** Default: the model as it is. */
  readonly adapter?: LoadedAdapter | null;
  /** Rows decoded together. Default: that of `generate`. */
  readonly batchSize?: number;
}

/**
 * An engine on an open model. Model and adapter stay the caller's: they must outlive the engine, and `close` frees nothing.
 *
 * Requests of equal settings are generated together, whatever their inputs; requests that ask for the very same thing get the same
 * answers. An input that leaves no room for the new tokens loses its end, as in classification: raw text the end of its ids, a
 * conversation the end of its last message, so that the template around it stays whole. A schema is not enforced. What cannot be
 * encoded or generated from is a Failure. The hashes in `identity` are taken when it is first read.
 */
export function localEngine(model: LanguageModel, options: LocalEngineOptions): Engine {
  const { name, adapter = null, batchSize } = options;
  let identity: Engine["identity"] | undefined;
  return {
    name,
    get identity() {
      const { decoder, path } = model;
      return (identity ??= {
        engine: "local",
        model: modelHash(path),
        adapter: adapter === null ? "none" : loadedAdapterHash(decoder, adapter.adapter),
        ops: decoder.ops.name,
        precision: decoder.ops.precision,
      });
    },
    canConstrain: false,
    async *complete(requests, { signal } = {}) {
      // Without a tokenizer nothing can be answered: thrown here, and not once a request.
      const { tokenizer } = model;
      const members: Member[] = [];
      for (const [index, request] of requests.entries()) {
        const wanted = wantedSamples(request);
        const ids = encode(tokenizer, model.decoder.config.maxPositions, request);
        if (!(ids instanceof Int32Array)) for (const sample of wanted) yield { index, sample, result: ids };
        else if (wanted.length > 0) members.push({ index, request, ids, wanted: new Set(wanted) });
      }
      const settings = ({ request }: Member): string => {
        const { maxNewTokens, temperature, topP, samples, seed } = request;
        return JSON.stringify([maxNewTokens, temperature, topP, samples, seed]);
      };
      for (const group of grouped(members, settings)) yield* completeGroup(model, adapter, group, batchSize, signal);
    },
    close: () => Promise.resolve(),
  };
}

interface Member {
  readonly index: number;
  readonly request: CompletionRequest;
  readonly ids: Int32Array;
  readonly wanted: ReadonlySet<number>;
}

/** @param group requests that differ in their input only */
async function* completeGroup(
  model: LanguageModel,
  adapter: LoadedAdapter | null,
  group: readonly Member[],
  batchSize: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Outcome> {
  const { decoder, tokenizer } = model;
  const eos = new Set(decoder.config.eosIds);
  const prompts = grouped(group, ({ ids }) => ids.join(" "));
  const { maxNewTokens, temperature, topP, samples, seed } = group[0].request;
  try {
    const completions = generateEach(
      decoder,
      prompts.map(([first]) => first.ids),
      {
        lora: adapter?.lora ?? null,
        ...{ maxNewTokens, temperature, topP, samples, seed },
        ...(batchSize !== undefined && { batchSize }),
        ...(signal && { signal }),
      },
    );
    for await (const { promptIndex, sampleIndex: sample, ids, finishReason } of completions) {
      const text = tokenizer.decode(ids.filter((id) => !eos.has(id)));
      for (const { index, ids: prompt, wanted } of prompts[promptIndex])
        if (wanted.has(sample))
          yield {
            index,
            sample,
            result: {
              kind: "answer",
              text,
              finishReason: finishReason === "length" ? "length" : "stop",
              promptTokens: prompt.length,
              completionTokens: ids.length,
            },
          };
    }
  } catch (error) {
    // Thrown before any work.
    if (!(error instanceof GenerationError)) throw error;
    for (const { index, wanted } of group) for (const sample of wanted) yield { index, sample, result: refused(error.message) };
  }
}

/** Items of one key together, in the order in which they stand. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

const refused = (reason: string): Failure => ({ kind: "failure", reason, retryable: false });

function encode(tokenizer: Tokenizer, maxPositions: number, { input, maxNewTokens }: CompletionRequest): Int32Array | Failure {
  const limit = maxPositions - maxNewTokens;
  if (!(limit >= 1)) return refused(`${maxNewTokens} new tokens leave no room for an input: the model holds ${maxPositions}`);
  try {
    const ids = encodeWithin(tokenizer, input, limit);
    if (ids === null) return refused(`the conversation does not fit into ${limit} tokens, even with its last message left out`);
    return ids.length === 0 ? refused("the input is empty") : ids;
  } catch (error) {
    if (error instanceof ChatTemplateError || error instanceof TokenizerError) return refused(error.message);
    throw error;
  }
}

function encodeWithin(tokenizer: Tokenizer, input: EngineInput, limit: number): Int32Array | null {
  if ("text" in input) return encodeInput(tokenizer, input.text).subarray(0, limit);
  const template = tokenizer.chatTemplate;
  if (template === null)
    throw new ChatTemplateError("the model has no chat template; give it raw text, or use an instruct model");
  const render = (messages: readonly ChatMessage[]): Int32Array =>
    encodeChat(tokenizer, template, messages, { addGenerationPrompt: true });
  let ids = render(input.messages);
  const last = input.messages.at(-1);
  if (ids.length <= limit || last === undefined) return ids.length <= limit ? ids : null;
  const content = tokenizer.encode(last.content);
  for (let keep = content.length; ids.length > limit;) {
    if (keep === 0) return null;
    keep = Math.max(0, keep - (ids.length - limit));
    // A token may end inside a character.
    const shorter = tokenizer.decode(content.subarray(0, keep)).replace(/\uFFFD+$/, "");
    ids = render([...input.messages.slice(0, -1), { ...last, content: shorter }]);
  }
  return ids;
}
