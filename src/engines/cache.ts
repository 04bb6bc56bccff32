/** Remembers answers on disk, so that a job that was interrupted, or is run again, pays for nothing twice. */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { lockFolder } from "../folder-lock.js";
import { say } from "../terminal.js";
import { openAnswers, type AnswerFile } from "./answer-file.js";
import { countedEngine, type CountedEngine, type Prices } from "./counts.js";
import type { CompletionRequest, Engine } from "./engine.js";
import { wantedSamples } from "./samples.js";

export interface CacheOptions {
  /** For {@link CountedEngine.counts}. */
  readonly prices?: Prices | null;
  /** Told of damaged lines. Default: stderr. */
  readonly log?: (line: string) => void;
}

/**
 * An engine that answers from `folder` what it was asked before, and asks `engine` for the rest. Requests that are the same are asked once.
 * An answer is written before it is passed on; failures are not kept, so that asking again asks for them alone.
 *
 * An answer's key is the sha256 of the engine's identity, the request without its number of samples, and the sample: four samples and
 * then eight of the same pay for eight. Other models' answers may stand in the same folder. `close` closes `engine` too.
 * @throws FolderLockedError if another process has the folder; the system's error if it cannot be written
 */
export function cachedEngine(engine: Engine, folder: string, options: CacheOptions = {}): CountedEngine {
  const { prices = null, log = say } = options;
  mkdirSync(folder, { recursive: true });
  const unlock = lockFolder(folder);
  let file: AnswerFile;
  try {
    const path = join(folder, "answers.jsonl");
    file = openAnswers(path);
    const { damaged } = file;
    const lines = `${damaged.slice(0, 5).join(", ")}${damaged.length > 5 ? ", …" : ""}`;
    if (damaged.length > 0)
      log(`${path}: ${damaged.length} damaged lines (${lines}) were passed over; their answers are asked for again`);
  } catch (error) {
    unlock();
    throw error;
  }
  const counted = countedEngine(engine, prices);
  let cached = 0;
  return {
    name: engine.name,
    get identity() {
      return engine.identity;
    },
    canConstrain: engine.canConstrain,
    async *complete(requests, completeOptions) {
      completeOptions?.signal?.throwIfAborted();
      const groups = new Map<string, Group>();
      for (const [index, request] of requests.entries()) {
        const base = requestKey(engine.identity, request);
        const group = groups.get(base) ?? { base, request, askers: new Map<number, number[]>() };
        groups.set(base, group);
        for (const sample of wantedSamples(request)) {
          const answer = file.answers.get(sampleKey(base, sample));
          if (answer === undefined) group.askers.set(sample, [...(group.askers.get(sample) ?? []), index]);
          else {
            cached++;
            yield { index, sample, result: answer, cached: true };
          }
        }
      }
      const pending = [...groups.values()].filter(({ askers }) => askers.size > 0);
      for await (const { index, sample, result } of counted.complete(pending.map(remaining), completeOptions)) {
        const { base, askers } = pending[index];
        if (result.kind === "answer") file.add(sampleKey(base, sample), result);
        for (const asker of askers.get(sample) ?? []) yield { index: asker, sample, result };
      }
    },
    counts: () => ({ ...counted.counts(), cached }),
    async close() {
      try {
        file.close();
      } finally {
        try {
          unlock();
        } finally {
          await engine.close();
        }
      }
    },
  };
}

/** Requests that are the same but for the samples that they want. */
interface Group {
  readonly base: string;
  readonly request: CompletionRequest;
  /** Sample -> places of the requests that wait for it. */
  readonly askers: Map<number, number[]>;
}

/** The one request for all that a group still wants. */
function remaining({ request, askers }: Group): CompletionRequest {
  const samples = Math.max(...askers.keys()) + 1;
  return { ...request, samples, skip: Array.from({ length: samples }, (_, i) => i).filter((i) => !askers.has(i)) };
}

function requestKey(identity: Engine["identity"], request: CompletionRequest): string {
  const { input, maxNewTokens, temperature, topP, seed, schema } = request;
  const read = "text" in input ? input.text : input.messages.map(({ role, content }) => [role, content]);
  const asked = [read, maxNewTokens, temperature, topP, seed, schema === undefined ? null : [schema.name, schema.schema]];
  return sha256(JSON.stringify([Object.entries(identity).sort(), asked]));
}

const sampleKey = (base: string, sample: number): string => sha256(`${base} ${sample}`);

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
