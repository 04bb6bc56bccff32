/** Three digits, without the exponent that toPrecision gives to 1021.4; a dash for none. */
export function millisecondsText(value: number | null): string {
  if (value === null) return "–";
  return value >= 999.5 ? value.toFixed(0) : value.toPrecision(3);
}
