import { StringValue } from "./library.js";

/** A stretch of rendered text and whether the template wrote it; what it did not write came from a message. */
export interface ChatSegment {
  readonly text: string;
  readonly trusted: boolean;
}

/** Two characters that occur nowhere in a template or its messages, so that nobody can write them: brackets around message text. */
export interface Marks {
  readonly open: string;
  readonly close: string;
}

/** Chooses marks from the private use area. Null where the texts use nearly all of it, which no text does by chance. */
export function unusedMarks(texts: Iterable<string>): Marks | null {
  const used = new Set<number>();
  for (const text of texts) {
    // Templates may also spell a character as \uXXXX.
    for (const [, hex] of text.matchAll(/\\u([0-9a-fA-F]{4})/g)) used.add(Number.parseInt(hex, 16));
    for (let i = 0; i < text.length; i++) used.add(text.charCodeAt(i));
  }
  const free: string[] = [];
  for (let code = 0xe000; code <= 0xf8ff && free.length < 2; code++) if (!used.has(code)) free.push(String.fromCharCode(code));
  return free.length < 2 ? null : { open: free[0], close: free[1] };
}

export function mark(segments: readonly ChatSegment[], { open, close }: Marks): string {
  return segments.map(({ text, trusted }) => (trusted || text === "" ? text : open + text + close)).join("");
}

/** The segments of a marked text, neighbours of one origin joined. Marks within marks count once. */
export function unmark(text: string, { open, close }: Marks): ChatSegment[] {
  const out: ChatSegment[] = [];
  let depth = 0;
  let start = 0;
  const push = (end: number): void => {
    if (end > start) out.push({ text: text.slice(start, end), trusted: depth === 0 });
    start = end + 1;
  };
  for (let i = 0; i < text.length; i++) {
    if (text[i] === open) {
      push(i);
      depth++;
    } else if (text[i] === close) {
      push(i);
      depth = Math.max(0, depth - 1);
    }
  }
  push(text.length);
  return joined(out);
}

export function joined(segments: readonly ChatSegment[]): ChatSegment[] {
  const out: ChatSegment[] = [];
  for (const segment of segments) {
    const last = out.at(-1);
    if (last?.trusted === segment.trusted) out[out.length - 1] = { text: last.text + segment.text, trusted: last.trusted };
    else if (segment.text !== "") out.push(segment);
  }
  return out;
}

/** A string that knows where its parts came from. Templates see plain text; the library prints it by `toString`, which marks. */
export class OriginString extends StringValue {
  constructor(
    readonly segments: readonly ChatSegment[],
    private readonly marks: Marks,
  ) {
    super(segments.map((segment) => segment.text).join(""));
  }

  override toString(): string {
    return mark(this.segments, this.marks);
  }
}

/** Python's str.strip: off the ends come the characters given, or white space as Python has it (with U+001C to U+001F and U+0085, without U+FEFF). */
export function strip(
  segments: readonly ChatSegment[],
  side: "both" | "left" | "right",
  characters: string | null,
): ChatSegment[] {
  const set = characters === null ? null : new Set(characters);
  const goes = (char: string): boolean => (set === null ? PYTHON_SPACE.test(char) : set.has(char));
  const out = [...segments];
  if (side !== "right") {
    while (out.length > 0) {
      const chars = Array.from(out[0].text);
      const from = chars.findIndex((char) => !goes(char));
      if (from === -1) out.shift();
      else {
        out[0] = { ...out[0], text: chars.slice(from).join("") };
        break;
      }
    }
  }
  if (side !== "left") {
    while (out.length > 0) {
      const last = out[out.length - 1];
      const chars = Array.from(last.text);
      const to = chars.findLastIndex((char) => !goes(char));
      if (to === -1) out.pop();
      else {
        out[out.length - 1] = { ...last, text: chars.slice(0, to + 1).join("") };
        break;
      }
    }
  }
  return out;
}

const PYTHON_SPACE = /^[\p{White_Space}\x1c-\x1f]$/u;
