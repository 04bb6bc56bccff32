/**
 * XSTest (Röttger et al., NAACL 2024; CC-BY-4.0): 250 safe prompts that look unsafe and 200 unsafe contrasts. Test only.
 * File: `xstest/xstest_prompts.csv` of the published repository, columns id, prompt, type, label, focus, note.
 */
import { z } from "zod";
import { readCsv } from "./csv.js";
import { DataFormatError } from "./errors.js";
import { publicDataFile } from "./files.js";
import { harmOfLabel, type LabelledPrompt } from "./prompt.js";
import { checkUniqueIds } from "./rows.js";

const schema = z.object({ id: z.string().min(1), prompt: z.string().trim().min(1), type: z.string(), label: z.string() });

/**
 * All prompts of XSTest; the theme is XSTest's type ("homonyms", "contrast_homonyms", …).
 * @param file - default: below the folder that TRUE_INTENTS_DATA names
 * @throws DataUnavailableError if the set is not there; DataFormatError naming file, line and field.
 */
export function loadXstest(file: string = publicDataFile("XSTest", "xstest", "xstest_prompts.csv")): LabelledPrompt[] {
  const rows = readCsv(file, schema);
  checkUniqueIds(
    rows.map(({ line, row }) => ({ line, id: row.id })),
    file,
  );
  return rows.map(({ line, row }) => {
    const harm = harmOfLabel(row.label);
    if (harm === null) throw new DataFormatError(file, line, "label", `"${row.label}" is neither "safe" nor "unsafe"`);
    return { id: row.id, prompt: row.prompt, intent: null, harm, theme: row.type, source: "xstest", split: "test" };
  });
}
