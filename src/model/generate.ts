/**
 * Generation with a key/value cache: prompts of any lengths, n samples a prompt with the prompt computed once, rows that leave when
 * they are done and new prompts that take their place.
 *
 * Each row has its own random stream, named by the seed, the prompt's content and the sample's number, and the native ops compute a
 * row the same whatever stands beside it: the same seed gives the same text in any batch. With another `shared` start logits may be
 * rounded otherwise, as its keys are a sequence of their own.
 */
import { createRandom, type Random } from "../random.js";
import type { AttentionConfig, BlockInput, DecodeBlock, DecodeRow, LayerCache } from "../tensor/ops.js";
import { free, scope, type Tensor } from "../tensor/tensor.js";
import { continuesPrefix, packSequences, type Sequence, type SharedPrefix } from "./batch.js";
import type { Decoder } from "./decoder.js";
import { afterAttention, beforeAttention, forwardHidden, headLogits, NO_LORA, uploadBatch } from "./forward.js";
import type { ActiveLora } from "./lora.js";

export interface GenerateOptions {
  readonly lora?: ActiveLora | null;
  /** Default 64. */
  readonly maxNewTokens?: number;
  /** 0, the default: greedy. */
  readonly temperature?: number;
  /** Default 1: no truncation. */
  readonly topP?: number;
  /** Samples a prompt. Default 1. */
  readonly samples?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Ids that end a completion. Default: the model's own. */
  readonly eosIds?: readonly number[];
  /** Texts that end a completion, wherever token borders fall; `decode` turns ids into text. */
  readonly stop?: { readonly texts: readonly string[]; readonly decode: (ids: Int32Array) => string };
  /** Rows decoded together. Default 32; fewer when the cache would pass `cacheBytes`. */
  readonly batchSize?: number;
  /** Memory for keys and values. Default 1 GiB. */
  readonly cacheBytes?: number;
  /** What prompts begin with (a system prompt): computed once for all that enter together. Default: nothing. */
  readonly shared?: SharedPrefix;
  readonly signal?: AbortSignal;
}

export interface Completion {
  readonly promptIndex: number;
  readonly sampleIndex: number;
  /** Generated ids, the ending one included. */
  readonly ids: Int32Array;
  /** Log-probability of each id, under softmax(logits / temperature), or softmax(logits) when greedy. */
  readonly logProbs: Float32Array;
  readonly finishReason: "eos" | "stop" | "length";
}

/** A prompt that cannot be generated from: empty, or too long for the model. */
export class GenerationError extends Error {
  override readonly name = "GenerationError";
}

/** Generates for all prompts; completions come as they finish, in no fixed order. @throws GenerationError before any work. */
export async function* generateEach(
  decoder: Decoder,
  prompts: readonly Int32Array[],
  options: GenerateOptions = {},
): AsyncGenerator<Completion> {
  const session = openSession(decoder, prompts, options);
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      const finished = advance(session);
      if (finished === null) return;
      yield* finished;
      // Signals, timers and progress bars get their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    for (const { prompts, completions } of session.blocks) {
      prompts.free();
      completions.free();
    }
  }
}

/** As {@link generateEach}, all at once: result[prompt][sample]. */
export async function generate(
  decoder: Decoder,
  prompts: readonly Int32Array[],
  options: GenerateOptions = {},
): Promise<Completion[][]> {
  const results: Completion[][] = prompts.map(() => []);
  for await (const completion of generateEach(decoder, prompts, options))
    results[completion.promptIndex][completion.sampleIndex] = completion;
  return results;
}

interface Row {
  readonly promptIndex: number;
  readonly sampleIndex: number;
  readonly promptSlot: number;
  readonly slot: number;
  readonly random: Random;
  readonly ids: number[];
  readonly logProbs: number[];
}

interface Session {
  readonly decoder: Decoder;
  readonly prompts: readonly Int32Array[];
  readonly lora: ActiveLora | null;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly samples: number;
  readonly eosIds: ReadonlySet<number>;
  readonly stop: GenerateOptions["stop"];
  readonly batchSize: number;
  readonly shared: SharedPrefix;
  /** Each layer with its caches. */
  readonly blocks: readonly DecodeBlock[];
  /** Prompts not yet begun, shortest last; each with the name of its random streams. */
  readonly waiting: { readonly index: number; readonly stream: () => Random[] }[];
  readonly freePromptSlots: number[];
  readonly freeSlots: number[];
  /** Samples still running on a prompt slot. */
  readonly running: Map<number, number>;
  rows: Row[];
}

