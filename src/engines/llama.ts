/**
 * Completions from GGUF models by llama.cpp (node-llama-cpp): teachers and judges that are larger than the local decoder is meant for, and
 * answers held to a JSON schema by a grammar. Text becomes ids, and ids text, by this project's own tokenizer and chat template.
 *
 * npm installs the CPU's binaries (on macOS Metal's) and nothing for CUDA and Vulkan: package.json's overrides put a small package in
 * their place, as they are 700 MB. With a graphics card: npm install --no-save @node-llama-cpp/linux-x64-cuda (or -vulkan) of the same version.
 */
import { availableParallelism } from "node:os";
import { readFileSync } from "node:fs";
import type { Llama, LlamaContext, LlamaContextSequence, LlamaGrammar, LlamaModel, Token } from "node-llama-cpp";
import { tokenizerFor, type Tokenizer } from "../model/tokenizer/index.js";
import { openGguf } from "../model/weights/gguf.js";
import { createRandom } from "../random.js";
import { concurrently } from "./concurrent.js";
import { encodeRequest, refused } from "./encode.js";
import type { CompletionRequest, Engine, Outcome } from "./engine.js";
import { modelHash } from "./fingerprint.js";
import { checkGrammarSchema } from "./grammar-schema.js";
import { wantedSamples } from "./samples.js";

export interface LlamaEngineOptions {
  /** For people. */
  readonly name: string;
  /** Default: one fewer than the cores. llama.cpp's threads spin, and lose much when they outnumber the free cores. */
  readonly threads?: number;
  /**
   * Requests decoded together. Default: 8 on a graphics card. On a CPU 1: measured on a 1.5B model, four together took as much time
   * as one after another, and each computes what all have in common for itself.
   */
  readonly sequences?: number;
  /** Tokens, old and new together, that a request may have; at most the model's own limit. Default 8192. */
  readonly contextSize?: number;
}

/** A model that llama.cpp cannot load, or a machine that it has no binaries for. */
export class LlamaEngineError extends Error {
  override readonly name = "LlamaEngineError";
}

/**
 * An engine on a GGUF file, loaded when first asked. Samples of one request, and neighbouring requests that begin alike, compute their
 * common start once. Too long inputs lose their end ({@link encodeRequest}).
 *
 * A schema is enforced by a grammar ({@link checkGrammarSchema}); one that says more than a grammar can hold is a Failure. The same seed gives the same sample on one machine, save that sums
 * may be rounded otherwise when other requests run beside it.
 * @throws from `complete`: LlamaEngineError; WeightFileError or TokenizerError for a file that cannot be read
 */
export function llamaEngine(path: string, options: LlamaEngineOptions): Engine {
  const { name, contextSize = 8192 } = options;
  let identity: Engine["identity"] | undefined;
  let loading: Promise<Loaded> | undefined;
  /** Calls of `complete` take turns: the sequences serve one at a time. */
  let turn: Promise<void> = Promise.resolve();
  return {
    name,
    get identity() {
      return (identity ??= { engine: "llama.cpp", model: modelHash(path), library: `node-llama-cpp ${libraryVersion()}` });
    },
    canConstrain: true,
    async *complete(requests, { signal } = {}) {
      const before = turn;
      let finish = (): void => undefined;
      turn = new Promise((resolve) => (finish = resolve));
      try {
        await before;
        signal?.throwIfAborted();
        loading ??= load(path, options.threads ?? Math.max(1, availableParallelism() - 1));
        const loaded = await loading.catch((error: unknown) => {
          // The next call tries anew: what was missing may have come.
          loading = undefined;
          throw error;
        });
        const sequenceCount = options.sequences ?? (loaded.llama.gpu === false ? 1 : 8);
        const limit = Math.min(contextSize, loaded.model.trainContextSize);
        const members: Member[] = [];
        for (const [index, request] of requests.entries()) {
          const wanted = wantedSamples(request);
          const ids = wanted.length === 0 ? null : encodeRequest(loaded.tokenizer, limit, request);
          if (ids instanceof Int32Array) members.push({ index, request, ids, wanted });
          else if (ids !== null) for (const sample of wanted) yield { index, sample, result: ids };
        }
        if (members.length === 0) return;
        // Requests that begin alike come one after another, so that a sequence keeps what they share.
        members.sort((a, b) => compareIds(a.ids, b.ids) || a.index - b.index);
        const needed = members.reduce((most, { ids, request }) => Math.max(most, ids.length + request.maxNewTokens), 0);
        const free = await sequencesFor(loaded, needed, sequenceCount);
        const work = async (member: Member, inner: AbortSignal): Promise<Outcome[]> => {
          const sequence = free.pop()!;
          try {
            return await completeMember(loaded, sequence, member, inner);
          } finally {
            free.push(sequence);
          }
        };
        for await (const outcomes of concurrently(members, sequenceCount, work, signal)) yield* outcomes;
      } finally {
        finish();
      }
    },
    async close() {
      const loaded = await loading?.catch(() => undefined);
      loading = undefined;
      // The model and its contexts go with it.
      await loaded?.llama.dispose();
    },
  };
}

interface Member {
  readonly index: number;
  readonly request: CompletionRequest;
  readonly ids: Int32Array;
  readonly wanted: readonly number[];
}

interface Loaded {
  readonly library: typeof import("node-llama-cpp");
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly tokenizer: Tokenizer;
  readonly threads: number;
  readonly grammars: Map<string, LlamaGrammar>;
  context: { readonly context: LlamaContext; readonly sequences: readonly LlamaContextSequence[] } | null;
}

