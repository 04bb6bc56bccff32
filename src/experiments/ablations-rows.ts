/** The training sets of the ablations: draws that hold one another, other labels for the same prompts, prompts that may be added. */
import type { Harm, LabelledPrompt } from "../data/prompt.js";
import { promptKey } from "../data/split.js";
import { groupBy } from "../group-by.js";
import { createRandom, shuffled } from "../random.js";

/**
 * `count` rows in the set's order, each theme and label in about its share; all rows if there are no more. A larger count of the same seed
 * holds all rows of a smaller one. (The paper draws by label and by whether a prompt is adversarial, with largest remainders.)
 */
export function nestedDraw<T extends LabelledPrompt>(rows: readonly T[], count: number, seed: number): T[] {
  const strata = groupBy(rows, ({ theme, harm }) => JSON.stringify([theme ?? null, harm]));
  // A stratum's rows stand evenly between 0 and 1, from a random beginning: wherever the line is cut, each has given its share.
  const placed = [...strata].flatMap(([key, members]) => {
    const start = createRandom(seed, "nested draw, start", key).uniform();
    return shuffled(members, createRandom(seed, "nested draw", key)).map((row, i) => ({ row, at: (i + start) / members.length }));
  });
  const drawn = new Set(
    placed
      .sort((a, b) => a.at - b.at)
      .slice(0, count)
      .map(({ row }) => row),
  );
  return rows.filter((row) => drawn.has(row));
}

export interface Relabelled {
  /** The rows that have another label, with it; a row whose label changes loses its level. */
  readonly rows: readonly LabelledPrompt[];
  /** Rows without another label, or with two that contradict each other: left out. */
  readonly missing: number;
  /** Rows whose other label is not their own. */
  readonly changed: number;
}

/** Rows under the labels that `labelOf` gives; null: none. */
export function relabelled(rows: readonly LabelledPrompt[], labelOf: (row: LabelledPrompt) => Harm | null): Relabelled {
  let changed = 0;
  const kept = rows.flatMap((row): LabelledPrompt[] => {
    const harm = labelOf(row);
    if (harm === null) return [];
    if (harm === row.harm) return [row];
    changed++;
    const other: { -readonly [Key in keyof LabelledPrompt]: LabelledPrompt[Key] } = { ...row, harm };
    delete other.level;
    return [other];
  });
  return { rows: kept, missing: rows.length - kept.length, changed };
}

/** A set's labels by prompt text; prompts that it labels both ways have none. */
export function labelsByPrompt(rows: readonly LabelledPrompt[]): (row: Pick<LabelledPrompt, "prompt">) => Harm | null {
  const labels = new Map<string, Harm | null>();
  for (const { prompt, harm } of rows) {
    const key = promptKey(prompt);
    const before = labels.get(key);
    labels.set(key, before === undefined || before === harm ? harm : null);
  }
  return ({ prompt }) => labels.get(promptKey(prompt)) ?? null;
}

/** The rows of a pool whose prompts are in none of the other sets: neither trained on already nor asked about later. */
export function withoutPrompts<T extends LabelledPrompt>(
  pool: readonly T[],
  others: readonly (readonly LabelledPrompt[])[],
): T[] {
  const known = new Set(others.flatMap((rows) => rows.map(({ prompt }) => promptKey(prompt))));
  return pool.filter(({ prompt }) => !known.has(promptKey(prompt)));
}
