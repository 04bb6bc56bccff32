import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { resolveModel } from "../../../src/model/catalogue/resolve.js";
import { specFromJson } from "../../../src/model/tokenizer/from-json.js";
import { tokenizerFor, type Tokenizer } from "../../../src/model/tokenizer/index.js";
import { tokenizerOf } from "../../../src/model/tokenizer/tokenizer.js";
import { openGguf } from "../../../src/model/weights/gguf.js";
import { ggufMetadataOf } from "./gguf-metadata.js";
import { differences, referenceOf, smallTokenizerJson, texts, textsDigest } from "./reference.js";

const SMALL = ["gpt2", "smollm", "llama3", "qwen2", "roberta", "own-pattern", "gemma", "llama2", "metaspace", "unfused", "bert"];

function expectAgreement(tokenizer: Tokenizer, name: string): void {
  const reference = referenceOf(name);
  expect(reference.strings).toBe(textsDigest);
  expect(reference.count).toBe(texts.length);
  expect(texts.length).toBeGreaterThanOrEqual(2000);
  expect(differences(tokenizer, reference)).toEqual({ tokens: reference.tokens, plain: [], specials: [], text: [] });
}

describe("small tokenizers agree with Hugging Face's on every text", () => {
  it.each(SMALL)("%s from tokenizer.json", (name) => {
    expectAgreement(tokenizerOf(specFromJson({ file: name, tokenizer: smallTokenizerJson(name) })), name);
  });

  it.each([
    ["gpt2", { model: "gpt2", pre: "gpt-2" }],
    ["smollm", { model: "gpt2", pre: "smollm" }],
    ["llama3", { model: "gpt2", pre: "llama-bpe" }],
    ["qwen2", { model: "gpt2", pre: "qwen2" }],
    ["gemma", { model: "llama", prefix: false }],
    ["llama2", { model: "llama", prefix: true }],
  ] as const)("%s from GGUF metadata", (name, kind) => {
    expectAgreement(tokenizerFor({ kind: "gguf", metadata: ggufMetadataOf(smallTokenizerJson(name), kind) }), name);
  });
});

/** A downloaded model, or null. */
async function modelPath(name: string): Promise<string | null> {
  return resolveModel(name, { download: false }).then(
    (model) => model.path,
    () => null,
  );
}

/** The folder of a published tokenizer.json, or null. */
async function folderOf(name: string): Promise<string | null> {
  const own = process.env["TRUE_INTENTS_TOKENIZERS"];
  const model = await modelPath(name);
  const folders = [own === undefined ? null : join(own, name), model, model === null ? null : dirname(model)];
  return folders.find((folder) => folder !== null && existsSync(join(folder, "tokenizer.json"))) ?? null;
}

function open(path: string): Tokenizer {
  if (!path.endsWith(".gguf")) return tokenizerFor({ kind: "folder", path });
  const file = openGguf(path);
  file.close();
  return tokenizerFor({ kind: "gguf", metadata: file.metadata, file: path });
}

describe("published tokenizers agree with Hugging Face's on every text", async () => {
  for (const name of ["all-minilm-l6-v2", "gemma-3", "llama-2", "llama-3.1", "qwen2.5", "qwen3", "smollm2"]) {
    const folder = await folderOf(name);
    it.skipIf(folder === null)(
      `${name} (skipped where neither a model nor TRUE_INTENTS_TOKENIZERS has its tokenizer.json)`,
      () => {
        expectAgreement(open(folder!), name);
      },
    );
  }

  const smollm2 = await modelPath("smollm2-135m-instruct");
  it.skipIf(smollm2 === null)("SmolLM2's GGUF (skipped where the default model is not downloaded)", () => {
    const tokenizer = open(smollm2!);
    expectAgreement(tokenizer, "smollm2");
    expect([tokenizer.bosId, tokenizer.eosIds, tokenizer.padId, tokenizer.addBos]).toEqual([1, [2], 2, false]);
    const cases = new URL("../../reference/tokenizers/smollm2.cases.json", import.meta.url);
    for (const { text, ids } of (JSON.parse(readFileSync(cases, "utf8")) as { cases: { text: string; ids: number[] }[] }).cases) {
      expect(Array.from(tokenizer.encodeWithSpecials(text)), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  // These files call some words control tokens that tokenizer.json lists as plain ones; text that spells them stays text.
  const qwen = await modelPath("qwen2.5-coder-0.5b-instruct");
  it.skipIf(qwen === null)(
    "Qwen 2.5's GGUF, but for its fill-in-the-middle marks (skipped where the model is not downloaded)",
    () => {
      const found = differences(open(qwen!), referenceOf("qwen2.5"));
      expect([found.specials, found.text]).toEqual([[], []]);
      expect(found.plain.filter((text) => !/<\|(fim_|repo_name|file_sep)/.test(text))).toEqual([]);
    },
  );

  const gemma = await modelPath("gemma-3-270m");
  it.skipIf(gemma === null)("Gemma 3's GGUF, but for its unused tokens (skipped where the model is not downloaded)", () => {
    const found = differences(open(gemma!), referenceOf("gemma-3"));
    expect([found.specials, found.text]).toEqual([[], []]);
    expect(found.plain.filter((text) => !/<unused\d|<mask>/.test(text))).toEqual([]);
  });
});