async function load(path: string, threads: number): Promise<Loaded> {
  const tokenizer = readTokenizer(path);
  const library = await import("node-llama-cpp");
  let llama: Llama;
  try {
    const quiet = { progressLogs: false, logLevel: library.LlamaLogLevel.error } as const;
    llama = await library.getLlama({ build: "never", skipDownload: true, maxThreads: threads, ...quiet });
  } catch (error) {
    throw new LlamaEngineError(
      `llama.cpp does not start on this machine (${messageOf(error)}); use the local engine or a server`,
      {
        cause: error,
      },
    );
  }
  try {
    const model = await llama.loadModel({ modelPath: path });
    return { library, llama, model, tokenizer, threads, grammars: new Map(), context: null };
  } catch (error) {
    await llama.dispose();
    throw new LlamaEngineError(`${path}: llama.cpp cannot load it (${messageOf(error)})`, { cause: error });
  }
}

function readTokenizer(path: string): Tokenizer {
  const file = openGguf(path);
  try {
    return tokenizerFor({ kind: "gguf", metadata: file.metadata, file: path });
  } finally {
    file.close();
  }
}

/** Sequences of one context that holds `needed` tokens each; a context that is too small is made anew. */
async function sequencesFor(loaded: Loaded, needed: number, count: number): Promise<LlamaContextSequence[]> {
  // One token more than is used: node-llama-cpp shifts a context before it is quite full.
  const contextSize = Math.ceil((needed + 2) / 256) * 256;
  if (loaded.context === null || loaded.context.context.contextSize < contextSize) {
    await loaded.context?.context.dispose();
    loaded.context = null;
    const context = await loaded.model.createContext({ sequences: count, contextSize, threads: loaded.threads });
    loaded.context = { context, sequences: Array.from({ length: count }, () => context.getSequence()) };
  }
  return [...loaded.context.sequences];
}

/** All wanted samples of a request; those that are done when the signal aborts. */
async function completeMember(
  loaded: Loaded,
  sequence: LlamaContextSequence,
  member: Member,
  signal: AbortSignal,
): Promise<Outcome[]> {
  const { index, wanted, request } = member;
  let grammar: LlamaGrammar | null;
  try {
    grammar = request.schema === undefined ? null : await grammarOf(loaded, request.schema);
  } catch (error) {
    const result = refused(`the JSON schema cannot be made a grammar: ${messageOf(error)}`);
    return wanted.map((sample) => ({ index, sample, result }));
  }
  const outcomes: Outcome[] = [];
  for (const sample of wanted) {
    try {
      const result = await completeOne(loaded, sequence, member, sample, grammar, signal);
      if (result === null) break;
      outcomes.push({ index, sample, result });
    } catch (error) {
      outcomes.push({ index, sample, result: refused(`llama.cpp failed: ${messageOf(error)}`) });
      await sequence.clearHistory();
    }
  }
  return outcomes;
}

/** Null if the signal aborted. */
async function completeOne(
  { library, model, tokenizer }: Loaded,
  sequence: LlamaContextSequence,
  { request, ids }: Member,
  sample: number,
  grammar: LlamaGrammar | null,
  signal: AbortSignal,
): Promise<Outcome["result"] | null> {
  const { maxNewTokens, temperature, topP, seed } = request;
  await keepPrefix(sequence, ids);
  const settings = {
    temperature,
    topP,
    // 0: all of the vocabulary. The library's own default is 40.
    topK: 0,
    seed: createRandom(seed, "llama", sample).integer(2 ** 31),
    ...(grammar && { grammarEvaluationState: new library.LlamaGrammarEvaluationState({ model, grammar }) }),
  };
  const written: number[] = [];
  let ended = true;
  for await (const token of sequence.evaluate(Array.from(ids.subarray(sequence.nextTokenIndex), asToken), settings)) {
    if (signal.aborted) return null;
    written.push(token);
    // The library's grammars end in line breaks, which no JSON holds outside of its strings four at a time.
    if (grammar !== null && tokenizer.decode(written.slice(-4)).endsWith(GRAMMAR_END)) break;
    ended = written.length < maxNewTokens;
    if (!ended) break;
  }
  const text = tokenizer.decode(written);
  return {
    kind: "answer",
    text: grammar === null ? text : text.trimEnd(),
    finishReason: ended ? "stop" : "length",
    promptTokens: ids.length,
    completionTokens: written.length,
  };
}

const GRAMMAR_END = "\n".repeat(4);

const asToken = (id: number): Token => id as Token;

/** Leaves in the sequence what it shares with `ids`, all but the last id: that one is evaluated anew to be continued. */
async function keepPrefix(sequence: LlamaContextSequence, ids: Int32Array): Promise<void> {
  const held = sequence.contextTokens;
  let shared = 0;
  while (shared < held.length && shared < ids.length - 1 && Number(held[shared]) === ids[shared]) shared++;
  if (shared < sequence.nextTokenIndex) await sequence.eraseContextTokenRanges([{ start: shared, end: sequence.nextTokenIndex }]);
}

type GrammarSchema = Parameters<Llama["createGrammarForJsonSchema"]>[0];

async function grammarOf(
  { llama, grammars }: Loaded,
  { name, schema }: NonNullable<CompletionRequest["schema"]>,
): Promise<LlamaGrammar> {
  checkGrammarSchema(schema, name);
  const key = JSON.stringify(schema);
  const grammar = grammars.get(key) ?? (await llama.createGrammarForJsonSchema(schema as GrammarSchema));
  grammars.set(key, grammar);
  return grammar;
}

function compareIds(a: Int32Array, b: Int32Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

function libraryVersion(): string {
  const own = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(own) as { dependencies: Record<string, string> }).dependencies["node-llama-cpp"];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
