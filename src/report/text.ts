/** Text of unknown origin (prompts, model outputs, file contents) on its way to a page, a figure or a terminal. */
import { HIDDEN } from "../hidden-characters.js";

const INVISIBLE = new RegExp(`(?![\\t\\n])[${HIDDEN}]`, "gu");

/** What acts on a reader without being seen becomes its code, as in JSON: an escape character reads `\u001b`. Tabs and newlines stay. */
export function visibleText(text: string): string {
  return text.replace(INVISIBLE, (character) =>
    Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  );
}

/** Text for any place in HTML, also a quoted attribute: markup becomes text, invisible controls become visible. */
export function escapeHtml(text: string): string {
  return visibleText(text).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}
