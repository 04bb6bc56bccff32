/** The models that have a name here, and finding one by it. */
import { editDistance } from "../../closest.js";
import type { ModelEntry } from "./entry.js";
import { paperModels } from "./paper.js";
import { smallModels } from "./small.js";

export const catalogue: readonly ModelEntry[] = [...smallModels, ...paperModels];

/**
 * The entry with this name, or the one whose hub repository is `nameOrRepo` (its original, unquantised weights where
 * several share it); case does not matter. Null if there is none.
 */
export function findModel(nameOrRepo: string): ModelEntry | null {
  const wanted = nameOrRepo.toLowerCase();
  const named = catalogue.find((entry) => entry.name === wanted);
  if (named !== undefined) return named;
  const fromHub = catalogue.find((entry) =>
    entry.sources.some((source) => source.kind === "hub" && source.repo.toLowerCase() === wanted),
  );
  return fromHub ?? null;
}

/** Catalogue names that look like `name`, nearest first, at most three. */
export function similarNames(name: string): string[] {
  const wanted = name.toLowerCase();
  return catalogue
    .map((entry) => ({ name: entry.name, distance: entry.name.includes(wanted) ? 0 : editDistance(wanted, entry.name) }))
    .filter(({ name: candidate, distance }) => distance <= candidate.length / 2)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map((candidate) => candidate.name);
}
