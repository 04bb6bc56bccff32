import { fromByteChars, utf8 } from "./bytes.js";

/**
 * How ids become text again:
 * - `bytes`: tokens are bytes in GPT-2's alphabet (GPT-2, Llama 3, Qwen, SmolLM);
 * - `pieces`: tokens are text with a mark for the space, and `<0xNN>` for a byte (SentencePiece: Llama 2, Gemma);
 * - `words`: tokens are words, and pieces that go on a word carry a prefix (WordPiece: BERT).
 */
export type Decoding =
  | { readonly kind: "bytes" }
  | {
      readonly kind: "pieces";
      readonly space: string;
      readonly byteFallback: boolean;
      readonly stripStart: number;
      readonly dropFirstMarks: boolean;
    }
  | { readonly kind: "words"; readonly prefix: string; readonly cleanup: boolean };

/** Takes tokens one at a time and gives the text that no later token can change. */
export interface TextStream {
  push(token: string): string;
  /** The rest, with U+FFFD for what never became whole. The stream starts anew. */
  end(): string;
}

export function textStream(decoding: Decoding): TextStream {
  if (decoding.kind === "bytes") return byteStream();
  return decoding.kind === "pieces" ? pieceStream(decoding) : wordStream(decoding);
}

function byteStream(): TextStream {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    push: (token) => decoder.decode(fromByteChars(token), { stream: true }),
    end: () => decoder.decode(),
  };
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** Hugging Face's ByteFallback: a run of byte tokens that is no UTF-8 becomes one U+FFFD a byte, so a run waits for its end. */
function pieceStream({ space, byteFallback, stripStart, dropFirstMarks }: Extract<Decoding, { kind: "pieces" }>): TextStream {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let run: number[] = [];
  let toStrip = stripStart;
  let first = true;
  const strip = (text: string): string => {
    let from = 0;
    while (toStrip > 0 && from < text.length && text[from] === " ") {
      from++;
      toStrip--;
    }
    if (from < text.length) toStrip = 0;
    return text.slice(from);
  };
  const flush = (): string => {
    if (run.length === 0) return "";
    const bytes = Uint8Array.from(run);
    run = [];
    try {
      return strict.decode(bytes);
    } catch {
      return "\uFFFD".repeat(bytes.length);
    }
  };
  return {
    push(token) {
      const byte = byteFallback ? BYTE_TOKEN.exec(token) : null;
      if (byte !== null) {
        run.push(Number.parseInt(byte[1], 16));
        return "";
      }
      const text = token.replaceAll(space, first && dropFirstMarks ? "" : " ");
      first = false;
      return strip(flush() + text);
    },
    end() {
      const rest = strip(flush());
      toStrip = stripStart;
      first = true;
      return rest;
    },
  };
}

function wordStream({ prefix, cleanup }: Extract<Decoding, { kind: "words" }>): TextStream {
  let first = true;
  return {
    push(token) {
      const goesOn = token.startsWith(prefix);
      const text = first ? token : goesOn ? token.slice(prefix.length) : ` ${token}`;
      first = false;
      return cleanup ? withoutSpacesBeforeMarks(text) : text;
    },
    end() {
      first = true;
      return "";
    },
  };
}

/** `clean_up` of Hugging Face's WordPiece decoder. */
function withoutSpacesBeforeMarks(text: string): string {
  return text
    .replaceAll(" .", ".")
    .replaceAll(" ?", "?")
    .replaceAll(" !", "!")
    .replaceAll(" ,", ",")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" do not", " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}

/** The bytes of one token on its own, as its share of the decoded text. */
export function tokenBytes(token: string, decoding: Decoding): Uint8Array {
  if (decoding.kind === "bytes") return fromByteChars(token);
  if (decoding.kind === "words") return utf8(token);
  const byte = decoding.byteFallback ? BYTE_TOKEN.exec(token) : null;
  return byte !== null ? Uint8Array.of(Number.parseInt(byte[1], 16)) : utf8(token.replaceAll(decoding.space, " "));
}
