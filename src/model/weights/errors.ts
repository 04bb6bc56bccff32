/** A weight file that is damaged, malformed, incomplete or of a kind this engine does not read; says which file and where in it. */
export class WeightFileError extends Error {
  override readonly name = "WeightFileError";

  constructor(
    readonly file: string,
    /** The place: "header", "tensor model.norm.weight", "metadata general.alignment", … */
    readonly where: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${file}: ${where}: ${problem}`, options);
  }
}

/** Text from a file as it may stand in a message: control characters escaped, long text cut. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
