/** JSON from files nobody vouches for: bounded in size, valid UTF-8, and no key given twice (`JSON.parse` silently keeps the last). */
import { openReadOnly } from "./file.js";

/** What is wrong with a JSON text; callers add which file. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

const MAX_DEPTH = 64;

/**
 * Parses UTF-8 bytes. Objects come back with own properties only as `JSON.parse` makes them, so a key `__proto__` is a plain entry:
 * read them with `Object.entries`, never by assignment to another object.
 * @throws JsonError on invalid UTF-8, invalid JSON, a repeated key, or nesting deeper than 64
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new JsonError("is not valid UTF-8", { cause });
  }
  checkDepth(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new JsonError(`is not valid JSON (${cause instanceof Error ? cause.message.slice(0, 160) : "unknown"})`, { cause });
  }
  checkKeys(text);
  return value;
}

/** Reads and parses a whole JSON file of at most `maxBytes`. @throws WeightFileError (unreadable) or JsonError. */
export function readJsonFile(path: string, maxBytes: number): unknown {
  const file = openReadOnly(path);
  try {
    if (file.size > maxBytes) throw new JsonError(`has ${file.size} bytes; at most ${maxBytes} are read`);
    const bytes = new Uint8Array(file.size);
    file.readAt(0, bytes, "contents");
    return parseJson(bytes);
  } finally {
    file.close();
  }
}

/** Brackets outside strings; runs before `JSON.parse`, so the text may still be invalid. */
function checkDepth(text: string): void {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = endOfString(text, i);
    else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      if (++depth > MAX_DEPTH) throw new JsonError(`nests deeper than ${MAX_DEPTH}`);
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) depth--;
  }
}

/** Walks a text that is known to be valid JSON and looks for a key given twice in one object. */
function checkKeys(text: string): void {
  const open: (Set<string> | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === OPEN_OBJECT) open.push(new Set());
    else if (code === OPEN_ARRAY) open.push(null);
    else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) open.pop();
    else if (code === QUOTE) {
      const end = endOfString(text, i);
      const next = /\S/g;
      next.lastIndex = end + 1;
      const keys = open.at(-1);
      if (keys && next.exec(text)?.[0] === ":") {
        const key = JSON.parse(text.slice(i, end + 1)) as string;
        if (keys.has(key)) throw new JsonError(`gives the key ${JSON.stringify(key.slice(0, 120))} twice`);
        keys.add(key);
      }
      i = end;
    }
  }
}

/** Index of the quote that ends the string starting at `start`, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i;
    if (code === BACKSLASH) i++;
  }
  return text.length;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
