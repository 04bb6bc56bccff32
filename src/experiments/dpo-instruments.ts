/** What a DPO experiment measures intents with: a sentence encoder, and the judge. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cachedEngine } from "../engines/cache.js";
import { describeCounts } from "../engines/counts.js";
import type { Engine } from "../engines/engine.js";
import { openEngine } from "../engines/open.js";
import { patientEngine, type Patience } from "../engines/patience.js";
import { DataUnavailableError } from "../data/errors.js";
import { loadSet } from "../data/sets.js";
import { embeddingJudge } from "../intent/embedding-judge.js";
import { engineJudge } from "../intent/engine-judge.js";
import { contrastItems, annotatedPairsOf, sampleAnnotatedPairs } from "../intent/annotated-pairs.js";
import { judgeAgreement, type JudgeAgreement } from "../intent/judge-agreement.js";
import type { Judge, JudgeVerdict } from "../intent/judge.js";
import { loadSentenceEncoder, type SentenceEncoder } from "../model/sentence-encoder.js";
import { say, showWork } from "./progress.js";
import { readJson, writeJson } from "./run-folder.js";

export interface Instruments {
  readonly encoder: SentenceEncoder;
  readonly judge: Judge;
  close(): Promise<void>;
}

/**
 * @param spec "embedding", or an engine
 * @param folder where an engine's answers are kept
 * @param patience with an engine that does not answer. Default: none, and there is no verdict.
 * @throws what `openEngine` and `loadSentenceEncoder` throw
 */
export async function openInstruments(
  spec: string,
  folder: string,
  signal?: AbortSignal,
  patience: Patience | null = null,
): Promise<Instruments> {
  const encoder = await loadSentenceEncoder("all-minilm-l6-v2", signal === undefined ? {} : { signal });
  if (spec === "embedding") {
    const close = (): Promise<void> => {
      encoder.free();
      return Promise.resolve();
    };
    return { encoder, judge: embeddingJudge(encoder), close };
  }
  let opened: Engine | undefined;
  try {
    opened = await openEngine(spec);
    const cached = cachedEngine(opened, folder);
    const engine = patience === null ? cached : patientEngine(cached, patience);
    const close = async (): Promise<void> => {
      say(`judge ${cached.name}: ${describeCounts(cached.counts())}`);
      encoder.free();
      await engine.close();
    };
    return { encoder, judge: engineJudge(engine), close };
  } catch (error) {
    encoder.free();
    await opened?.close();
    throw error;
  }
}

/** How far the judge agrees with annotators, by the set that the pairs are of. */
export type AgreementBySet = Readonly<Record<string, JudgeAgreement>>;

/** A judge that cannot be used. */
export class JudgeError extends Error {
  override readonly name = "JudgeError";
}

/**
 * Asks the judge about annotated pairs before it is used: {@link agreementWithAnnotators}, kept in `file`.
 * @throws JudgeError if it gives no verdict at all: nothing could be mined with it
 */
export async function measureJudge(judge: () => Promise<Judge>, file: string, signal?: AbortSignal): Promise<AgreementBySet> {
  if (existsSync(file)) return readJson(file) as AgreementBySet;
  const asked = await judge();
  const found = await agreementWithAnnotators(asked, signal === undefined ? {} : { signal });
  if (Object.values(found).every(({ same }) => same.none === same.items))
    throw new JudgeError(`the judge ${asked.name} gave no verdict on any of ${found["sample"].same.items} pairs; is it running?`);
  writeJson(file, found);
  for (const line of agreementLines(found)) say(line);
  return found;
}

/**
 * What the judge says of pairs whose answer is known: two annotators of a prompt of our set, and of AIMS where it is at hand;
 * intents of different prompts; of our set also intents of like words and unlike purpose.
 * @param options.pairs at most so many of each kind and set. Default: all, 150 of our set
 */
export async function agreementWithAnnotators(
  judge: Judge,
  options: { readonly pairs?: number; readonly signal?: AbortSignal } = {},
): Promise<AgreementBySet> {
  const { pairs: most = Infinity, signal } = options;
  const shown = showingProgress(judge);
  const asking = signal === undefined ? {} : { signal };
  const found: Record<string, JudgeAgreement> = {
    sample: await judgeAgreement(shown, sampleAnnotatedPairs().slice(0, most), {
      contrasts: contrastItems(Math.min(most, 150), 22),
      ...asking,
    }),
  };
  try {
    const { rows } = await loadSet("aims");
    found["aims"] = await judgeAgreement(shown, annotatedPairsOf(rows).slice(0, most), asking);
  } catch (error) {
    if (!(error instanceof DataUnavailableError)) throw error;
  }
  return found;
}

/** A set a line. */
export function agreementLines(found: AgreementBySet): string[] {
  return Object.entries(found).map(([set, { judge, same, shuffled, contrasts, auroc }]) => {
    const accepted = `${same.good + same.decent} of ${same.items} pairs of annotators called good or decent`;
    const rejected = `${shuffled.bad} of ${shuffled.items} shuffled pairs called bad`;
    const hard = contrasts === null ? "" : `, ${contrasts.bad} of ${contrasts.items} pairs of like words and unlike purpose`;
    const none = same.none + shuffled.none + (contrasts?.none ?? 0);
    const area =
      auroc === null ? "" : `, AUROC ${auroc.estimate.toFixed(3)} (${auroc.low.toFixed(3)} to ${auroc.high.toFixed(3)})`;
    return `judge ${judge} on ${set}: ${accepted}, ${rejected}${hard}${none === 0 ? "" : `, ${none} without a verdict`}${area}`;
  });
}

const ITEMS_AT_ONCE = 16;

/** The same verdicts; slow judges are seen to work. */
function showingProgress(judge: Judge): Judge {
  return {
    name: judge.name,
    async judge(items, options) {
      const verdicts: (JudgeVerdict | null)[] = [];
      const progress = showWork(`judge ${judge.name}`, items.length);
      try {
        for (let at = 0; at < items.length; at += ITEMS_AT_ONCE) {
          verdicts.push(...(await judge.judge(items.slice(at, at + ITEMS_AT_ONCE), options)));
          progress.update(verdicts.length);
        }
      } finally {
        progress.stop();
      }
      return verdicts;
    },
  };
}

/** Where the answers of an engine that judges are kept. */
export function judgeFolder(out: string): string {
  return join(out, "judge");
}
