/** How far models agree with annotators, by the same measures as annotators among each other (paper section 1.1; its `tab:agreement_kappa`). */
import { DataUnavailableError } from "../data/errors.js";
import type { LabelledPrompt } from "../data/prompt.js";
import type { LoadedSet } from "../data/sets.js";
import { agreement, type AnnotationPair } from "../intent/agreement.js";
import type { Prediction } from "../evaluate/predictions.js";
import { loadNamed } from "../experiments/sets.js";
import { meanOf } from "../evaluate/spread.js";
import type { SentenceEncoder } from "../model/sentence-encoder.js";
import { agreementTable, type AgreementRow } from "./agreement-table.js";
import type { MeasuredModel } from "./measured-models.js";

/** Sets with labels and intents of annotators: AIMS' are people, those of our set a language model. */
const ANNOTATED = ["sample-test", "aims-test"];

/**
 * Annotators with each other, then every model that has seen an annotated set with its annotators, then the paper's table. Kappa, raw agreement
 * and the mean cosine of intents (with an encoder) are computed here; several seeds are averaged; an unparsed verdict counts as safe, as in
 * the paper's table.
 */
export async function allAgreement(
  sets: readonly LoadedSet[],
  models: readonly MeasuredModel[],
  encoder: SentenceEncoder | null,
): Promise<AgreementRow[]> {
  const annotators = await agreementTable(sets, encoder);
  const rows: AgreementRow[] = [];
  for (const set of ANNOTATED) {
    const gold = await rowsAtHand(set);
    for (const { name, sets: seen, runs } of models) {
      const said = seen.includes(set) ? runs[seen.indexOf(set)] : [];
      const row =
        gold === null || said.length === 0 ? null : await modelAgreement(`${set}, annotators - ${name}`, gold, said, encoder);
      if (row !== null) rows.push(row);
    }
  }
  const published = (row: AgreementRow): boolean => row.from === "published";
  return [...annotators.filter((row) => !published(row)), ...rows, ...annotators.filter(published)];
}

async function rowsAtHand(set: string): Promise<readonly LabelledPrompt[] | null> {
  try {
    return (await loadNamed(set, 0)).rows;
  } catch (error) {
    if (error instanceof DataUnavailableError) return null;
    throw error;
  }
}

/** @param runs what the seeds said; null if they were asked about other prompts than those of the set */
async function modelAgreement(
  pair: string,
  rows: readonly LabelledPrompt[],
  runs: readonly (readonly Prediction[])[],
  encoder: SentenceEncoder | null,
): Promise<AgreementRow | null> {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const measured = [];
  for (const said of runs) {
    const pairs = said.flatMap(({ id, harm, intent }): AnnotationPair[] => {
      const row = byId.get(id);
      if (row === undefined) return [];
      const first = { prompt: id, label: row.harm, intent: row.intent };
      return [{ first, second: { prompt: id, label: harm === "unparsed" ? "safe" : harm, intent } }];
    });
    if (pairs.length < said.length) return null;
    measured.push(await agreement(pairs, encoder));
  }
  return {
    ...{ pair, pairs: measured[0].pairs, prompts: measured[0].prompts, from: "measured here" },
    kappa: meanOf(measured.map(({ kappa }) => kappa)),
    "raw agreement": meanOf(measured.map(({ raw }) => raw)),
    "cosine of intents": meanOf(measured.map(({ cosine }) => cosine)),
  };
}
