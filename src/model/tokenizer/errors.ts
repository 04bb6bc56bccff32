/** A tokenizer file, GGUF vocabulary or text that cannot be used as asked. Says which file, which field, and what to do. */
export class TokenizerError extends Error {
  override readonly name = "TokenizerError";

  /**
   * @param file path or name of what was read
   * @param field the part of it that is wrong, as a dotted path (`model.merges[7]`)
   * @param problem what was found and what was expected; ends with what to do where that is not obvious
   */
  constructor(
    readonly file: string,
    readonly field: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${file}: ${short(field)}: ${short(problem)}`, options);
  }
}

/** What a file says may be long; a message is for people. */
function short(text: string): string {
  return text.length > 400 ? `${text.slice(0, 300)} … ${text.slice(-80)}` : text;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
