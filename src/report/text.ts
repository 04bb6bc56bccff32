/** Text of unknown origin (prompts, model outputs, file contents) on its way to a page, a figure or a terminal. */

/** Control characters other than tab and newline, halves of characters, line and paragraph separators, and what reorders text of other cells. */
const INVISIBLE = /(?![\t\n])[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** What acts on a reader without being seen becomes its code: an escape character reads `\u001b`. Tabs and newlines stay. */
export function visibleText(text: string): string {
  return text.replace(INVISIBLE, (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`);
}

/** Text for any place in HTML, also a quoted attribute: markup becomes text, invisible controls become visible. */
export function escapeHtml(text: string): string {
  return visibleText(text).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}
