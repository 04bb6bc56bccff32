/** Names that anyone chose (models, data sets, paths of the user's own files) as names of files and folders below a folder of ours. */
import { createHash } from "node:crypto";

/** File systems end names at 255 bytes; an ending of ours and those of temporary files come after this one. */
const LONGEST = 120;

/**
 * One part of a path, which leads nowhere else: characters but letters, digits, "_", "." and "-" become "_". Of a long name the end stays,
 * after a hash of the whole.
 */
export function fileName(text: string): string {
  const plain = plainName(text);
  return plain.length > LONGEST ? `${shortHash(text)}-${plain.slice(9 - LONGEST)}` : plain;
}

/** The same; texts that differ have names that differ: what is not its own name has a hash. */
export function uniqueFileName(text: string): string {
  const plain = plainName(text);
  return plain === text || plain.length > LONGEST ? fileName(text) : `${plain}-${shortHash(text)}`;
}

function plainName(text: string): string {
  const plain = text.replace(/[^\w.-]+/g, "_");
  // "..", and other names that are no names.
  return /^\.*$/.test(plain) ? `_${plain}` : plain;
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
