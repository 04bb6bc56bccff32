/**
 * AIMS (Ferrao et al., arXiv 2606.27210): hard prompts with an intent and a harm level written by people.
 * File: `aims/aims_sample.jsonl`, one object a line with the hub's column names ID, Prompt, Intent, Annotator Harm.
 */
import { z } from "zod";
import { DataFormatError } from "./errors.js";
import { publicDataFile } from "./files.js";
import { readJsonl } from "./jsonl.js";
import { harmOfLevel, levelOfLabel, type LabelledPrompt, type Split } from "./prompt.js";
import { checkUniqueIds } from "./rows.js";
import { splitByPrompt } from "./split.js";

const schema = z.object({
  ID: z.union([z.number().int(), z.string().min(1)]).transform(String),
  Prompt: z.string().trim().nullable(),
  Intent: z.string().trim().nullable(),
  "Annotator Harm": z.string().trim().nullable(),
});

export interface AimsData {
  readonly prompts: readonly (LabelledPrompt & { readonly intent: string; readonly split: Split })[];
  /** Rows that the paper leaves out as well, each with the reason. */
  readonly excluded: readonly { readonly id: string; readonly line: number; readonly reason: string }[];
}

/**
 * AIMS rows with their split. Rows flagged for removal, without a label, without a prompt or without an intent are left out and listed.
 * @param options.file - default: below the folder that TRUE_INTENTS_DATA names
 * @param options.seed - of the 8-1-1 split by prompt text (default 22, the paper's seed)
 * @throws DataUnavailableError if the set is not there; DataFormatError naming file, line and field.
 */
export function loadAims(options: { readonly file?: string; readonly seed?: number } = {}): AimsData {
  const file = options.file ?? publicDataFile("AIMS", "aims", "aims_sample.jsonl");
  const rows = readJsonl(file, schema);
  checkUniqueIds(
    rows.map(({ line, row }) => ({ line, id: row.ID })),
    file,
  );
  const prompts: (LabelledPrompt & { readonly intent: string })[] = [];
  const excluded: { id: string; line: number; reason: string }[] = [];
  for (const { line, row } of rows) {
    const { ID: id, Prompt: prompt, Intent: intent, "Annotator Harm": label } = row;
    const exclude = (reason: string): void => void excluded.push({ id, line, reason });
    if (label === null || label === "") exclude("no harm label");
    else if (label.toLowerCase() === "flag for removal") exclude("flagged for removal");
    else if (prompt === null || prompt === "") exclude("empty prompt");
    else if (intent === null || intent === "") exclude("empty intent");
    else {
      const level = levelOfLabel(label);
      if (level === null) throw new DataFormatError(file, line, "Annotator Harm", `"${label}" is not a level of AIMS`);
      prompts.push({ id, prompt, intent, harm: harmOfLevel(level), level, source: "aims" });
    }
  }
  return { prompts: splitByPrompt(prompts, options.seed ?? 22), excluded };
}
