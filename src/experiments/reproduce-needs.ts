/** What the experiments of a size need beside this project: models, servers, data. Read from their settings; nothing is downloaded or asked. */
import { DataUnavailableError } from "../data/errors.js";
import { markdownTable } from "../evaluate/table.js";
import { findModel } from "../model/catalogue/catalogue.js";
import { needsText } from "./distillation-needs.js";
import type { Reproduction } from "./reproduce-stages.js";
import { loadNamed } from "./sets.js";

/** @throws DataFormatError for a data set that is damaged */
export async function reproductionNeeds({ sft, dpo, distillation, grpo }: Reproduction): Promise<string> {
  const entry = findModel(sft.model);
  const download = entry?.bytes == null ? "?" : `${(entry.bytes / 1e9).toFixed(1)} GB`;
  const gated = entry?.gated === true ? "; HF_TOKEN of an account that accepted its licence" : "";
  const servers = [
    ["judge of dpo", dpo.judge],
    ["judge of grpo", grpo.judge],
    ["rollouts of grpo", grpo.rollouts],
  ].filter(([, engine]) => /^https?:/.test(engine));
  const configs = [sft, dpo, grpo, distillation];
  const names = new Set(configs.flatMap(({ trainSet, selectionSets, testSets }) => [trainSet, ...selectionSets, ...testSets]));
  for (const { validationSet } of [sft, distillation]) names.add(validationSet);
  const sets: string[][] = [];
  for (const name of names) sets.push([name, await whereIs(name)]);
  return [
    "What it needs",
    `sft, dpo and grpo: ${sft.model}, ${download} to download${gated}; a GPU that holds it in ${sft.precision}.`,
    ...(servers.length > 0 ? [markdownTable(["server", "address"], servers, [0, 1])] : []),
    markdownTable(["data set", "here"], sets, [0, 1]),
    `distillation: teachers' traces in ${distillation.traces}, and`,
    needsText(distillation),
  ].join("\n\n");
}

async function whereIs(name: string): Promise<string> {
  try {
    return `${(await loadNamed(name, 0)).rows.length} rows`;
  } catch (error) {
    if (error instanceof DataUnavailableError) return `no: ${error.message}`;
    throw error;
  }
}
