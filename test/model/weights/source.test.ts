import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ModelConfigError } from "../../../src/model/config.js";
import { WeightFileError } from "../../../src/model/weights/errors.js";
import { openSafetensors } from "../../../src/model/weights/safetensors.js";
import { writeSafetensors } from "../../../src/model/weights/safetensors-write.js";
import { openWeights } from "../../../src/model/weights/source.js";
import { openDescriptors, REFERENCE, temporaryFolders } from "./files.js";

const folder = temporaryFolders();
const INDEX = "model.safetensors.index.json";

/** A copy of a checkpoint whose tensors pass through `edit`: [shard, new name] for each name, or null to leave one out. */
function rewritten(checkpoint: string, edit: (name: string, i: number) => [shard: string, name: string] | null): string {
  const original = openSafetensors(join(REFERENCE, "checkpoints", checkpoint, "model.safetensors"));
  const target = folder();
  copyFileSync(join(REFERENCE, "checkpoints", checkpoint, "config.json"), join(target, "config.json"));
  const shards = new Map<string, Parameters<typeof writeSafetensors>[1][number][]>();
  const weightMap: Record<string, string> = {};
  for (const [i, [name, { shape }]] of [...original.tensors].entries()) {
    const place = edit(name, i);
    if (place === null) continue;
    const [shard, newName] = place;
    const values = original.read(name);
    shards.set(shard, [...(shards.get(shard) ?? []), { name: newName, shape, dtype: "F32", values: () => values }]);
    weightMap[newName] = shard;
  }
  original.close();
  for (const [shard, tensors] of shards) writeSafetensors(join(target, shard), tensors, {});
  if (shards.size > 1) writeFileSync(join(target, INDEX), JSON.stringify({ metadata: {}, weight_map: weightMap }));
  return target;
}

function expectSameWeights(path: string, checkpoint: string): void {
  const source = openWeights(path);
  const original = openSafetensors(join(REFERENCE, "checkpoints", checkpoint, "model.safetensors"));
  try {
    expect([...source.names].sort()).toEqual([...original.tensors.keys()].sort());
    for (const name of source.names) {
      expect(source.shape(name)).toEqual(original.tensors.get(name)?.shape);
      expect(Buffer.from(source.read(name).buffer).equals(Buffer.from(original.read(name).buffer))).toBe(true);
    }
  } finally {
    source.close();
    original.close();
  }
}

