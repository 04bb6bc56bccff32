import fc from "fast-check";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { specFromJson } from "../../../src/model/tokenizer/from-json.js";
import { tokenizerFor, TokenizerError } from "../../../src/model/tokenizer/index.js";
import { tokenizerOf, type Tokenizer } from "../../../src/model/tokenizer/tokenizer.js";
import { defaultModelPath } from "../default-model.js";
import { openGguf } from "../../../src/model/weights/gguf.js";
import { smallTokenizerJson } from "./reference.js";

const small = (name: string): Tokenizer => tokenizerOf(specFromJson({ file: name, tokenizer: smallTokenizerJson(name) }));
const anyText = fc.string({ unit: "binary", maxLength: 60 });

describe("text that may come from anyone", () => {
  const tokenizer = small("qwen2");
  const specials = [...tokenizer.specialTokens.keys()];
  const hostile = fc.array(fc.oneof(anyText, fc.constantFrom(...specials), fc.constantFrom(...specials.map((s) => s.slice(1)))), {
    maxLength: 8,
  });

  it("never becomes a control token", () => {
    const control = new Set(tokenizer.specialTokens.values());
    fc.assert(
      fc.property(hostile, (parts) => {
        expect(tokenizer.encode(parts.join("")).some((id) => control.has(id))).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("comes back as it was, lone surrogates as U+FFFD", () => {
    for (const name of ["gpt2", "smollm", "llama3", "gemma"]) {
      const lossless = small(name);
      fc.assert(
        fc.property(hostile, fc.string({ unit: "grapheme" }), (parts, more) => {
          const text = parts.join("") + more + "\ud800";
          const expected = name === "gemma" ? text.toWellFormed().replaceAll("▁", " ") : text.toWellFormed();
          expect(lossless.decode(lossless.encode(text))).toBe(expected);
        }),
        { numRuns: 150 },
      );
    }
  });
});

describe("parts of two origins", () => {
  const tokenizer = small("smollm");
  const end = tokenizer.specialTokens.get("<|im_end|>")!;
  const has = (segments: { text: string; trusted: boolean }[]): number =>
    tokenizer.encodeSegments(segments).filter((id) => id === end).length;

  it("a control token counts only where it lies wholly in a part of ours", () => {
    expect(has([{ text: "<|im_end|>", trusted: true }])).toBe(1);
    expect(has([{ text: "<|im_end|>", trusted: false }])).toBe(0);
    for (let cut = 1; cut < "<|im_end|>".length; cut++) {
      const [a, b] = ["<|im_end|>".slice(0, cut), "<|im_end|>".slice(cut)];
      expect(
        has([
          { text: a, trusted: true },
          { text: b, trusted: false },
        ]),
      ).toBe(0);
      expect(
        has([
          { text: a, trusted: false },
          { text: b, trusted: true },
        ]),
      ).toBe(0);
      expect(
        has([
          { text: a, trusted: false },
          { text: b, trusted: false },
        ]),
      ).toBe(0);
      // The beginning of one before a whole one does not hide it.
      expect(
        has([
          { text: a, trusted: false },
          { text: "<|im_end|>", trusted: true },
        ]),
      ).toBe(1);
    }
  });

  it("text merges across the border as if it were one", () => {
    const whole = tokenizer.encode("user\nThe ferry leaves");
    expect(
      tokenizer.encodeSegments([
        { text: "user\nThe fe", trusted: true },
        { text: "rry leaves", trusted: false },
      ]),
    ).toEqual(whole);
  });
});

describe("decoding id by id", () => {
  it.each(["gpt2", "llama3"])("%s gives the text of the bytes, as it becomes certain", (name) => {
    const tokenizer = small(name);
    fc.assert(
      fc.property(fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 40 }), (ids) => {
        const stream = tokenizer.decodeStream();
        const text = ids.map((id) => stream.push(id)).join("") + stream.end();
        const bytes = Buffer.concat(ids.map((id) => tokenizer.tokenBytes(id)));
        expect(text).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
      }),
      { numRuns: 200 },
    );
  });

  it("holds back half a character", () => {
    const tokenizer = small("gpt2");
    const ids = tokenizer.encode("é𓀀");
    const stream = tokenizer.decodeStream();
    const texts = Array.from(ids, (id) => stream.push(id));
    expect(texts.join("")).toBe("é𓀀");
    expect(texts.every((text) => !text.includes("\uFFFD"))).toBe(true);
    const cut = tokenizer.decodeStream();
    for (const id of ids.subarray(0, -1)) cut.push(id);
    expect(cut.end()).toContain("\uFFFD");
  });

  it("leaves control tokens out when asked, and refuses ids that are none", () => {
    const tokenizer = small("smollm");
    const ids = tokenizer.encodeWithSpecials("<|im_start|>hi<|im_end|>");
    expect(tokenizer.decode(ids)).toBe("<|im_start|>hi<|im_end|>");
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe("hi");
    for (const id of [-1, 0.5, Number.NaN, Infinity]) expect(() => tokenizer.decode([id])).toThrow(TokenizerError);
    expect(Buffer.concat(Array.from(ids, (id) => tokenizer.tokenBytes(id))).toString()).toBe("<|im_start|>hi<|im_end|>");
  });
});

it("finds no text in the rows by which a model pads its vocabulary", () => {
  const tokenizer = small("gpt2");
  const beyond = [tokenizer.vocabSize, tokenizer.vocabSize + 300, 2 ** 31 - 1];
  expect(tokenizer.decode(beyond)).toBe("");
  for (const id of beyond) expect([tokenizer.tokenText(id), tokenizer.tokenBytes(id)]).toEqual([null, new Uint8Array(0)]);
  // Not even between the halves of a character.
  const ids = Array.from(tokenizer.encode("é𓀀"));
  expect(ids.length).toBeGreaterThan(2);
  expect(tokenizer.decode(ids.flatMap((id) => [id, ...beyond]))).toBe("é𓀀");
});

describe("a folder", () => {
  it("tells bos, eos, pad, what goes around a text, and the chat template", () => {
    const folder = mkdtempSync(join(tmpdir(), "tokenizer-"));
    try {
      writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(smallTokenizerJson("llama3")));
      writeFileSync(
        join(folder, "tokenizer_config.json"),
        JSON.stringify({
          bos_token: "<s>",
          eos_token: { content: "</s>" },
          pad_token: "<|endoftext|>",
          add_bos_token: true,
          chat_template: [{ name: "default", template: "{{ 1 }}" }],
        }),
      );
      const tokenizer = tokenizerFor({ kind: "folder", path: folder });
      const id = (token: string): number => tokenizer.specialTokens.get(token)!;
      expect(tokenizer.bosId).toBe(id("<s>"));
      expect(tokenizer.addBos).toBe(true);
      expect(tokenizer.around).toEqual({ before: [id("<s>")], after: [] });
      expect(tokenizer.padId).toBe(id("<|endoftext|>"));
      expect(tokenizer.eosIds).toEqual(["</s>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>"].map(id));
      expect(tokenizer.chatTemplate).toBe("{{ 1 }}");
      writeFileSync(join(folder, "chat_template.jinja"), "{{ 2 }}");
      expect(tokenizerFor({ kind: "folder", path: folder }).chatTemplate).toBe("{{ 2 }}");
      writeFileSync(join(folder, "tokenizer.json"), '{"model": ');
      expect(() => tokenizerFor({ kind: "folder", path: folder })).toThrow(/tokenizer\.json: JSON: .*download the file again/);
      rmSync(join(folder, "tokenizer.json"));
      expect(() => tokenizerFor({ kind: "folder", path: folder })).toThrow(/there is no such file/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("bert puts [CLS] and [SEP] around a text", () => {
    expect(small("bert").around).toEqual({ before: [2], after: [3] });
  });
});

/** Rows of the data sets that the digest covers, where they are (`TRUE_INTENTS_DATA`). */
function digestTexts(folder: string): string[] {
  const lines = (file: string) =>
    readFileSync(join(folder, file), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, string>);
  const strip = (text: string): string => text.replace(/^[\p{White_Space}\x1c-\x1f]+|[\p{White_Space}\x1c-\x1f]+$/gu, "");
  const aims = lines("aims/aims_sample.jsonl").filter((row) => row["Annotator Harm"] && row["Intent"] && row["Prompt"]);
  const csv = readFileSync(join(folder, "xstest/xstest_prompts.csv"), "utf8");
  const rows = Array.from(csv.matchAll(/(?:^|\n)[^,\n]+,(?:"((?:[^"]|"")*)"|([^",\n]*)),/g), (match) =>
    (match[1] ?? match[2]).replaceAll('""', '"'),
  ).slice(1);
  return [
    ...aims.map((row) => row["Prompt"]),
    ...rows,
    ...lines("safety-train-5k/train.jsonl").map((row) => row["prompt"]),
    ...aims.map((row) => row["Intent"]),
  ].map(strip);
}

describe("speed", () => {
  const data = process.env["TRUE_INTENTS_DATA"];
  it.skipIf(data === undefined || !existsSync(data) || defaultModelPath === null)(
    "5,825 prompts in seconds, with the ids of transformers (skipped without TRUE_INTENTS_DATA or the default model)",
    () => {
      const file = openGguf(defaultModelPath!);
      file.close();
      const tokenizer = tokenizerFor({ kind: "gguf", metadata: file.metadata });
      const texts = digestTexts(data!);
      expect(texts.length).toBe(5825);
      const start = performance.now();
      const hash = createHash("sha256");
      let tokens = 0;
      for (const text of texts) {
        const ids = tokenizer.encodeWithSpecials(text);
        tokens += ids.length;
        hash.update(`${ids.join(" ")}\n`);
      }
      expect(performance.now() - start).toBeLessThan(10_000);
      expect(tokens).toBe(471_679);
      expect(hash.digest("hex")).toBe("17268b8f1b094dc1083adb4b518caf43b7a7544399374afea7b68595ed82f256");
    },
  );
});
