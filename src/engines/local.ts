/** Completions from this project's own decoder, with any adapter: many samples a prompt, the prompt computed once. */
import { commonStart } from "../model/batch.js";
import { generateEach, GenerationError } from "../model/generate.js";
import type { LanguageModel, LoadedAdapter } from "../model/language-model.js";
import { labelProbabilities } from "../model/score.js";
import { encodeRequest, refused } from "./encode.js";
import type { CompletionRequest, Engine, Outcome } from "./engine.js";
import { loadedAdapterHash, modelHash } from "./fingerprint.js";
import { wantedSamples } from "./samples.js";
import type { ScoringEngine } from "./scoring.js";

export interface LocalEngineOptions {
  /** For people. */
  readonly name: string;
  /** Default: the model as it is. */
  readonly adapter?: LoadedAdapter | null;
  /** Rows decoded together. Default: that of `generate`. */
  readonly batchSize?: number;
  /** Called by `close`, once: frees what was opened for this engine alone. Default: model and adapter stay the caller's. */
  readonly onClose?: () => void;
}

/**
 * An engine on an open model. Model and adapter must outlive it.
 *
 * Requests of equal settings are generated together, whatever their inputs; requests that ask for the very same thing get the same
 * answers. Too long inputs lose their end ({@link encodeRequest}). A schema is not enforced. What cannot be encoded or
 * generated from is a Failure. The hashes in `identity` are taken when it is first read.
 */
export function localEngine(model: LanguageModel, options: LocalEngineOptions): ScoringEngine {
  const { name, adapter = null, batchSize } = options;
  let { onClose } = options;
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
        const ids = encodeRequest(tokenizer, model.decoder.config.maxPositions, request);
        if (!(ids instanceof Int32Array)) for (const sample of wanted) yield { index, sample, result: ids };
        else if (wanted.length > 0) members.push({ index, request, ids, wanted: new Set(wanted) });
      }
      const settings = ({ request }: Member): string => {
        const { maxNewTokens, temperature, topP, samples, seed } = request;
        return JSON.stringify([maxNewTokens, temperature, topP, samples, seed]);
      };
      for (const group of grouped(members, settings)) yield* completeGroup(model, adapter, group, batchSize, signal);
    },
    async *prefer(inputs, words, { signal } = {}) {
      const { decoder, tokenizer } = model;
      const labels = [tokenizer.encode(words[0]), tokenizer.encode(words[1])] as const;
      const maxNewTokens = Math.max(labels[0].length, labels[1].length);
      for (let start = 0; start < inputs.length; start += PREFERENCES_AT_ONCE) {
        const started = performance.now();
        const encoded = inputs
          .slice(start, start + PREFERENCES_AT_ONCE)
          .map((input) => encodeRequest(tokenizer, decoder.config.maxPositions, { input, maxNewTokens }));
        const prompts = encoded.filter((ids) => ids instanceof Int32Array);
        const settings = { lora: adapter?.lora ?? null, shared: commonStart(prompts), ...(signal && { signal }) };
        const probabilities = await labelProbabilities(decoder, prompts, labels, settings);
        const milliseconds = (performance.now() - started) / encoded.length;
        let next = 0;
        for (const [i, ids] of encoded.entries()) {
          const index = start + i;
          if (!(ids instanceof Int32Array)) yield { index, result: ids };
          else {
            const probability = probabilities[next++];
            yield { index, result: { kind: "preference", probability, promptTokens: ids.length, milliseconds } };
          }
        }
      }
    },
    close() {
      onClose?.();
      onClose = undefined;
      return Promise.resolve();
    },
  };
}

const PREFERENCES_AT_ONCE = 32;

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
