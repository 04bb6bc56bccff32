import { pairTable, type Merge, type PairTable } from "./pair-table.js";
import type { Read } from "./read.js";

/** Ids and merges beyond these are no language model's; they bound what a file can make us allocate. */
export const MAX_TOKENS = 2 ** 21;
const MAX_MERGES = 2 ** 21;
const MAX_TOKEN_LENGTH = 2 ** 16;
/** Of tokens that are looked for at every place of a text. */
export const MAX_ADDED_LENGTH = 256;

/** `model.vocab` of a tokenizer.json: text -> id. */
export function readVocabulary(vocab: Read): Map<string, number> {
  const value = vocab.value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw vocab.error("expected an object of token: id");
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(value as Record<string, unknown>)) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= MAX_TOKENS) {
      throw vocab.error(`the id of ${JSON.stringify(token.slice(0, 60))} is not a whole number in [0, ${MAX_TOKENS})`);
    }
    checkToken(token, vocab);
    ids.set(token, id);
  }
  return ids;
}

export function checkToken(token: string, at: Read): void {
  if (token.length > MAX_TOKEN_LENGTH)
    throw at.error(`a token of ${token.length} characters; at most ${MAX_TOKEN_LENGTH} are read`);
}

/** Merges in order of rank, each "left right" or [left, right]; both parts and their union must be tokens. */
export function readMerges(merges: Read, ids: ReadonlyMap<string, number>): PairTable {
  const list = merges.value;
  if (!Array.isArray(list)) throw merges.error("expected a list of pairs");
  if (list.length > MAX_MERGES) throw merges.error(`${list.length} merges; at most ${MAX_MERGES} are read`);
  const idOf = (token: string, rank: number): number => {
    const id = ids.get(token);
    if (id === undefined) throw merges.get(`[${rank}]`).error(`${JSON.stringify(token.slice(0, 60))} is not in the vocabulary`);
    return id;
  };
  const table: Merge[] = [];
  for (let rank = 0; rank < list.length; rank++) {
    const [left, right] = pairOf(list[rank], merges, rank);
    table.push({ left: idOf(left, rank), right: idOf(right, rank), rank, merged: idOf(left + right, rank) });
  }
  return pairTable(table);
}

function pairOf(merge: unknown, merges: Read, rank: number): [string, string] {
  const parts: unknown[] = typeof merge === "string" ? merge.split(" ") : Array.isArray(merge) ? merge : [];
  const [left, right] = parts;
  if (parts.length !== 2 || typeof left !== "string" || typeof right !== "string") {
    throw merges.get(`[${rank}]`).error('expected "left right" or ["left", "right"]');
  }
  return [left, right];
}

/** Tokens by id. An id with two texts is refused: one of them could never be decoded. */
export function tokensById(
  ids: ReadonlyMap<string, number>,
  added: readonly { content: string; id: number }[],
  at: Read,
): string[] {
  let size = 0;
  for (const id of ids.values()) size = Math.max(size, id + 1);
  for (const token of added) size = Math.max(size, token.id + 1);
  const tokens = new Array<string>(size);
  const put = (token: string, id: number): void => {
    if (tokens[id] !== undefined && tokens[id] !== token) {
      throw at.error(`id ${id} is both ${JSON.stringify(tokens[id].slice(0, 60))} and ${JSON.stringify(token.slice(0, 60))}`);
    }
    tokens[id] = token;
  };
  for (const [token, id] of ids) put(token, id);
  for (const token of added) put(token.content, token.id);
  return tokens;
}
