/** The candidate most like a mistyped word. */

/** The candidate at the smallest edit distance from `word`, if at most half of its letters differ; else null. */
export function closest(word: string, candidates: readonly string[]): string | null {
  let best: { candidate: string; distance: number } | null = null;
  for (const candidate of candidates) {
    const distance = candidate.startsWith(word) ? 0 : editDistance(word.toLowerCase(), candidate);
    if (distance <= candidate.length / 2 && (best === null || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate ?? null;
}

/** Insertions, deletions and substitutions between two words (Levenshtein), row by row. */
export function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substituted = above[column - 1] + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substituted, above[column] + 1, current[column - 1] + 1));
    }
    above = current;
  }
  return above[b.length];
}
