/**
 * Mining a model's own intent errors (paper section 4.1):
 *
 * 1. the SFT model writes k samples a prompt, in its own format;
 * 2. the intent is read out of each, the last one stated counting;
 * 3. each distinct intent is labelled alone, greedily, by the same model: the input is `Intent: <intent>; Harm:` as raw text with no prompt
 *    before it (`relabelInput` says how that differs from the paper's);
 * 4. where that label is the annotator's, a judge may still find the intent unfaithful.
 *
 * What could not be asked is a failed sample, and mining again with an engine that has a cache asks for that alone.
 */
import type { LabelledPrompt } from "../data/prompt.js";
import { promptKey } from "../data/split.js";
import type { Answer, CompletionRequest, Engine, Failure } from "../engines/engine.js";
import { parseLastGeneration } from "../prompts/parse.js";
import { RELABEL_MAX_NEW_TOKENS, relabelInput, relabelledHarm } from "../prompts/relabel.js";
import { PromptFormatError, SFT_GENERATION, trainingText } from "../prompts/sft.js";
import type { Judge } from "./judge.js";
import { countMined, type MinedCounts, type MinedSample, type SampleOutcome } from "./mined.js";

export interface MiningOptions {
  /** Samples a prompt (k). Default 10, as in the paper's experiments. */
  readonly samples?: number;
  /** Default 0.8. */
  readonly temperature?: number;
  /** Default 0.95. */
  readonly topP?: number;
  /** Of a sample. Default 64. */
  readonly maxNewTokens?: number;
  /** Default 22. */
  readonly seed?: number;
  /** Asked about intents with the right label. Default: nobody. */
  readonly judge?: Judge;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: MiningProgress) => void;
}

export interface MiningProgress {
  readonly stage: "sample" | "relabel" | "judge";
  readonly done: number;
  readonly total: number;
}

export interface MiningResult {
  /** In the rows' order, each row's samples by number. */
  readonly samples: readonly MinedSample[];
  readonly counts: MinedCounts;
  readonly skipped: {
    /** Rows without a gold intent: there is nothing to prefer. */
    readonly noGoldIntent: number;
    /** Ids of rows whose gold intent cannot be written in the format. */
    readonly unwritableGold: readonly string[];
  };
  /** Intents that were labelled. */
  readonly distinctIntents: number;
  readonly engine: string;
  readonly judge: string | null;
}

/** Rows or options that cannot be mined. */
export class MiningError extends Error {
  override readonly name = "MiningError";
}

/**
 * Samples, relabels and judges. The same engine, rows and options give the same result, in whatever order answers come.
 * @throws MiningError if two rows have one id or `samples` is no positive whole number; and what engine and judge throw.
 */
export async function mineIntentErrors(
  engine: Engine,
  rows: readonly LabelledPrompt[],
  options: MiningOptions = {},
): Promise<MiningResult> {
  const { samples: count = 10, temperature = 0.8, topP = 0.95, maxNewTokens = 64, seed = 22, judge } = options;
  if (!Number.isInteger(count) || count < 1) throw new MiningError(`${count} samples a prompt; expected a positive whole number`);
  const ids = new Set<string>();
  for (const { id } of rows) {
    if (ids.has(id)) throw new MiningError(`two rows have the id ${JSON.stringify(id)}; pairs are named by it`);
    ids.add(id);
  }
  const stated = rows.flatMap((row) => (row.intent === null || row.intent.trim() === "" ? [] : [{ ...row, intent: row.intent }]));
  const mined = stated.filter(({ intent }) => isWritable(intent));

  const answers = await ask(
    engine,
    mined.map(({ prompt }) => ({
      input: { text: SFT_GENERATION.input(prompt) },
      ...{ maxNewTokens, temperature, topP, samples: count, seed },
    })),
    "sample",
    options,
  );
  const drafts = mined.flatMap((row, i) => answers[i].map((answer, sample) => draftOf(row, sample, answer)));
  const { drafts: labelled, distinctIntents } = await relabelled(engine, drafts, options);
  const samples = judge === undefined ? labelled : await judged(judge, labelled, options);
  return {
    samples,
    counts: countMined(samples),
    skipped: {
      noGoldIntent: rows.length - stated.length,
      unwritableGold: stated.filter(({ intent }) => !isWritable(intent)).map(({ id }) => id),
    },
    distinctIntents,
    engine: engine.name,
    judge: judge?.name ?? null,
  };
}

