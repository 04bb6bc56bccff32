/** Mean and deviation over seeds. */

/** The deviation is the sample's (n - 1), null for one seed. A score that is undefined for some seed has no mean. */
export interface Spread {
  readonly mean: number | null;
  readonly deviation: number | null;
}

export function spread(values: readonly (number | null)[]): Spread {
  const mean = meanOf(values);
  if (mean === null || values.length < 2) return { mean, deviation: null };
  const squares = values.reduce<number>((sum, value) => sum + (value! - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

/** Null if there are no values, or one of them is null. */
export function meanOf(values: readonly (number | null)[]): number | null {
  if (values.length === 0 || values.includes(null)) return null;
  return values.reduce<number>((sum, value) => sum + value!, 0) / values.length;
}

/** "0.812 ± 0.010" */
export function spreadText({ mean, deviation }: Spread): string {
  if (mean === null) return "–";
  return `${mean.toFixed(3)}${deviation === null ? "" : ` ± ${deviation.toFixed(3)}`}`;
}