/** Prompt tokens computed in one forward pass, a shared prefix left out. */
const PREFILL_TOKENS = 2048;

function openSession(decoder: Decoder, prompts: readonly Int32Array[], options: GenerateOptions): Session {
  const { maxNewTokens = 64, temperature = 0, topP = 1, samples = 1, seed = 0, cacheBytes = 2 ** 30 } = options;
  const { config, ops } = decoder;
  if (!(maxNewTokens >= 1)) throw new GenerationError(`maxNewTokens is ${maxNewTokens}; at least 1 is needed`);
  if (!(samples >= 1)) throw new GenerationError(`samples is ${samples}; at least 1 is needed`);
  if (!(temperature >= 0)) throw new GenerationError(`temperature is ${temperature}; it must be 0 (greedy) or more`);
  if (!(topP > 0 && topP <= 1)) throw new GenerationError(`topP is ${topP}; it must be above 0 and at most 1`);
  prompts.forEach((prompt, index) => {
    if (prompt.length === 0) throw new GenerationError(`prompt ${index} has no tokens`);
    if (prompt.length + maxNewTokens > config.maxPositions)
      throw new GenerationError(
        `prompt ${index} has ${prompt.length} tokens; with ${maxNewTokens} new ones it passes the model's limit of ${config.maxPositions}`,
      );
  });
  const longest = prompts.reduce((max, prompt) => Math.max(max, prompt.length), 0);
  const tokenBytes = config.layerCount * 2 * config.kvHeadCount * config.headDim * (ops.precision === "bfloat16" ? 2 : 4);
  // The samples of a prompt end at different times. With room for twice the prompts, others take the rows that are left meanwhile.
  const slotsAPrompt = samples === 1 ? 1 : 2;
  const affordable = Math.floor(cacheBytes / (tokenBytes * ((slotsAPrompt * longest) / samples + maxNewTokens)));
  const batchSize = Math.max(samples, Math.min(options.batchSize ?? 32, affordable, prompts.length * samples));
  const promptSlots = Math.max(1, Math.min(prompts.length, slotsAPrompt * Math.floor(batchSize / samples)));
  const seen = new Map<string, number>();
  const waiting = prompts.map((prompt, index) => {
    const content = prompt.join(" ");
    const occurrence = seen.get(content) ?? 0;
    seen.set(content, occurrence + 1);
    const stream = () => Array.from({ length: samples }, (_, s) => createRandom(seed, "generate", content, occurrence, s));
    return { index, stream };
  });
  // Longest first: the big prompts are done while there is other work to fill the batch with. `waiting` is a stack.
  waiting.sort((a, b) => prompts[a.index].length - prompts[b.index].length || b.index - a.index);
  const lora = options.lora ?? null;
  const layers = prompts.length > 0 ? decoder.layers : [];
  const made: LayerCache[] = [];
  const cache = (slots: number, capacity: number, attention: AttentionConfig): LayerCache => {
    made.push(ops.layerCache(slots, capacity, attention));
    return made.at(-1)!;
  };
  let blocks: DecodeBlock[];
  try {
    blocks = layers.map((weights, index) => ({
      weights,
      lora: lora?.blocks[index] ?? NO_LORA,
      prompts: cache(promptSlots, longest, weights.attention),
      completions: cache(batchSize, maxNewTokens, weights.attention),
    }));
  } catch (error) {
    // The first do not stay where there is no memory for the last.
    for (const one of made) one.free();
    throw error;
  }
  return {
    decoder,
    prompts,
    lora,
    maxNewTokens,
    temperature,
    topP,
    samples,
    eosIds: new Set(options.eosIds ?? config.eosIds),
    stop: options.stop,
    batchSize,
    shared: options.shared ?? new Int32Array(0),
    blocks,
    waiting,
    freePromptSlots: Array.from({ length: promptSlots }, (_, i) => promptSlots - 1 - i),
    freeSlots: Array.from({ length: batchSize }, (_, i) => batchSize - 1 - i),
    running: new Map(),
    rows: [],
  };
}

