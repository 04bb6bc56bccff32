import { createHash } from "node:crypto";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { AdapterError, loraScale, readPeft, writePeft, type PeftAdapter } from "../../src/model/peft.js";
import { openSafetensors } from "../../src/model/weights/safetensors.js";
import { writeSafetensors } from "../../src/model/weights/safetensors-write.js";
import { openDescriptors, readReferenceJson, REFERENCE, temporaryFolders } from "./weights/files.js";

const folder = temporaryFolders();
const NAMES = ["llama", "llama-tied", "qwen2", "qwen3", "gemma3"];
const adapterFolder = (name: string): string => join(REFERENCE, "checkpoints", name, "adapter");

interface Written {
  models: Record<
    string,
    { adapterDifference: number; mergedDifference: number; mergedBfloat16Difference: number; sha256: Record<string, string> }
  >;
}
const written = readReferenceJson("written.json") as Written;

describe("readPeft", () => {
  it.each(NAMES)("reads every factor that PEFT wrote: %s", (name) => {
    const adapter = readPeft(adapterFolder(name));
    const file = openSafetensors(join(adapterFolder(name), "adapter_model.safetensors"));
    expect(adapter.factors.size * 2).toBe(file.tensors.size);
    for (const [key, { A, B, rank }] of adapter.factors) {
      const [layer, module] = key.split(".");
      const prefix = `base_model.model.model.layers.${layer}.${/^[qkvo]_/.test(module) ? "self_attn" : "mlp"}.${module}.lora_`;
      expect(file.tensors.get(`${prefix}A.weight`)?.shape[0]).toBe(rank);
      expect([...A]).toEqual([...file.read(`${prefix}A.weight`)]);
      expect([...B]).toEqual([...file.read(`${prefix}B.weight`)]);
    }
    file.close();
    expect([...adapter.targetModules].sort()).toEqual([
      "down_proj",
      "gate_proj",
      "k_proj",
      "o_proj",
      "q_proj",
      "up_proj",
      "v_proj",
    ]);
  });

  it("reads layers, patterns and rank stabilisation", () => {
    expect(readPeft(adapterFolder("llama-tied")).layers).toEqual([0, 2, 3]);
    expect(readPeft(adapterFolder("qwen3")).useRslora).toBe(true);
    const { factors, r, loraAlpha } = readPeft(adapterFolder("qwen2"));
    expect({ r, loraAlpha }).toEqual({ r: 4, loraAlpha: 8 });
    expect(factors.get("3.down_proj")).toMatchObject({ rank: 2, alpha: 6 });
    expect(factors.get("3.up_proj")).toMatchObject({ rank: 4, alpha: 8 });
    expect(loraScale(4, 8, false)).toBe(2);
    expect(loraScale(4, 8, true)).toBe(4);
  });

  it("reads the reference adapter of SmolLM2", () => {
    const adapter = readPeft(join(REFERENCE, "smollm2", "adapter"));
    expect(adapter.layers).toEqual([0, 15, 29]);
    expect(adapter.factors.size).toBe(21);
    expect(adapter.factors.get("15.k_proj")).toMatchObject({ rank: 4, alpha: 8 });
    expect(adapter.factors.get("15.k_proj")?.A.length).toBe(4 * 576);
  });

  const changed = (change: Record<string, unknown>): string => {
    const path = folder();
    cpSync(adapterFolder("qwen2"), path, { recursive: true });
    const config = JSON.parse(readFileSync(join(path, "adapter_config.json"), "utf8")) as object;
    writeFileSync(join(path, "adapter_config.json"), JSON.stringify({ ...config, ...change }));
    return path;
  };

  it("lets through what does not change the numbers, and keys of the future", () => {
    const { factors } = readPeft(
      changed({ lora_dropout: 0.1, brand_new_option: { x: 1 }, init_lora_weights: "gaussian", target_modules: "all-linear" }),
    );
    expect(factors.size).toBe(28);
  });

  const refusals: [field: string, change: Record<string, unknown>][] = [
    ["use_dora", { use_dora: true }],
    ["bias", { bias: "all" }],
    ["modules_to_save", { modules_to_save: ["lm_head"] }],
    ["peft_type", { peft_type: "IA3" }],
    ["peft_type", { peft_type: undefined }],
    ["fan_in_fan_out", { fan_in_fan_out: true }],
    ["lora_bias", { lora_bias: true }],
    ["layer_replication", { layer_replication: [[0, 2]] }],
    ["init_lora_weights", { init_lora_weights: "pissa" }],
    ["r", { r: 0 }],
    ["r", { r: 1e9 }],
    ["lora_alpha", { lora_alpha: "8" }],
    ["rank_pattern.(a+)+", { rank_pattern: { "(a+)+": 3 } }],
    ["rank_pattern.down_proj", { rank_pattern: { down_proj: 0 } }],
    ["layers_to_transform.0", { layers_to_transform: [-1] }],
  ];
  it.each(refusals)("refuses and names %s", (field, change) => {
    const path = changed(change);
    expect(() => readPeft(path)).toThrow(AdapterError);
    expect(() => readPeft(path)).toThrow(`adapter_config.json: ${field}: `);
  });

  it("refuses factors that contradict the config", () => {
    expect(() => readPeft(changed({ rank_pattern: {} }))).toThrow(
      /0.down_proj: has A \[2, 80\] and B \[48, 2\]; the config's rank 4/,
    );
    expect(() => readPeft(changed({ target_modules: ["q_proj", "lm_head"] }))).toThrow(
      /0.lm_head: is missing; the config asks for it/,
    );
    expect(() => readPeft(changed({ layers_to_transform: [0, 1, 2] }))).toThrow(
      /3\.\w+: is in the file, but layers_to_transform/,
    );
    expect(() => readPeft(changed({ layers_to_transform: [0, 1, 2, 3, 4] }))).toThrow(/4.\w+: is missing/);
  });

  it("refuses tensors that are no factors of a projection, and halves of pairs", () => {
    const values = (): Float32Array => new Float32Array(4 * 48);
    const tensor = (name: string): Parameters<typeof writeSafetensors>[1][number] => ({
      name,
      shape: [4, 48],
      dtype: "F32",
      values,
    });
    for (const name of [
      "base_model.model.lm_head.lora_A.weight",
      "base_model.model.model.layers.0.mlp.q_proj.lora_A.weight",
      "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
    ]) {
      const path = changed({});
      writeSafetensors(join(path, "adapter_model.safetensors"), [tensor(name)], {});
      expect(() => readPeft(path)).toThrow(/is not a LoRA factor of one of the seven projections/);
    }
    const half = changed({});
    writeSafetensors(
      join(half, "adapter_model.safetensors"),
      [tensor("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")],
      {},
    );
    const before = openDescriptors();
    expect(() => readPeft(half)).toThrow(/0.q_proj: has no lora_B/);
    expect(openDescriptors()).toBe(before);
    rmSync(join(half, "adapter_model.safetensors"));
    writeFileSync(join(half, "adapter_model.bin"), "");
    expect(() => readPeft(half)).toThrow(/adapter_model.bin is a pickle/);
  });
});

