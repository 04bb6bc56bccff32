import { describe, expect, it } from "vitest";
import { specFromGguf } from "../../../src/model/tokenizer/from-gguf.js";
import { specFromJson } from "../../../src/model/tokenizer/from-json.js";
import { TokenizerError } from "../../../src/model/tokenizer/index.js";
import { tokenizerOf, type Tokenizer } from "../../../src/model/tokenizer/tokenizer.js";
import { createRandom, type Random } from "../../../src/random.js";
import { ggufMetadataOf } from "./gguf-metadata.js";
import { smallTokenizerJson } from "./reference.js";

const SAMPLE = "Hello  wörld <|im_end|> 日本 123\n\n\u0000 the end▁of it 😀";

/** A value that a file may hold where another belongs. */
function strangeValue(random: Random): unknown {
  const values: unknown[] = [
    null,
    true,
    -1,
    0,
    3.5,
    2 ** 31,
    2 ** 53,
    1e308,
    "",
    "__proto__",
    "constructor",
    "\ud800",
    "a".repeat(70_000),
    [],
    {},
    [[]],
    [null],
    { type: "Sequence" },
    { __proto__x: 1 },
    [["a", "b", "c"]],
    "a b c",
    { Regex: "(" },
    { Regex: "[" },
    { Regex: "(a+)+$" },
    { Regex: "\\p{Nope}" },
    { String: "" },
    { type: "Unigram" },
    JSON.parse('{"__proto__": {"polluted": 1}}') as unknown,
    Array.from({ length: 40 }, () => ({ type: "NFC" })),
    nested(40),
  ];
  return values[random.integer(values.length)];
}

function nested(depth: number): unknown {
  if (depth === 0) return { type: "NFC" };
  const inner = [nested(depth - 1)];
  return { type: "Sequence", normalizers: inner, pretokenizers: inner, decoders: inner, processors: inner };
}

/** Puts a strange value at a random place of a JSON value (in place). */
function mutate(root: Record<string, unknown>, random: Random): void {
  let at: Record<string, unknown> = root;
  for (;;) {
    const keys = Object.keys(at);
    const key = keys[random.integer(Math.min(keys.length, 40))];
    const inner = at[key];
    if (typeof inner === "object" && inner !== null && Object.keys(inner).length > 0 && random.uniform() < 0.8) {
      at = inner as Record<string, unknown>;
      continue;
    }
    const kind = random.integer(3);
    if (kind === 0) Reflect.deleteProperty(at, key);
    else if (kind === 1) at[key] = strangeValue(random);
    else at[String(random.integer(5)) + key] = strangeValue(random);
    return;
  }
}

/** Builds and uses a tokenizer; anything but a TokenizerError is a failure. Returns whether it was usable. */
function survives(build: () => Tokenizer): boolean {
  try {
    const tokenizer = build();
    for (const ids of [tokenizer.encode(SAMPLE), tokenizer.encodeWithSpecials(SAMPLE)]) {
      for (const id of ids) if (!(id >= 0 && id < tokenizer.vocabSize)) throw new Error(`id ${id} of ${tokenizer.vocabSize}`);
      tokenizer.decode(ids);
    }
    return true;
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    expect(error.message.length).toBeLessThan(2000);
    return false;
  }
}