/** One step: admit prompts if enough rows are free, else decode a token for every row. Null when all is done. */
function advance(session: Session): Completion[] | null {
  const { rows, waiting, batchSize } = session;
  if (rows.length === 0 && waiting.length === 0) return null;
  // Prefill comes in groups: one prompt at a time would use the matrix kernels badly.
  const enough = rows.length === 0 || session.freeSlots.length >= Math.max(session.samples, batchSize / 4);
  const room = enough && session.freePromptSlots.length > 0;
  return waiting.length > 0 && room ? admit(session) : decodeStep(session);
}

function admit(session: Session): Completion[] {
  const { decoder, prompts, samples } = session;
  const group: { index: number; promptSlot: number; randoms: Random[] }[] = [];
  let tokens = 0;
  while (
    session.waiting.length > 0 &&
    session.freePromptSlots.length > 0 &&
    session.freeSlots.length >= samples * (group.length + 1)
  ) {
    const { index, stream } = session.waiting.at(-1)!;
    const own = prompts[index].length - prefixOf(session, index);
    if (group.length > 0 && tokens + own > PREFILL_TOKENS) break;
    session.waiting.pop();
    tokens += own;
    group.push({ index, promptSlot: session.freePromptSlots.pop()!, randoms: stream() });
  }
  const rows = group.flatMap(({ index, promptSlot, randoms }) => {
    session.running.set(promptSlot, samples);
    return randoms.map((random, sampleIndex): Row => {
      const slot = session.freeSlots.pop()!;
      return { promptIndex: index, sampleIndex, promptSlot, slot, random, ids: [], logProbs: [] };
    });
  });
  scope(() => {
    const logits = prefill(session, group);
    const { ops } = decoder;
    const perRow =
      samples === 1
        ? logits
        : ops.gatherRows(
            logits,
            ops.device.upload(
              Int32Array.from(rows, (_, i) => Math.floor(i / samples)),
              [rows.length],
            ),
          );
    drawTokens(session, perRow, rows);
  });
  session.rows.push(...rows);
  return retire(session);
}

/** How many of a prompt's first tokens are the shared prefix: all of it, or none. */
function prefixOf({ prompts, shared }: Session, index: number): number {
  return continuesPrefix(prompts[index], shared) ? shared.length : 0;
}

/**
 * Computes prompts, fills the prompt cache and returns float32 logits of each prompt's last position. A prompt with the shared prefix is
 * computed after it even when it is alone, so that it is the same whatever stands beside it.
 */
function prefill(session: Session, group: readonly { index: number; promptSlot: number }[]): Tensor {
  const { decoder, prompts, lora, shared } = session;
  const { ops } = decoder;
  const prefixes = group.map(({ index }) => prefixOf(session, index));
  const anyShares = prefixes.some((length) => length > 0);
  const own = group.map(({ index }, i): Sequence => {
    const ids = prompts[index].subarray(prefixes[i]);
    return { ids, keepLast: true, ...(prefixes[i] > 0 && { prefix: 0 }) };
  });
  const packed = packSequences(anyShares ? [{ ids: shared, keepLast: true }, ...own] : own);
  const rowsOf = (sequence: number): { start: number; length: number } => {
    const [start, length] = packed.segments.subarray(4 * sequence);
    return { start, length };
  };
  const places = own.map((_, i) => rowsOf(i + Number(anyShares)));
  const lastRows = Int32Array.from(places, ({ start, length }) => start + length - 1);
  const batch = uploadBatch(decoder, { ...packed, rows: lastRows });

  // In the cache each prompt stands whole: the prefix's rows are copied before its own.
  let next = 0;
  const segments = group.map(({ promptSlot }, i) => {
    if (!anyShares) return { ...places[i], slot: promptSlot };
    const start = next;
    next += prefixes[i] + places[i].length;
    return { start, length: next - start, slot: promptSlot };
  });
  const wholeRows = anyShares
    ? Int32Array.from(places.flatMap(({ start, length }, i) => [...range(0, prefixes[i]), ...range(start, length)]))
    : null;
  const whole = wholeRows && ops.device.upload(wholeRows, [wholeRows.length]);
  const { hidden } = forwardHidden(decoder, batch, lora, null, (layer, rotated) => {
    const rows = whole === null ? rotated : ops.gatherRows(rotated, whole);
    ops.fillCache(session.blocks[layer].prompts, rows, segments, decoder.layers[layer].attention);
  });
  return headLogits(decoder, hidden);
}