/** Sampled, and not labelled yet where the outcome is "label_right". */
function draftOf(row: LabelledPrompt & { readonly intent: string }, sample: number, answer: Answer | Failure): MinedSample {
  const { id: rowId, prompt, intent: goldIntent, harm: goldHarm, theme, level } = row;
  const base = {
    ...{ id: `${rowId}#${sample}`, rowId, sample, prompt, goldIntent, goldHarm },
    ...(theme !== undefined && { theme }),
    ...(level !== undefined && { level }),
    relabelledHarm: null,
    judgeVerdict: null,
  };
  if (answer.kind === "failure") {
    const failure = { stage: "sample", reason: answer.reason, retryable: answer.retryable } as const;
    return { ...base, completion: null, sampledIntent: null, sampledHarm: "unparsed", outcome: "failed", failure };
  }
  const { intent, harm: sampledHarm } = parseLastGeneration(answer.text);
  const sampledIntent = intent?.replace(/\s+/g, " ").trim() ?? null;
  return {
    ...base,
    completion: answer.text,
    sampledIntent,
    sampledHarm,
    outcome: kindOf(sampledIntent, goldIntent),
    failure: null,
  };
}

function kindOf(intent: string | null, goldIntent: string): SampleOutcome {
  if (intent === null) return "unparsed";
  if (sameWords(intent) === sameWords(goldIntent)) return "equals_gold";
  return isWritable(intent) ? "label_right" : "unwritable";
}

/** Labels every distinct intent once. */
async function relabelled(
  engine: Engine,
  drafts: readonly MinedSample[],
  options: MiningOptions,
): Promise<{ drafts: MinedSample[]; distinctIntents: number }> {
  const intents = [
    ...new Set(drafts.flatMap(({ outcome, sampledIntent }) => (outcome === "label_right" ? [sampledIntent!] : []))),
  ];
  const answers = await ask(
    engine,
    intents.map((intent) => ({
      input: { text: relabelInput(intent) },
      ...{ maxNewTokens: RELABEL_MAX_NEW_TOKENS, temperature: 0, topP: 1, samples: 1, seed: 0 },
    })),
    "relabel",
    options,
  );
  const byIntent = new Map(intents.map((intent, i) => [intent, answers[i][0]]));
  const withLabel = drafts.map((draft): MinedSample => {
    if (draft.outcome !== "label_right") return draft;
    const answer = byIntent.get(draft.sampledIntent!)!;
    if (answer.kind === "failure") {
      const failure = { stage: "relabel", reason: answer.reason, retryable: answer.retryable } as const;
      return { ...draft, outcome: "failed", failure };
    }
    const harm = relabelledHarm(answer.text);
    const outcome = harm === null ? "relabel_unparsed" : harm === draft.goldHarm ? "label_right" : "label_error";
    return { ...draft, relabelledHarm: harm, outcome };
  });
  return { drafts: withLabel, distinctIntents: intents.length };
}

/** Asks about the intents with the right label. */
async function judged(judge: Judge, drafts: readonly MinedSample[], options: MiningOptions): Promise<MinedSample[]> {
  const { signal, onProgress } = options;
  const items = drafts
    .filter(({ outcome }) => outcome === "label_right")
    .map(({ prompt, goldIntent, sampledIntent }) => ({ prompt, goldIntent, sampledIntent: sampledIntent! }));
  onProgress?.({ stage: "judge", done: 0, total: items.length });
  const verdicts = await judge.judge(items, signal === undefined ? {} : { signal });
  onProgress?.({ stage: "judge", done: items.length, total: items.length });
  let at = 0;
  return drafts.map((draft): MinedSample => {
    if (draft.outcome !== "label_right") return draft;
    const judgeVerdict = verdicts[at++];
    return { ...draft, judgeVerdict, outcome: judgeVerdict === null ? "judge_none" : `judge_${judgeVerdict}` };
  });
}

/** Every request's samples, in order. */
async function ask(
  engine: Engine,
  requests: readonly CompletionRequest[],
  stage: "sample" | "relabel",
  { signal, onProgress }: MiningOptions,
): Promise<(Answer | Failure)[][]> {
  const none: Failure = { kind: "failure", reason: "the engine gave no answer", retryable: true };
  const results = requests.map(({ samples }) => Array.from({ length: samples }, (): Answer | Failure => none));
  const total = requests.reduce((sum, { samples }) => sum + samples, 0);
  let done = 0;
  onProgress?.({ stage, done, total });
  if (total === 0) return results;
  for await (const { index, sample, result } of engine.complete(requests, signal === undefined ? {} : { signal })) {
    results[index][sample] = result;
    onProgress?.({ stage, done: ++done, total });
  }
  return results;
}

/** Whether the format gives the intent back. */
function isWritable(intent: string): boolean {
  try {
    trainingText(SFT_GENERATION, { id: "", prompt: "", intent, harm: "safe" });
    return true;
  } catch (error) {
    if (error instanceof PromptFormatError) return false;
    throw error;
  }
}

/** What two intents with the same words share: case, spacing and full stops do not tell them apart. */
function sameWords(intent: string): string {
  return promptKey(intent).replace(/[.\s]+$/, "");
}
