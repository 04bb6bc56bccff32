import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { AdapterError, loraScale, readPeft, type PeftAdapter } from "../../../src/model/peft.js";
import { WeightFileError } from "../../../src/model/weights/errors.js";
import { mergeToSafetensors, type MergeOptions } from "../../../src/model/weights/merge.js";
import { openWeights } from "../../../src/model/weights/source.js";
import { readReferenceJson, REFERENCE, temporaryFolders } from "./files.js";

const folder = temporaryFolders();
const NAMES = ["llama", "llama-tied", "qwen2", "qwen3", "gemma3"];
const { models } = readReferenceJson("written.json") as {
  models: Record<string, { mergedDifference: number; mergedBfloat16Difference: number; sha256: Record<string, string> }>;
};

function merge(path: string, adapter: PeftAdapter, options: MergeOptions): string {
  const out = join(folder(), "merged");
  const source = openWeights(path);
  try {
    mergeToSafetensors(source, adapter, out, options);
  } finally {
    source.close();
  }
  return out;
}
const checkpoint = (name: string): string => join(REFERENCE, "checkpoints", name);
const adapterOf = (name: string): PeftAdapter => readPeft(join(checkpoint(name), "adapter"));

describe("mergeToSafetensors", () => {
  it.each(NAMES)("writes the bytes that transformers was seen to load and to agree with: %s", (name) => {
    const { sha256, mergedDifference, mergedBfloat16Difference } = models[name];
    const outs: [string, MergeOptions][] = [
      ["merged", { dtype: "float32" }],
      ["merged-bfloat16", { dtype: "bfloat16", maxShardBytes: 100_000 }],
    ];
    for (const [kind, options] of outs) {
      const out = merge(checkpoint(name), adapterOf(name), options);
      const hashes = readdirSync(out).map((file): [string, string] => [
        `${kind}/${file}`,
        createHash("sha256")
          .update(readFileSync(join(out, file)))
          .digest("hex"),
      ]);
      expect(Object.fromEntries(hashes)).toEqual(
        Object.fromEntries(Object.entries(sha256).filter(([file]) => file.startsWith(`${kind}/`))),
      );
    }
    // Logits reach 4 to 10; bfloat16 keeps 8 bits of each weight.
    expect(mergedDifference).toBeLessThan(2e-5);
    expect(mergedBfloat16Difference).toBeLessThan(0.15);
  });

  it.each(NAMES)("adds scale · B A to the adapted weights and to no other: %s", (name) => {
    const adapter = adapterOf(name);
    const before = openWeights(checkpoint(name));
    const after = openWeights(merge(checkpoint(name), adapter, { dtype: "float32" }));
    let adapted = 0;
    for (const tensor of before.names) {
      const [was, is] = [before.read(tensor), after.read(tensor)];
      const match = /layers\.(\d+)\.\w+\.(\w+)\.weight/.exec(tensor);
      const factors = match ? adapter.factors.get(`${match[1]}.${match[2]}`) : undefined;
      if (factors === undefined) {
        expect([...is]).toEqual([...was]);
        continue;
      }
      adapted++;
      const [outputs, inputs] = before.shape(tensor);
      const scale = loraScale(factors.rank, factors.alpha, adapter.useRslora);
      for (const [o, i] of [
        [0, 0],
        [outputs - 1, 3],
        [5, inputs - 1],
        [7, 11],
      ]) {
        // prettier-ignore
        let sum = 0;
        for (let r = 0; r < factors.rank; r++) sum += factors.B[o * factors.rank + r] * factors.A[r * inputs + i];
        expect(is[o * inputs + i]).toBeCloseTo(was[o * inputs + i] + scale * sum, 6);
      }
    }
    expect(adapted).toBe(adapter.factors.size);
    before.close();
    after.close();
  });

  it.each(["llama-tied", "qwen2", "qwen3", "gemma3"])("gives a GGUF model a config of its own: %s", (name) => {
    const path = join(REFERENCE, "gguf", `${name}.gguf`);
    const [before, after] = [openWeights(path), openWeights(merge(path, adapterOf(name), { dtype: "bfloat16" }))];
    expect(after.config).toEqual(before.config);
    before.close();
    after.close();
  });

  it("brings a folder's tokenizer along, and nothing else", () => {
    const start = merge(checkpoint("llama"), adapterOf("llama"), { dtype: "float32" });
    writeFileSync(join(start, "tokenizer.json"), "{}");
    writeFileSync(join(start, "notes.txt"), "mine");
    expect(readdirSync(merge(start, adapterOf("llama"), { dtype: "float32" })).sort()).toEqual([
      "config.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
  });

  it("refuses an adapter of another model, and a folder that is not empty", () => {
    expect(() => merge(checkpoint("llama"), adapterOf("gemma3"), { dtype: "float32" })).toThrow(AdapterError);
    expect(() => merge(checkpoint("qwen3"), adapterOf("llama"), { dtype: "float32" })).toThrow(/do not fit a weight of/);
    const source = openWeights(checkpoint("llama"));
    const full = folder();
    writeFileSync(join(full, "x"), "");
    expect(() => mergeToSafetensors(source, adapterOf("llama"), full, { dtype: "float32" })).toThrow(WeightFileError);
    expect(readdirSync(full)).toEqual(["x"]);
    source.close();
  });
});
