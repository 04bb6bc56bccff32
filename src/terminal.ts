/** What goes to a terminal: names of files and models, labels, words of servers in it are text, and nothing in them acts. */
import { visibleText } from "./report/text.js";

/** A line for people, or a text of several, on stderr. */
export function say(line: string): void {
  process.stderr.write(`${visibleText(line)}\n`);
}

/** JSON of an object for a program or a person; what would act unseen in a terminal stands in it as an escape, which reads as the same. */
export function jsonText(value: object, indent?: number): string {
  return visibleText(JSON.stringify(value, null, indent));
}
