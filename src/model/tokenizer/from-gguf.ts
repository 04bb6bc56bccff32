import { bpeEncoder } from "./bpe.js";
import { normalizerOf } from "./normalize.js";
import { pairTable, type Merge, type PairTable } from "./pair-table.js";
import { preTokenizerOf } from "./gguf-pre-tokenizers.js";
import { reader, type Read } from "./read.js";
import { END_OF_TURN } from "./special-names.js";
import type { AddedToken, TokenizerSpec } from "./spec.js";
import { splittingOf } from "./split.js";
import { checkToken, MAX_ADDED_LENGTH, MAX_TOKENS, readMerges } from "./vocabulary.js";

/** `tokenizer.ggml.token_type`, as llama.cpp numbers them. */
const TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/**
 * Reads the tokenizer in a GGUF file: `gpt2` (byte-level BPE, split as `tokenizer.ggml.pre` says) and `llama` (SentencePiece BPE with
 * byte fallback: Llama 2, Gemma). Other kinds and unknown splits are refused by name.
 *
 * @param metadata keys as they stand in the file (`tokenizer.ggml.tokens`), of any content; lists may be arrays or typed arrays
 * @param file name for messages
 * @throws TokenizerError naming the metadata key
 */
export function specFromGguf(metadata: ReadonlyMap<string, unknown>, file: string): TokenizerSpec {
  const key = (name: string): Read => reader(file, plainList(metadata.get(name)), name);
  const model = key("tokenizer.ggml.model").string();
  const listed = readTokens(key("tokenizer.ggml.tokens"));
  const types = readTypes(key("tokenizer.ggml.token_type"), listed.length);
  const tokens =
    model === "llama" ? listed.map((token, i) => (types[i] === TYPE.userDefined ? withMarks(token) : token)) : listed;
  const added = addedTokens(tokens, types);
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (types[id] !== TYPE.control && !ids.has(token)) ids.set(token, id);
  });
  const id = (name: string): number | null => {
    const at = key(`tokenizer.ggml.${name}_token_id`);
    return at.value === undefined ? null : at.index(tokens.length);
  };
  const bosId = id("bos");
  const eosId = id("eos");
  const common = {
    file,
    tokens,
    added,
    bosId,
    eosIds: endIds([eosId, id("eot"), id("eom")], added),
    padId: id("padding"),
    chatTemplate: key("tokenizer.chat_template").value === undefined ? null : key("tokenizer.chat_template").string(),
  };
  const around = (bosByDefault: boolean) => ({
    before: bosId !== null && key("tokenizer.ggml.add_bos_token").boolean(bosByDefault) ? [bosId] : [],
    after: eosId !== null && key("tokenizer.ggml.add_eos_token").boolean(false) ? [eosId] : [],
  });

  if (model === "gpt2") {
    const pre = preTokenizerOf(key("tokenizer.ggml.pre"));
    const { split } = splittingOf(reader(file, pre.preTokenizer, "tokenizer.ggml.pre"), file);
    return {
      ...common,
      ...around(pre.addBos),
      normalize: normalizerOf(reader(file, pre.normalizer, "tokenizer.ggml.pre")),
      split,
      encodePiece: bpeEncoder({
        ids,
        merges: readMerges(key("tokenizer.ggml.merges"), ids),
        byteLevel: true,
        byteFallback: false,
        unknownId: null,
        fuseUnknown: false,
        ignoreMerges: pre.ignoreMerges,
      }),
      decoding: { kind: "bytes" },
    };
  }
  if (model === "llama") {
    const prefix = key("tokenizer.ggml.add_space_prefix").boolean(true);
    const spaces = (text: string): string => text.replaceAll(" ", "▁");
    return {
      ...common,
      ...around(true),
      normalize: prefix ? (text) => (text === "" ? text : spaces(`▁${text}`)) : spaces,
      split: (text) => (text === "" ? [] : [text]),
      encodePiece: bpeEncoder({
        ids,
        merges: mergesOfScores(tokens, types, readScores(key("tokenizer.ggml.scores"), tokens.length), ids),
        byteLevel: false,
        byteFallback: true,
        unknownId: id("unknown") ?? tokens.findIndex((_, i) => types[i] === TYPE.unknown),
        fuseUnknown: true,
        ignoreMerges: false,
      }),
      decoding: { kind: "pieces", space: "▁", byteFallback: true, stripStart: prefix ? 1 : 0, dropFirstMarks: false },
    };
  }
  throw key("tokenizer.ggml.model").error(
    `the tokenizer kind ${JSON.stringify(model.slice(0, 60))} is not supported (gpt2 and llama are); use the model's folder with its tokenizer.json`,
  );
}