describe("a tokenizer.json that was tampered with is refused by name or works", () => {
  it.each(["gpt2", "llama3", "gemma", "llama2", "metaspace", "bert"])("%s, 120 changes of structure", (name) => {
    const text = JSON.stringify(smallTokenizerJson(name));
    let usable = 0;
    for (let seed = 0; seed < 120; seed++) {
      const random = createRandom(seed, "structure", name);
      const tokenizer = JSON.parse(text) as Record<string, unknown>;
      for (let i = random.integer(3); i >= 0; i--) mutate(tokenizer, random);
      if (
        survives(() =>
          tokenizerOf(specFromJson({ file: "hostile", tokenizer, config: seed % 2 === 0 ? strangeValue(random) : {} })),
        )
      )
        usable++;
    }
    expect(usable).toBeGreaterThan(0);
    expect(usable).toBeLessThan(120);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it.each(["smollm", "bert"])("%s, 100 changes of characters", (name) => {
    const text = JSON.stringify(smallTokenizerJson(name));
    let parsed = 0;
    for (let seed = 0; seed < 100; seed++) {
      const random = createRandom(seed, "characters", name);
      const chars = text.split("");
      for (let i = random.integer(3); i >= 0; i--)
        chars[random.integer(chars.length)] = "0123456789abcxyzĠ\\"[random.integer(18)];
      const broken = random.uniform() < 0.2 ? text.slice(0, random.integer(text.length)) : chars.join("");
      let tokenizer: unknown;
      try {
        tokenizer = JSON.parse(broken);
      } catch {
        continue;
      }
      parsed++;
      survives(() => tokenizerOf(specFromJson({ file: "hostile", tokenizer })));
    }
    expect(parsed).toBeGreaterThan(10);
  });
});

describe("GGUF metadata that was tampered with is refused by name or works", () => {
  it.each([
    ["qwen2", { model: "gpt2", pre: "qwen2" }],
    ["llama2", { model: "llama", prefix: true }],
  ] as const)("%s, 250 changes", (name, kind) => {
    const whole = ggufMetadataOf(smallTokenizerJson(name), kind);
    let usable = 0;
    for (let seed = 0; seed < 250; seed++) {
      const random = createRandom(seed, "gguf", name);
      const metadata = new Map(whole);
      const keys = [...metadata.keys()];
      const key = keys[random.integer(keys.length)];
      const value = metadata.get(key);
      const choice = random.integer(4);
      if (choice === 0) metadata.delete(key);
      else if (choice === 1 || typeof value !== "object") metadata.set(key, strangeValue(random));
      else {
        const list = Array.from(value as ArrayLike<unknown>);
        if (choice === 2) list.length = random.integer(list.length + 1);
        else
          for (let i = 0; i < 5; i++)
            list[random.integer(list.length)] = random.uniform() < 0.5 ? strangeValue(random) : list[random.integer(list.length)];
        metadata.set(key, list);
      }
      if (survives(() => tokenizerOf(specFromGguf(metadata, "hostile.gguf")))) usable++;
    }
    expect(usable).toBeGreaterThan(0);
    expect(usable).toBeLessThan(250);
  });

  it("kinds and splits that are not known are refused by name", () => {
    const metadata = ggufMetadataOf(smallTokenizerJson("gpt2"), { model: "gpt2", pre: "gpt-2" });
    expect(() => specFromGguf(new Map([...metadata, ["tokenizer.ggml.pre", "martian"]]), "x.gguf")).toThrow(
      /x\.gguf: tokenizer\.ggml\.pre: the split "martian" is not known/,
    );
    expect(() => specFromGguf(new Map([...metadata, ["tokenizer.ggml.model", "rwkv"]]), "x.gguf")).toThrow(
      /the tokenizer kind "rwkv" is not supported/,
    );
    expect(() => specFromGguf(new Map(), "x.gguf")).toThrow(TokenizerError);
  });
});

describe("no file and no text takes for ever", () => {
  const MEGABYTE = 2 ** 20;
  const LENGTH = 150_000;
  const texts = {
    spaces: " ",
    "line ends": "\n",
    "mixed white space": " \n\t\r",
    digits: "7",
    marks: "!?",
    "beginnings of a control token": "<|im_",
    "control tokens": "<|im_end|>",
    emoji: "👩‍👧",
    apostrophes: "'s't",
    words: "the same words again ",
  };

  it.each(["smollm", "llama3", "gemma", "bert"])("%s encodes long texts in time, and decodes to the same", (name) => {
    const tokenizer = tokenizerOf(specFromJson({ file: name, tokenizer: smallTokenizerJson(name) }));
    for (const [what, unit] of Object.entries(texts)) {
      const text = unit.repeat(Math.floor(LENGTH / unit.length)) + "x";
      const start = performance.now();
      const ids = tokenizer.encode(text);
      expect(performance.now() - start, what).toBeLessThan(4000);
      expect(ids.length, what).toBeGreaterThan(0);
      if (name !== "bert") expect(tokenizer.decode(ids) === text, what).toBe(true);
    }
  });

  it.each(["smollm", "gemma"])("%s merges a megabyte of one letter in seconds", (name) => {
    const tokenizer = tokenizerOf(specFromJson({ file: name, tokenizer: smallTokenizerJson(name) }));
    const start = performance.now();
    const ids = tokenizer.encode("a".repeat(MEGABYTE));
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(tokenizer.decode(ids).length).toBe(MEGABYTE);
  });

  it("stops a pattern that explodes", () => {
    const tokenizer = smallTokenizerJson("own-pattern") as { pre_tokenizer: { pretokenizers: { pattern?: unknown }[] } };
    tokenizer.pre_tokenizer.pretokenizers[0].pattern = { Regex: "(a+)+$" };
    const built = tokenizerOf(specFromJson({ file: "t.json", tokenizer }));
    expect(Array.from(built.encode("aaa")).length).toBeGreaterThan(0);
    const start = performance.now();
    expect(() => built.encode("a".repeat(60) + "b")).toThrow(
      /t\.json: pre_tokenizer\.pretokenizers\[0\]\.pattern\.Regex: .*stopped after/,
    );
    expect(performance.now() - start).toBeLessThan(6000);
  });

  it("refuses steps that multiply the text", () => {
    const tokenizer = smallTokenizerJson("gemma") as { normalizer: unknown };
    tokenizer.normalizer = {
      type: "Sequence",
      normalizers: Array.from({ length: 30 }, () => ({ type: "Replace", pattern: { String: "a" }, content: "aaaaaaaa" })),
    };
    const built = tokenizerOf(specFromJson({ file: "t.json", tokenizer }));
    expect(() => built.encode("a".repeat(1000))).toThrow(TokenizerError);
  });
});
