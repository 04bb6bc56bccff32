/** A difference with its sign: `+0.012` */
export function signed(value: number): string {
  // Zero has no sign, nor has what is rounded to it.
  const text = value.toFixed(3);
  return Number(text) === 0 ? "0.000" : value > 0 ? `+${text}` : text;
}
