import { bpeEncoder, type Encoder } from "./bpe.js";
import type { Decoding } from "./decode.js";
import { normalizerOf } from "./normalize.js";
import { reader, type Read } from "./read.js";
import { END_OF_TURN } from "./special-names.js";
import type { AddedToken, TokenizerSpec } from "./spec.js";
import { splittingOf } from "./split.js";
import { MAX_ADDED_LENGTH, MAX_TOKENS, readMerges, readVocabulary, tokensById } from "./vocabulary.js";
import { wordPieceEncoder } from "./wordpiece.js";

/** The parsed files of a model folder, as far as they concern its tokenizer. Only tokenizer.json must be there. */
export interface TokenizerFiles {
  /** Name of the folder or file, for messages. */
  file: string;
  tokenizer: unknown;
  /** tokenizer_config.json: names of bos, eos and pad; the chat template of older models. */
  config?: unknown;
  /** generation_config.json: every id that ends a text. */
  generation?: unknown;
  /** chat_template.jinja */
  template?: string;
}

/**
 * Reads a tokenizer in Hugging Face's format: BPE (byte-level or with byte fallback) and WordPiece. Kinds that are not read (Unigram,
 * other splitters) are refused by name.
 *
 * @throws TokenizerError naming file and field
 */
export function specFromJson(files: TokenizerFiles): TokenizerSpec {
  const root = reader(files.file, files.tokenizer);
  const config = reader(files.file, files.config ?? {}, "tokenizer_config");
  const model = root.get("model");
  const ids = readVocabulary(model.get("vocab"));
  const added = readAddedTokens(root.get("added_tokens"));
  addDeclaredSpecials(added, ids, config);
  const tokens = tokensById(ids, added, root.get("added_tokens"));
  const idOf = new Map([...ids, ...added.map((token) => [token.content, token.id] as const)]);
  const named = (key: string): number | null => idOf.get(tokenName(config.get(key)) ?? "") ?? null;

  const { split, byteLevel } = splittingOf(root.get("pre_tokenizer"), files.file);
  const bosId = named("bos_token");
  const { before, after } = aroundOf(root.get("post_processor"), tokens.length);
  if (before.length === 0 && bosId !== null && config.get("add_bos_token").value === true) before.push(bosId);
  return {
    file: files.file,
    tokens,
    added,
    normalize: normalizerOf(root.get("normalizer")),
    split,
    encodePiece: encoderOf(model, ids, idOf, byteLevel),
    decoding: decodingOf(root.get("decoder"), byteLevel),
    before,
    after,
    bosId,
    eosIds: endIds(reader(files.file, files.generation ?? {}, "generation_config"), named("eos_token"), added, tokens.length),
    padId: named("pad_token"),
    chatTemplate: files.template ?? templateOf(config.get("chat_template")),
  };
}

function encoderOf(
  model: Read,
  ids: ReadonlyMap<string, number>,
  idOf: ReadonlyMap<string, number>,
  byteLevel: boolean,
): Encoder {
  // Old files do not name their kind; only BPE has merges.
  const type = model.get("type").value ?? (model.get("merges").value === undefined ? "nothing" : "BPE");
  const unknown = model.get("unk_token").value;
  const unknownId = typeof unknown === "string" ? (idOf.get(unknown) ?? null) : null;
  if (type === "WordPiece") {
    if (unknownId === null) throw model.get("unk_token").error("the unknown token is not in the vocabulary");
    const limit = model.get("max_input_chars_per_word");
    const maxCharacters = limit.value === undefined ? 100 : limit.index(201);
    return wordPieceEncoder({ ids, unknownId, prefix: model.get("continuing_subword_prefix").string("##"), maxCharacters });
  }
  if (type !== "BPE") throw model.get("type").error(`${JSON.stringify(type)} is not supported; BPE and WordPiece are`);
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    const affix = model.get(key);
    if (affix.value !== undefined && affix.value !== null && affix.value !== "")
      throw affix.error("BPE with affixes is not supported");
  }
  return bpeEncoder({
    ids,
    merges: readMerges(model.get("merges"), ids),
    byteLevel,
    byteFallback: model.get("byte_fallback").boolean(false),
    unknownId,
    fuseUnknown: model.get("fuse_unk").boolean(false),
    ignoreMerges: model.get("ignore_merges").boolean(false),
  });
}

function readAddedTokens(list: Read): AddedToken[] {
  if (list.value === undefined || list.value === null) return [];
  return list.items(MAX_TOKENS).map((item) => {
    const content = item.get("content").string();
    if (content.length > MAX_ADDED_LENGTH)
      throw item.error(`an added token of ${content.length} characters; at most ${MAX_ADDED_LENGTH} are looked for`);
    const special = item.get("special").boolean(false);
    return {
      id: item.get("id").index(MAX_TOKENS),
      content,
      special,
      normalized: item.get("normalized").boolean(!special),
      lstrip: item.get("lstrip").boolean(false),
      rstrip: item.get("rstrip").boolean(false),
      singleWord: item.get("single_word").boolean(false),
    };
  });
}

const NAMED = ["bos_token", "eos_token", "pad_token", "unk_token"];

