/** The user's own files of prompts. */
import { mapColumns, type ColumnMap, type ReadRows } from "./columns.js";
import { DataFormatError } from "./errors.js";
import { readTable, type Table } from "./tables.js";

/** Columns that are looked for where the user names none; of several, the first that is there. */
const usual = {
  prompt: ["prompt", "text", "user_input"],
  intent: ["intent"],
  label: ["label", "harm", "level", "prompt_label", "prompt_harm_label"],
  id: ["id"],
  theme: ["theme", "type", "category"],
} as const;

/** What a user may say of the columns of a file. */
export type OwnColumns = Partial<Pick<ColumnMap, "prompt" | "intent" | "label" | "id" | "harmfulValues" | "safeValues">>;

/** The map of columns for a table: what the user named, the usual names for the rest. */
export function ownColumns(table: Table, named: Partial<ColumnMap> = {}): ColumnMap {
  const present = new Set(table.rows.flatMap(({ row }) => Object.keys(row)));
  const find = (key: keyof typeof usual): string | undefined => named[key] ?? usual[key].find((column) => present.has(column));
  const { intent, label, id, theme } = { intent: find("intent"), label: find("label"), id: find("id"), theme: find("theme") };
  return {
    ...named,
    prompt: find("prompt") ?? "prompt",
    ...(intent !== undefined && { intent }),
    ...(label !== undefined && { label }),
    ...(id !== undefined && { id }),
    ...(theme !== undefined && { theme }),
  };
}

/**
 * Labelled prompts of a file of the user's own; the source is "own".
 * @param named columns by the user's names; the rest go by the usual ones (prompt, intent, label, id, theme)
 * @throws DataFormatError naming file, line and column; also if there is no column with labels.
 */
export async function loadOwnRows(file: string, named: Partial<ColumnMap> = {}): Promise<ReadRows> {
  const table = await readTable(file);
  const columns = ownColumns(table, named);
  if (columns.label === undefined && columns.harm === undefined) {
    throw new DataFormatError(file, 0, null, "there is no column with labels; name it with --label-column");
  }
  return mapColumns([table], columns, "own");
}
