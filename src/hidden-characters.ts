/**
 * The inside of a character class (flag u) of what acts on a reader without being seen: control characters, halves of characters, line and
 * paragraph separators, what reorders text, characters without width, and tags, which spell whole sentences that a model reads and a person
 * does not. Joiners are not among them: emoji and several scripts need them.
 */
export const HIDDEN =
  "\\p{Cc}\\p{Cs}\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\u200b\\u2060-\\u2064\\ufeff\\u{e0000}-\\u{e007f}";