describe("openWeights on a folder", () => {
  it.each(["llama", "llama-tied", "qwen2", "qwen3", "gemma3"])("reads every tensor of %s, as a folder and as a file", (name) => {
    expectSameWeights(join(REFERENCE, "checkpoints", name), name);
    expectSameWeights(join(REFERENCE, "checkpoints", name, "model.safetensors"), name);
  });

  it("reads shards by their index", () => {
    expectSameWeights(rewritten("qwen2", (name, i) => [`model-0000${(i % 3) + 1}-of-00003.safetensors`, name]), "qwen2"); // prettier-ignore
  });

  it.each(["language_model.", "model.language_model."])("strips %s, and passes over the vision tower", (prefix) => {
    const path = rewritten("gemma3", (name) => [
      "model.safetensors",
      prefix === "language_model." ? prefix + name : name.replace(/^model\./, prefix),
    ]);
    expectSameWeights(path, "gemma3");
    const renamed = rewritten("gemma3", (name, i) => [
      i === 0 ? "b.safetensors" : "a.safetensors",
      i === 0 ? "vision_tower.x" : name,
    ]);
    expect(() => openWeights(renamed)).toThrow(/is missing; the config asks for it/);
  });

  it("gives shapes and names only of the model's own tensors", () => {
    const source = openWeights(join(REFERENCE, "checkpoints", "llama"));
    expect(source.has("lm_head.weight")).toBe(true);
    expect(source.has("model.layers.3.mlp.up_proj.weight")).toBe(false);
    expect(() => source.shape("nothing")).toThrow(/tensor "nothing": is no part of this model/);
    expect(() => source.read("toString")).toThrow(WeightFileError);
    expect(source.tokenizer).toEqual({ kind: "folder", path: join(REFERENCE, "checkpoints", "llama") });
    source.close();
    expect(() => source.read("lm_head.weight")).toThrow(/after the file was closed/);
  });

  it("adds the end ids of generation_config.json", () => {
    const path = folder();
    cpSync(join(REFERENCE, "checkpoints", "llama"), path, { recursive: true });
    writeFileSync(join(path, "generation_config.json"), JSON.stringify({ eos_token_id: [7, 2] }));
    const source = openWeights(path);
    expect(source.config.eosIds).toEqual([2, 7]);
    source.close();
  });

  const check = (path: string, kind: typeof WeightFileError | typeof ModelConfigError, message: RegExp): void => {
    const before = openDescriptors();
    expect(() => openWeights(path)).toThrow(kind);
    expect(() => openWeights(path)).toThrow(message);
    expect(openDescriptors()).toBe(before);
  };

  it("names what is missing", () => {
    check(join(folder(), "none"), WeightFileError, /file: does not exist/);
    check(folder(), ModelConfigError, /config.json: file: is missing/);
    const noTensor = rewritten("llama", (name) => (name === "model.norm.weight" ? null : ["model.safetensors", name]));
    check(noTensor, WeightFileError, /tensor model.norm.weight: is missing/);
    const twoFiles = rewritten("llama", (name, i) => [i % 2 ? "a.safetensors" : "b.safetensors", name]);
    rmSync(join(twoFiles, INDEX));
    check(twoFiles, WeightFileError, /holds 2 .safetensors files but no model.safetensors.index.json/);
    rmSync(join(twoFiles, "a.safetensors"));
    rmSync(join(twoFiles, "b.safetensors"));
    check(twoFiles, WeightFileError, /holds no .safetensors file/);
  });

  it("names a tensor of the wrong shape, one given twice, and one it would leave out", () => {
    const swapped = (name: string): string =>
      name.replace(/gate_proj|down_proj/, (part) => (part === "gate_proj" ? "down_proj" : "gate_proj"));
    check(rewritten("llama", (name) => ["model.safetensors", swapped(name)]), WeightFileError, /mlp.gate_proj.weight: has the shape \[64, 56\]; the config asks for \[56, 64\]/); // prettier-ignore
    const twice = rewritten("llama", (name) => [name === "lm_head.weight" ? "b.safetensors" : "a.safetensors", name === "lm_head.weight" ? "language_model.model.norm.weight" : name]); // prettier-ignore
    check(twice, WeightFileError, /is a second "model.norm.weight"/);
    const more = rewritten("qwen2", (name) => ["model.safetensors", name]);
    const config = JSON.parse(readFileSync(join(more, "config.json"), "utf8")) as object;
    writeFileSync(join(more, "config.json"), JSON.stringify({ ...config, model_type: "llama" }));
    check(more, WeightFileError, /self_attn.[kqv]_proj.bias": is no part of llama/);
  });

  it("stays inside the folder", () => {
    const path = rewritten("llama", (name, i) => [i === 0 ? "a.safetensors" : "b.safetensors", name]);
    mkdirSync(join(path, "sub"));
    copyFileSync(join(path, "a.safetensors"), join(path, "sub", "a.safetensors"));
    const index = JSON.parse(readFileSync(join(path, INDEX), "utf8")) as { weight_map: Record<string, string> };
    const tensor = Object.keys(index.weight_map).find((name) => index.weight_map[name] === "a.safetensors")!;
    for (const shard of [
      "../a.safetensors",
      "sub/a.safetensors",
      join(path, "a.safetensors"),
      "sub\\a.safetensors",
      "a.bin",
      "",
      3,
      null,
      "a\0.safetensors",
      "..",
    ]) {
      writeFileSync(join(path, INDEX), JSON.stringify({ weight_map: { ...index.weight_map, [tensor]: shard } }));
      check(path, WeightFileError, /is not the name of a .safetensors file in this folder/);
    }
    writeFileSync(join(path, INDEX), JSON.stringify({ weight_map: { ...index.weight_map, [tensor]: "c.safetensors" } }));
    check(path, WeightFileError, /shard "c.safetensors": is not in the folder/);
    writeFileSync(join(path, INDEX), JSON.stringify({ weight_map: { ...index.weight_map, [tensor]: "b.safetensors" } }));
    check(path, WeightFileError, /is not here, though the index says so/);
    for (const bad of [
      "{}",
      "[]",
      "null",
      '{"weight_map":[]}',
      '{"weight_map":{}}',
      '{"weight_map":{"a":"x.safetensors","a":"x.safetensors"}}',
      "{",
    ]) {
      writeFileSync(join(path, INDEX), bad);
      check(path, WeightFileError, /index.json: (weight_map|contents): /);
    }
  });
});
