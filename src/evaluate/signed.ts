/** Differences of scores as text. */
import type { Difference } from "./comparison.js";

/** A difference with its sign: `+0.012` */
export function signed(value: number): string {
  // Zero has no sign, nor has what is rounded to it.
  const text = value.toFixed(3);
  return Number(text) === 0 ? "0.000" : value > 0 ? `+${text}` : text;
}

/** A difference and its 95% interval as two cells of a table; "–" where it is not defined. */
export function differenceCells(difference: Difference | null): [string, string] {
  if (difference === null) return ["–", "–"];
  const { estimate, low, high } = difference.difference;
  return [signed(estimate), `${signed(low)} to ${signed(high)}`];
}
