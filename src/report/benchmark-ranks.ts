/** Ranks of scores as the paper's tables have them. */
import type { Mark } from "./table-html.js";

/**
 * 1 for the highest; values are compared at three decimals, ties share a rank and the next value has the next one, so that there is always a
 * second (record of arXiv 2606.27210, section 7.1: "ranks are computed on values rounded to three decimals; ties share a rank"). Null stays null.
 */
export function ranks(values: readonly (number | null)[]): (number | null)[] {
  const rounded = values.map((value) => (value === null ? null : Number(value.toFixed(3))));
  const distinct = [...new Set(rounded.filter((value) => value !== null))].sort((a, b) => b - a);
  return rounded.map((value) => (value === null ? null : distinct.indexOf(value) + 1));
}

/** Bold for the first, underlined for the second. */
export function markOf(rank: number | null): Mark | null {
  return rank === 1 ? "best" : rank === 2 ? "second" : null;
}

/** "0.856 (12)" */
export function ranked(value: number | null, rank: number | null): string {
  return value === null ? "–" : `${value.toFixed(3)}${rank === null ? "" : ` (${rank})`}`;
}
