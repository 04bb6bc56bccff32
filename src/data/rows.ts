/** Checks one parsed row against a schema and says precisely what does not fit. */
import { DataFormatError } from "./errors.js";

/** What is asked of a schema; a zod schema is one. */
export interface RowSchema<T> {
  safeParse(value: unknown): RowResult<T>;
}

type RowResult<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly error: { readonly issues: readonly RowIssue[] } };

interface RowIssue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** @throws DataFormatError naming file, line and the first field that does not fit. */
export function checkRow<T>(schema: RowSchema<T>, value: unknown, file: string, line: number): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new DataFormatError(file, line, issue.path.length > 0 ? issue.path.map(String).join(".") : null, issue.message);
}

/** @throws DataFormatError if two rows have the same id. */
export function checkUniqueIds(rows: readonly { readonly id: string; readonly line: number }[], file: string): void {
  const seen = new Map<string, number>();
  for (const { id, line } of rows) {
    const first = seen.get(id);
    if (first !== undefined) throw new DataFormatError(file, line, "id", `"${id}" was already used in line ${first}`);
    seen.set(id, line);
  }
}
