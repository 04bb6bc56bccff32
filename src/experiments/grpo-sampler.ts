/** Where rollouts come from: this machine's decoder, or a vLLM server that is given the adapter anew each time it changed. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { loadedAdapterHash } from "../engines/fingerprint.js";
import { OutOfPatienceError, waitFor, type Patience } from "../engines/patience.js";
import { RequestFault } from "../engines/retry.js";
import {
  loadServedAdapter,
  servedRollouts,
  unloadServedAdapter,
  type ServedAdapter,
  type ServedPrompt,
  type VllmOptions,
} from "../engines/vllm-adapter.js";
import type { LanguageModel } from "../model/language-model.js";
import { loraToPeft, type LoraAdapter } from "../model/lora.js";
import { writePeft } from "../model/peft.js";
import { createRandom } from "../random.js";
import { rollOut, type RolloutGroup, type RolloutOptions } from "../train/rollouts.js";

export interface Sampler {
  /** Groups as they come, in no fixed order. */
  sample(adapter: LoraAdapter, prompts: readonly Int32Array[], options: RolloutOptions): AsyncGenerator<RolloutGroup>;
  /** Rollouts so far whose tokens the server did not name: they were tokenised anew. */
  retokenised(): number;
  close(): Promise<void>;
}

/** The same seed, step, prompts and adapter give the same rollouts. */
export function localSampler(model: LanguageModel): Sampler {
  return {
    sample: (adapter, prompts, options) => rollOut(model, adapter, prompts, options),
    retokenised: () => 0,
    close: () => Promise.resolve(),
  };
}

export interface ServedSamplerOptions {
  readonly server: VllmOptions;
  /** Where adapters are written; made, and emptied again. */
  readonly folder: string;
  /** The same folder as the server sees it. */
  readonly servedFolder: string;
  readonly patience: Patience;
}

/**
 * Adapters are named by their content: one that is loaded again, by this process or the next, is the same. The one before is unloaded.
 * @throws from `sample`: OutOfPatienceError if the server stays away, or answers nothing as it was started; RequestFault for what it refuses
 */
export function servedSampler(model: LanguageModel, { server, folder, servedFolder, patience }: ServedSamplerOptions): Sampler {
  const { decoder, tokenizer } = model;
  const ids = {
    encode: (text: string) => Int32Array.from(tokenizer.encode(text)),
    decode: (drawn: Int32Array) => tokenizer.decode(drawn),
    eosIds: decoder.config.eosIds,
  };
  const what = `the server of rollouts at ${new URL(server.baseUrl).host}`;
  let loaded: ServedAdapter | null = null;
  let retokenised = 0;

  /** Waits for what another try may mend, throws for the rest. */
  const stopOrWait = async (waiting: ReturnType<typeof waitFor>, left: number, fault: RequestFault): Promise<void> => {
    if (fault.kind === "hopeless") throw new OutOfPatienceError(`${what} answers nothing (${fault.message})`);
    if (fault.kind === "refused") throw fault;
    await waiting.pause(left, fault.message);
  };

  const forget = async (signal?: AbortSignal): Promise<void> => {
    if (loaded === null) return;
    await unloadServedAdapter(server, loaded.name, signal);
    rmSync(join(folder, loaded.name), { recursive: true, force: true });
    loaded = null;
  };

  const load = async (adapter: LoraAdapter, signal?: AbortSignal): Promise<ServedAdapter> => {
    const name = `grpo-${loadedAdapterHash(decoder, adapter).slice(0, 16)}`;
    if (loaded?.name === name) return loaded;
    await forget(signal);
    mkdirSync(join(folder, name), { recursive: true });
    writePeft(join(folder, name), loraToPeft(decoder, adapter, model.name));
    const served = { name, path: join(servedFolder, name) };
    const waiting = waitFor(what, patience, signal);
    for (;;) {
      try {
        await loadServedAdapter(server, served, signal);
        break;
      } catch (error) {
        if (!(error instanceof RequestFault)) throw error;
        await stopOrWait(waiting, 1, error);
      }
    }
    waiting.over();
    return (loaded = served);
  };

  return {
    async *sample(adapter, prompts, { samples, temperature = 1.2, maxNewTokens, seed, step, signal }) {
      const served = await load(adapter, signal);
      const waiting = waitFor(what, patience, signal);
      const sampling = { samples, temperature, maxNewTokens, ...(signal && { signal }) };
      const seeded = withSeeds(prompts, seed, step);
      let pending = prompts.map((_, i) => i);
      while (pending.length > 0) {
        const asked = pending;
        let fault: RequestFault | null = null;
        const missed: number[] = [];
        const results = servedRollouts(
          server,
          served,
          ids,
          asked.map((i) => seeded[i]),
          sampling,
        );
        for await (const result of results) {
          const promptIndex = asked[result.promptIndex];
          if ("fault" in result) {
            fault = result.fault;
            missed.push(promptIndex);
          } else {
            retokenised += result.retokenised;
            yield { promptIndex, rollouts: result.rollouts };
          }
        }
        pending = missed;
        if (fault !== null) await stopOrWait(waiting, missed.length, fault);
      }
      waiting.over();
    },
    retokenised: () => retokenised,
    close: () => forget(),
  };
}

/**
 * Each prompt with the seed of its rollouts: by its tokens and by how many equal prompts come before it, as the local sampler's streams are
 * named. Equal prompts get other rollouts, and one that is asked for again, alone, gets the same.
 */
function withSeeds(prompts: readonly Int32Array[], seed: number, step: number): ServedPrompt[] {
  const seen = new Map<string, number>();
  return prompts.map((ids) => {
    const content = ids.join(" ");
    const occurrence = seen.get(content) ?? 0;
    seen.set(content, occurrence + 1);
    return { ids, seed: createRandom(seed, "served", step, content, occurrence).integer(2 ** 31) };
  });
}
