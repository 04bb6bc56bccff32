import type { AddedToken } from "./spec.js";

/** A stretch of text: either an added token or text still to be encoded. `at` is its offset. */
export interface Stretch {
  text: string;
  at: number;
  token: AddedToken | null;
}

interface Node {
  next: Map<number, Node>;
  token: AddedToken | null;
}

/** Finds added tokens: at each place the longest, then on behind it, as Hugging Face's tokenizers do. */
export interface AddedTokenFinder {
  /**
   * Cuts a text at its added tokens.
   *
   * @param allows which special tokens count; words always do
   */
  cut(text: string, allows: SpecialRule): Stretch[];
}

/**
 * What becomes of a special token found at [start, stop): `take` it; `skip` it, so that it is text and what overlaps it is not looked at
 * again (Hugging Face's split_special_tokens); or `leave` it, as if it were not there.
 */
export type SpecialRule = (start: number, stop: number) => "take" | "skip" | "leave";

const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]$/u;
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u;
const SPACE = /\p{White_Space}/u;

export function addedTokenFinder(tokens: readonly AddedToken[], keyOf: (token: AddedToken) => string): AddedTokenFinder {
  const root: Node = { next: new Map(), token: null };
  for (const token of tokens) {
    let node = root;
    const key = keyOf(token);
    for (let i = 0; i < key.length; i++) {
      let next = node.next.get(key.charCodeAt(i));
      if (next === undefined) node.next.set(key.charCodeAt(i), (next = { next: new Map(), token: null }));
      node = next;
    }
    // The first of two tokens with one text holds. An empty text matches nothing.
    if (node !== root) node.token ??= token;
  }

  /** The longest token here that may be taken, and how far a special one reaches that may not. */
  function longestAt(text: string, start: number, allows: SpecialRule): { token: AddedToken | null; stop: number } | null {
    let found: { token: AddedToken | null; stop: number } | null = null;
    let node = root.next.get(text.charCodeAt(start));
    for (let i = start + 1; node !== undefined; i++) {
      if (node.token !== null) {
        const verdict = node.token.special ? allows(start, i) : "take";
        if (verdict !== "leave") found = { token: verdict === "take" ? node.token : null, stop: i };
      }
      if (i >= text.length) break;
      node = node.next.get(text.charCodeAt(i));
    }
    return found;
  }

  return {
    cut(text, allows) {
      const out: Stretch[] = [];
      let done = 0;
      const pushText = (to: number): void => {
        if (to > done) out.push({ text: text.slice(done, to), at: done, token: null });
      };
      for (let i = 0; i < text.length;) {
        const match = longestAt(text, i, allows);
        if (match === null) {
          i++;
          continue;
        }
        const { token } = match;
        let [start, stop] = [i, match.stop];
        i = match.stop;
        if (token === null) continue;
        if (token.singleWord && (WORD_BEFORE.test(text.slice(0, start).slice(-2)) || WORD_AFTER.test(text.slice(stop, stop + 2))))
          continue;
        if (token.lstrip) while (start > done && SPACE.test(text[start - 1])) start--;
        if (token.rstrip) while (stop < text.length && SPACE.test(text[stop])) stop++;
        pushText(start);
        out.push({ text: text.slice(start, stop), at: start, token });
        done = stop;
        i = Math.max(i, stop);
      }
      pushText(text.length);
      return out;
    },
  };
}
