/** Agreement of annotators: AIMS' prompts with several annotations, and the second annotation of our set, beside the paper's figures. */
import { harmOfLevel, LEVELS } from "../data/prompt.js";
import type { LoadedSet } from "../data/sets.js";
import { promptKey } from "../data/split.js";
import { agreement, pairsWithin, type Agreement } from "../intent/agreement.js";
import { secondPairs } from "../intent/annotated-pairs.js";
import { ModelError } from "../model/catalogue/errors.js";
import { loadSentenceEncoder, type SentenceEncoder } from "../model/sentence-encoder.js";
import { loadPublished } from "./published.js";

export interface AgreementRow {
  readonly pair: string;
  readonly pairs: number;
  readonly prompts: number;
  readonly kappa: number | null;
  readonly "raw agreement": number | null;
  readonly "cosine of intents": number | null;
  readonly from: string;
}

/**
 * One row a pair of annotators that is at hand, then the paper's table. The cosine is measured where an encoder is given.
 * @param sets data sets at hand, of which AIMS is used
 */
export async function agreementTable(sets: readonly LoadedSet[], encoder: SentenceEncoder | null): Promise<AgreementRow[]> {
  const rows: AgreementRow[] = [];
  const aims = sets.find(({ name }) => name === "aims");
  if (aims !== undefined) {
    const annotations = aims.rows.map(({ prompt, harm, intent }) => ({ prompt: promptKey(prompt), label: harm, intent }));
    rows.push(rowOf("AIMS, people", await agreement(pairsWithin(annotations), encoder), "the copy at hand"));
  }
  const pairs = secondPairs();
  const harm = (level: string): string => harmOfLevel(LEVELS.find((known) => known === level)!);
  const byHarm = pairs.map(({ first, second }) => ({
    first: { ...first, label: harm(first.label) },
    second: { ...second, label: harm(second.label) },
  }));
  rows.push(rowOf("our set, harm", await agreement(byHarm, encoder), "data/sample"));
  rows.push(rowOf("our set, four levels", await agreement(pairs, null), "data/sample"));
  const published = loadPublished("agreement").rows.map(
    ({ first, second, count, prompts, kappa, rawAgreement, meanIntentCosine }) => ({
      pair: `AIMS, ${first} - ${second}`,
      pairs: count,
      prompts,
      kappa,
      "raw agreement": rawAgreement,
      "cosine of intents": meanIntentCosine,
      from: "published",
    }),
  );
  return [...rows, ...published];
}

/** The encoder that intents are compared with, if it is on this machine: it is not downloaded here. Free it after use. */
export async function encoderAtHand(): Promise<SentenceEncoder | null> {
  try {
    return await loadSentenceEncoder("all-minilm-l6-v2", { download: false });
  } catch (error) {
    if (error instanceof ModelError) return null;
    throw error;
  }
}

function rowOf(pair: string, { pairs, prompts, kappa, raw, cosine }: Agreement, from: string): AgreementRow {
  return { pair, pairs, prompts, kappa, "raw agreement": raw, "cosine of intents": cosine, from };
}
