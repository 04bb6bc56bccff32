/**
 * GPT-2's byte alphabet: every byte as one printable character, so that a vocabulary of text can hold any bytes. Printable Latin-1
 * stands for itself; the other 68 bytes are U+0100 onwards, in byte order (`bytes_to_unicode` of the GPT-2 encoder).
 */
const BYTE_TO_CHAR: readonly string[] = (() => {
  const chars: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    chars.push(String.fromCharCode(printable ? byte : next++));
  }
  return chars;
})();

const CHAR_TO_BYTE: ReadonlyMap<string, number> = new Map(BYTE_TO_CHAR.map((char, byte) => [char, byte]));

const encoder = new TextEncoder();

/** UTF-8 of a text. A lone surrogate becomes U+FFFD, as TextEncoder does: JavaScript strings can hold what UTF-8 cannot. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The character that stands for a byte (0-255) in a byte-level vocabulary. */
export function byteChar(byte: number): string {
  return BYTE_TO_CHAR[byte];
}

/** A text written in the byte alphabet, as a byte-level vocabulary spells it. */
export function toByteChars(text: string): string {
  let out = "";
  for (const byte of utf8(text)) out += BYTE_TO_CHAR[byte];
  return out;
}

/** The bytes of a byte-level token. A token with a character outside the alphabet (added tokens) is its own UTF-8. */
export function fromByteChars(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = CHAR_TO_BYTE.get(token[i]);
    if (byte === undefined) return utf8(token);
    bytes[i] = byte;
  }
  return bytes;
}
