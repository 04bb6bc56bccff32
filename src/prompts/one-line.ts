/** A text on one line: white space of any kind and length as one space, none around it. */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