function range(start: number, length: number): number[] {
  return Array.from({ length }, (_, i) => start + i);
}

function decodeStep(session: Session): Completion[] {
  const { decoder, blocks, rows } = session;
  const { ops, config } = decoder;
  const places: DecodeRow[] = rows.map((row) => ({
    promptSlot: row.promptSlot,
    promptLength: session.prompts[row.promptIndex].length,
    slot: row.slot,
    length: row.ids.length - 1,
  }));
  scope(() => {
    const ids = ops.device.upload(
      Int32Array.from(rows, (row) => row.ids.at(-1)!),
      [rows.length],
    );
    const input: BlockInput = { residual: ops.embed(decoder.embedding, ids, config.embeddingScale), branch: null };
    const output = ops.decodeBlocks?.(input, blocks, places, config) ?? composedBlocks(decoder, input, blocks, places);
    const final = ops.rmsNorm(output.residual, output.branch, decoder.finalNorm, config.rmsNormEpsilon);
    drawTokens(session, headLogits(decoder, final.normed), rows);
  });
  return retire(session);
}

/** What `decodeBlocks` computes, for ops that do not offer it. Frees the input. */
function composedBlocks(
  decoder: Decoder,
  input: BlockInput,
  blocks: readonly DecodeBlock[],
  rows: readonly DecodeRow[],
): BlockInput {
  for (const { weights, lora, prompts, completions } of blocks) {
    const next = scope(() => {
      const { attentionNorm, qkv } = beforeAttention(decoder, weights, lora, input);
      const attended = decoder.ops.decodeAttention(qkv.y, prompts, completions, rows, weights.attention, weights.rope);
      return afterAttention(decoder, weights, lora, attentionNorm.sum, attended).next;
    });
    free(input.residual, input.branch);
    input = next;
  }
  return input;
}

function drawTokens(session: Session, logits: Tensor, rows: readonly Row[]): void {
  const { temperature, topP } = session;
  const uniforms = Float32Array.from(rows, (row) => (temperature === 0 ? 0 : row.random.uniform()));
  const { ids, logProbs } = session.decoder.ops.sample(logits, { temperature, topP, uniforms });
  rows.forEach((row, i) => {
    row.ids.push(ids[i]);
    row.logProbs.push(logProbs[i]);
  });
}

/** Takes finished rows out, gives their slots back, and returns their completions. */
function retire(session: Session): Completion[] {
  const finished: Completion[] = [];
  session.rows = session.rows.filter((row) => {
    const finishReason = finishOf(session, row);
    if (finishReason === null) return true;
    session.freeSlots.push(row.slot);
    const running = session.running.get(row.promptSlot)! - 1;
    session.running.set(row.promptSlot, running);
    if (running === 0) session.freePromptSlots.push(row.promptSlot);
    const { promptIndex, sampleIndex } = row;
    finished.push({
      promptIndex,
      sampleIndex,
      ids: Int32Array.from(row.ids),
      logProbs: Float32Array.from(row.logProbs),
      finishReason,
    });
    return false;
  });
  return finished;
}

function finishOf(session: Session, row: Row): Completion["finishReason"] | null {
  if (session.eosIds.has(row.ids.at(-1)!)) return "eos";
  if (session.stop !== undefined) {
    const { texts, decode } = session.stop;
    // A token is at least one byte of text, so the last few tokens are enough to see a stop text end.
    const reach = Math.max(...texts.map((text) => Buffer.byteLength(text))) + 4;
    const tail = decode(Int32Array.from(row.ids.slice(-reach)));
    if (texts.some((text) => tail.includes(text))) return "stop";
  }
  return row.ids.length >= session.maxNewTokens ? "length" : null;
}
