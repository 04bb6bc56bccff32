/** A model opened whole: its end-of-text id comes from where there is one, and its absence is told. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeTinyModel } from "../../src/experiments/tiny-model.js";
import { endOfTurn } from "../../src/model/chat-input.js";
import { ModelConfigError } from "../../src/model/config.js";
import { endOfText, openModel, type LanguageModel } from "../../src/model/language-model.js";
import { openOps } from "../../src/tensor/backend.js";
import { encodeCompletion } from "../../src/train/examples.js";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "model-"));
  path = writeTinyModel(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

function change(name: string, values: Readonly<Record<string, unknown>>): void {
  const file = join(path, name);
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, "utf8")) as object), ...values }));
}

async function opened<T>(use: (model: LanguageModel) => T): Promise<T> {
  const model = openModel(await openOps({ precision: "float32" }), path);
  try {
    return use(model);
  } finally {
    model.free();
  }
}

const ends = (model: LanguageModel) => [endOfText(model), endOfTurn(model), encodeCompletion(model, "a").at(-1)];

describe("the end-of-text id", () => {
  it("is the tokenizer's where the configuration names none, for training and for generation", async () => {
    const usual = await opened(ends);
    const [end] = usual;
    expect(usual).toEqual([end, end, end]);
    change("config.json", { eos_token_id: null });
    expect(await opened(ends)).toEqual(usual);
    expect(await opened(({ decoder }) => decoder.config.eosIds)).toEqual([end]);
  });

  it("is asked for where there is none, and no other takes its place", async () => {
    change("config.json", { eos_token_id: null });
    change("tokenizer_config.json", { eos_token: null });
    await opened((model) => {
      for (const use of [endOfText, endOfTurn, (it: LanguageModel) => encodeCompletion(it, "a")]) {
        expect(() => use(model)).toThrow(ModelConfigError);
        expect(() => use(model)).toThrow(path);
      }
    });
  });

  it("is not needed to compute on ids: weights alone are opened", async () => {
    change("config.json", { eos_token_id: null });
    rmSync(join(path, "tokenizer.json"));
    expect(await opened(({ decoder }) => decoder.config.eosIds)).toEqual([]);
  });
});