describe("writePeft", () => {
  it.each(NAMES)("writes the bytes that Python PEFT was seen to load and to agree with: %s", (name) => {
    // test/reference/make/written.py loaded these files; equal hashes carry its result over to this run.
    const path = join(folder(), "adapter");
    writePeft(path, { ...readPeft(adapterFolder(name)), rankPattern: {}, alphaPattern: {} });
    const { sha256, adapterDifference } = written.models[name];
    for (const file of ["adapter_config.json", "adapter_model.safetensors"]) {
      expect([
        file,
        createHash("sha256")
          .update(readFileSync(join(path, file)))
          .digest("hex"),
      ]).toEqual([file, sha256[`adapter/${file}`]]);
    }
    expect(adapterDifference).toBeLessThan(2e-5);
  });

  it.each(NAMES)("is read back as it was: %s", (name) => {
    const adapter = readPeft(adapterFolder(name));
    const path = folder();
    writePeft(path, adapter);
    const { targetModules, ...rest } = readPeft(path);
    const { targetModules: wanted, ...original } = adapter;
    expect(rest).toEqual(original);
    expect([...targetModules].sort()).toEqual([...wanted].sort());
  });

  const refused: [message: RegExp, factors: PeftAdapter["factors"]][] = [
    [/an adapter without factors/, new Map()],
    [/"0.lm_head": is not/, new Map([["0.lm_head", { A: new Float32Array(4), B: new Float32Array(4), rank: 1, alpha: 1 }]])],
    [/"..\/0.q_proj": is not/, new Map([["../0.q_proj", { A: new Float32Array(4), B: new Float32Array(4), rank: 1, alpha: 1 }]])],
    [/0.q_proj: A of 5/, new Map([["0.q_proj", { A: new Float32Array(5), B: new Float32Array(4), rank: 2, alpha: 1 }]])],
  ];
  it.each(refused)("refuses what is no adapter: %s", (message, factors) => {
    const path = join(folder(), "new");
    const attempt = (): void => writePeft(path, { ...readPeft(adapterFolder("llama")), factors });
    expect(attempt).toThrow(AdapterError);
    expect(attempt).toThrow(message);
    expect(() => readFileSync(join(path, "adapter_config.json"))).toThrow();
  });
});
