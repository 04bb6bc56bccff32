/** The reference ids of test/reference/tokenizers, and how a tokenizer is held against them. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Tokenizer } from "../../../src/model/tokenizer/index.js";

const FOLDER = new URL("../../reference/tokenizers/", import.meta.url);

export interface Reference {
  strings: string;
  count: number;
  /** Tokens of all texts, special tokens left as text. */
  tokens: number;
  plain: string;
  specials: string;
  text: string;
}

function readFixture(name: string): string {
  return readFileSync(new URL(name, FOLDER), "utf8");
}

export function referenceOf(name: string): Reference {
  return JSON.parse(readFixture(`${name}.reference.json`)) as Reference;
}

export function smallTokenizerJson(name: string): unknown {
  return JSON.parse(readFixture(`${name}.tokenizer.json`));
}

export const texts = JSON.parse(readFixture("strings.json")) as string[];
export const textsDigest = createHash("sha256").update(readFixture("strings.json")).digest("hex");

const short = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest().subarray(0, 4);
const bytesOf = (ids: Int32Array): Uint8Array => new Uint8Array(ids.slice().buffer);

/** Texts whose ids, or whose decoded text, differ from the reference. */
export function differences(
  tokenizer: Tokenizer,
  reference: Reference,
): { tokens: number; plain: string[]; specials: string[]; text: string[] } {
  const found = { tokens: 0, plain: [] as string[], specials: [] as string[], text: [] as string[] };
  const expected = {
    plain: decodeBase64(reference.plain),
    specials: decodeBase64(reference.specials),
    text: decodeBase64(reference.text),
  };
  texts.forEach((text, i) => {
    const ids = tokenizer.encode(text);
    found.tokens += ids.length;
    const made = {
      plain: bytesOf(ids),
      specials: bytesOf(tokenizer.encodeWithSpecials(text)),
      text: new TextEncoder().encode(tokenizer.decode(ids)),
    };
    for (const kind of ["plain", "specials", "text"] as const) {
      if (!short(made[kind]).equals(expected[kind].subarray(4 * i, 4 * i + 4))) found[kind].push(text);
    }
  });
  return found;
}

function decodeBase64(text: string): Buffer {
  return Buffer.from(text, "base64");
}