function plainList(value: unknown): unknown {
  return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<unknown>) : value;
}

function readTokens(list: Read): string[] {
  const value = list.value;
  if (!Array.isArray(value) || value.length === 0) throw list.error("expected a list of tokens");
  if (value.length > MAX_TOKENS) throw list.error(`${value.length} tokens; at most ${MAX_TOKENS} are read`);
  return value.map((token: unknown, i) => {
    if (typeof token !== "string") throw list.get(`[${i}]`).error("expected a string");
    checkToken(token, list);
    return token;
  });
}

function readTypes(list: Read, count: number): number[] {
  if (list.value === undefined) return new Array<number>(count).fill(TYPE.normal);
  const value = list.value;
  if (!Array.isArray(value) || value.length !== count) throw list.error(`expected a list of ${count}, one type a token`);
  return value.map((type: unknown, i) => {
    if (typeof type !== "number" || !Number.isInteger(type) || type < 0 || type > 6)
      throw list.get(`[${i}]`).error("expected a type from 0 to 6");
    return type;
  });
}

function readScores(list: Read, count: number): number[] {
  const value = list.value;
  if (!Array.isArray(value) || value.length !== count) throw list.error(`expected a list of ${count}, one score a token`);
  return value.map((score: unknown, i) => {
    if (typeof score !== "number" || !Number.isFinite(score)) throw list.get(`[${i}]`).error("expected a finite number");
    return score;
  });
}

function addedTokens(tokens: readonly string[], types: readonly number[]): AddedToken[] {
  const added: AddedToken[] = [];
  tokens.forEach((content, id) => {
    const special = types[id] === TYPE.control || types[id] === TYPE.unknown;
    if ((!special && types[id] !== TYPE.userDefined) || content.length > MAX_ADDED_LENGTH) return;
    added.push({ id, content, special, normalized: false, lstrip: false, rstrip: false, singleWord: false });
  });
  return added;
}

function endIds(declared: readonly (number | null)[], added: readonly AddedToken[]): number[] {
  const ids = new Set(declared.filter((id) => id !== null));
  for (const token of added) if (token.special && END_OF_TURN.has(token.content)) ids.add(token.id);
  return [...ids];
}

/** Converters write Gemma's runs of marks as runs of spaces, which is what llama.cpp looks for in the text. */
function withMarks(token: string): string {
  return /^ +$/.test(token) ? token.replaceAll(" ", "▁") : token;
}

/** A longer token has no part in a SentencePiece vocabulary, and its splits would take time with its square. */
const MAX_MERGED_LENGTH = 256;

/**
 * SentencePiece merges the two neighbours whose union scores best; the same as merges ranked by the score of what they make. Words that
 * the vocabulary lists apart (runs of marks) come first, the longest before the rest, as in Hugging Face's conversion.
 */
function mergesOfScores(
  tokens: readonly string[],
  types: readonly number[],
  scores: readonly number[],
  ids: ReadonlyMap<string, number>,
): PairTable {
  const mergeable = (type: number): boolean => type === TYPE.normal || type === TYPE.userDefined;
  const apart = tokens.map((token, id) => (types[id] === TYPE.userDefined ? token.length : 0));
  const order = (a: number, b: number): number => apart[b] - apart[a] || scores[b] - scores[a];
  const made = tokens.flatMap((token, id) => (mergeable(types[id]) && token.length <= MAX_MERGED_LENGTH ? [id] : []));
  made.sort(order);
  const merges: Merge[] = [];
  let rank = -1;
  made.forEach((merged, i) => {
    if (i === 0 || order(made[i - 1], merged) !== 0) rank++;
    const token = tokens[merged];
    for (let cut = 1; cut < token.length; cut++) {
      const left = ids.get(token.slice(0, cut));
      if (left === undefined) continue;
      const right = ids.get(token.slice(cut));
      if (right !== undefined) merges.push({ left, right, rank, merged });
    }
  });
  return pairTable(merges);
}