/** tokenizer_config may name control tokens that tokenizer.json lists as plain words; transformers then treats them as special. */
function addDeclaredSpecials(added: AddedToken[], ids: ReadonlyMap<string, number>, config: Read): void {
  const more = config.get("additional_special_tokens");
  const names = [...NAMED.map((key) => config.get(key)), ...(Array.isArray(more.value) ? more.items(MAX_TOKENS) : [])].map(
    tokenName,
  );
  for (const name of names) {
    if (name === null || name === "") continue;
    const known = added.find((token) => token.content === name);
    const id = ids.get(name);
    if (known !== undefined) known.special = true;
    else if (id !== undefined) {
      added.push({ id, content: name, special: true, normalized: false, lstrip: false, rstrip: false, singleWord: false });
    }
  }
}

/** "…" or { content: "…" }. */
function tokenName(at: Read): string | null {
  const value = typeof at.value === "object" ? at.get("content").value : at.value;
  return typeof value === "string" ? value : null;
}

function endIds(generation: Read, eosId: number | null, added: readonly AddedToken[], vocabSize: number): number[] {
  const listed = generation.get("eos_token_id");
  // The tokenizer's own comes first: it is what templates call eos_token.
  const ids = new Set<number>(eosId === null ? [] : [eosId]);
  if (Array.isArray(listed.value)) for (const item of listed.items(64)) ids.add(item.index(vocabSize));
  else if (listed.value !== undefined && listed.value !== null) ids.add(listed.index(vocabSize));
  for (const token of added) if (token.special && END_OF_TURN.has(token.content)) ids.add(token.id);
  return [...ids];
}

/** Ids that the post-processor puts before and after a single text. */
function aroundOf(processor: Read, vocabSize: number): { before: number[]; after: number[] } {
  const around: { before: number[]; after: number[] } = { before: [], after: [] };
  if (processor.value === null || processor.value === undefined) return around;
  const type = processor.get("type").string();
  if (type === "Sequence") {
    for (const item of processor.get("processors").items(8)) {
      if (item.get("type").value === "Sequence") throw item.error("sequences in sequences are not read");
      const inner = aroundOf(item, vocabSize);
      around.before.unshift(...inner.before);
      around.after.push(...inner.after);
    }
  } else if (type === "TemplateProcessing") {
    let side = around.before;
    for (const item of processor.get("single").items(64)) {
      if (item.get("Sequence").value !== undefined) {
        side = around.after;
        continue;
      }
      const name = item.get("SpecialToken").get("id").string();
      for (const id of processor.get("special_tokens").get(name).get("ids").items(64)) side.push(id.index(vocabSize));
    }
  } else if (type === "BertProcessing" || type === "RobertaProcessing") {
    around.before.push(processor.get("cls").item(1).index(vocabSize));
    around.after.push(processor.get("sep").item(1).index(vocabSize));
  } else if (type !== "ByteLevel") {
    throw processor.error(`the post-processor ${JSON.stringify(type)} is not supported`);
  }
  return around;
}

function decodingOf(decoder: Read, byteLevel: boolean): Decoding {
  if (decoder.value === null || decoder.value === undefined) {
    return byteLevel
      ? { kind: "bytes" }
      : { kind: "pieces", space: "▁", byteFallback: false, stripStart: 0, dropFirstMarks: false };
  }
  const type = decoder.get("type").string();
  if (type === "ByteLevel") return { kind: "bytes" };
  if (type === "WordPiece") {
    return { kind: "words", prefix: decoder.get("prefix").string("##"), cleanup: decoder.get("cleanup").boolean(true) };
  }
  if (type === "Metaspace") {
    const dropFirstMarks = decoder.get("prepend_scheme").string("always") !== "never";
    return { kind: "pieces", space: decoder.get("replacement").string("▁"), byteFallback: false, stripStart: 0, dropFirstMarks };
  }
  if (type === "Sequence") return decodingOfSequence(decoder);
  throw decoder.error(`the decoder ${JSON.stringify(type)} is not supported`);
}

/** SentencePiece's: the mark to a space, bytes to text, all in one, the first space off. */
function decodingOfSequence(decoder: Read): Decoding {
  const parts = decoder.get("decoders").items(8);
  if (parts.length === 1 && parts[0].get("type").value !== "Sequence") return decodingOf(parts[0], false);
  let space = "▁";
  let byteFallback = false;
  let stripStart = 0;
  for (const part of parts) {
    const type = part.get("type").string();
    if (type === "Replace" && part.get("content").value === " ") space = part.get("pattern").get("String").string();
    else if (type === "ByteFallback") byteFallback = true;
    else if (type === "Strip" && part.get("content").value === " " && part.get("stop").value === 0)
      stripStart = part.get("start").index(64);
    else if (type !== "Fuse") throw part.error(`${JSON.stringify(type)} is not supported in this decoder`);
  }
  if (space === "") throw decoder.error("an empty mark for the space");
  return { kind: "pieces", space, byteFallback, stripStart, dropFirstMarks: false };
}

/** A template, or a list of named ones of which `default` counts. */
function templateOf(at: Read): string | null {
  if (typeof at.value === "string") return at.value;
  if (!Array.isArray(at.value)) return null;
  const chosen = at.items(32).find((item) => item.get("name").value === "default");
  return chosen === undefined ? null : chosen.get("template").string();
}
