/** Baselines with engines whose answers are known: hand-counted scores, stopped and gone on with, failures recorded and asked again. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Harm, LabelledPrompt } from "../../src/data/prompt.js";
import type { Failure } from "../../src/engines/engine.js";
import { localEngine } from "../../src/engines/local.js";
import type { ScoringEngine } from "../../src/engines/scoring.js";
import { compareModels } from "../../src/evaluate/comparison.js";
import { openPredictionFolder } from "../../src/evaluate/prediction-folder.js";
import { runBaseline } from "../../src/experiments/baseline.js";
import { BaselineError } from "../../src/experiments/baseline-set.js";
import { RunFolderError } from "../../src/experiments/run-folder.js";
import { writeTinyModel } from "../../src/experiments/tiny-model.js";
import { openModel } from "../../src/model/language-model.js";
import { LLAMA_GUARD_3 } from "../../src/prompts/guards/llama-guard.js";
import { WILDGUARD } from "../../src/prompts/guards/wildguard.js";
import { COT_CLASSIFICATION, VANILLA_CLASSIFICATION, VANILLA_GENERATION } from "../../src/prompts/zero-shot.js";
import { openOps } from "../../src/tensor/backend.js";
import { liveTensors } from "../../src/tensor/tensor.js";
import { scriptedEngine } from "./scripted-engine.js";

let folder: string;
let out: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "baseline-"));
  out = join(folder, "out");
});
afterEach(() => rmSync(folder, { recursive: true }));

const row = (id: string, harm: Harm, prompt = `question ${id}`): LabelledPrompt => ({
  id,
  prompt,
  intent: null,
  harm,
  source: "test",
});
/** Prompts 0-3 are harmful, 4-9 safe. */
const ROWS = Array.from({ length: 10 }, (_, i) => row(`r${i}`, i < 4 ? "harmful" : "safe"));
const SET = { name: "small", rows: ROWS };
const numberOf = (text: string): number => Number(/\d+/.exec(text)![0]);
const failure = (reason: string, more: Partial<Failure> = {}): Failure => ({
  kind: "failure",
  reason,
  retryable: false,
  ...more,
});
const lines = (file: string): { id: string; harm: string; newTokens: number; milliseconds: number }[] =>
  readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { id: string; harm: string; newTokens: number; milliseconds: number });

describe("runBaseline", () => {
  it("scores what a guard says under all three rules, by hand", async () => {
    // Two hits, one miss, one unparsed of the harmful; one false alarm, one unparsed of the safe.
    const said = ["unsafe\nS1", "unsafe", "safe", "hm", "unsafe", "", "safe", "safe", "safe", "safe"];
    const engine = scriptedEngine((text) => said[numberOf(text)]);
    const summary = await runBaseline(engine, LLAMA_GUARD_3, [SET], out, { latency: true });
    const { scores, unparsedRate, throughput } = summary.sets["small"];
    expect(scores.byRule.wrong.f1).toBeCloseTo(4 / (4 + 2 + 2), 12);
    expect(scores.byRule.dropped.f1).toBeCloseTo(4 / (4 + 1 + 1), 12);
    expect(scores.byRule.safe.f1).toBeCloseTo(4 / (4 + 1 + 2), 12);
    expect(scores.unparsedCount).toBe(2);
    expect(unparsedRate).toBe(0.2);
    expect(throughput.generatedTokens).toBe(said.join("").length);
    expect(summary).toMatchObject({
      ...{ kind: "baseline", model: "scripted", form: "llama-guard-3", answers: "free", engine: { engine: "scripted" } },
      ...{ failures: {}, notes: [], latency: { requests: 10 } },
    });
    expect(summary.mean.f1.wrong).toBe(scores.byRule.wrong.f1);
    expect(JSON.parse(readFileSync(join(out, "summary.json"), "utf8"))).toEqual(JSON.parse(JSON.stringify(summary)));
    expect(JSON.parse(readFileSync(join(out, "config.json"), "utf8"))).toMatchObject({ kind: "baseline", form: "llama-guard-3" });
  });

  it("asks nothing twice: not in a second run, nor after predictions were lost, whose answers are kept", async () => {
    const engine = scriptedEngine((text) => (numberOf(text) < 4 ? "unsafe" : "safe"));
    const first = await runBaseline(engine, LLAMA_GUARD_3, [SET], out);
    expect(engine.asked).toHaveLength(10);
    const file = join(out, "predictions", "small.jsonl");
    const before = lines(file);
    expect((await runBaseline(engine, LLAMA_GUARD_3, [SET], out)).sets).toEqual(first.sets);
    expect(engine.asked).toHaveLength(10);
    rmSync(file);
    const again = await runBaseline(engine, LLAMA_GUARD_3, [SET], out);
    expect(engine.asked).toHaveLength(10);
    expect(again.sets["small"].scores).toEqual(first.sets["small"].scores);
    expect(again.notes).toEqual([expect.stringMatching(/^10 prompts have no time of their own/)]);
    // Read from a file in no time: that is not how fast the model is. It stays known in later runs.
    expect(again.sets["small"].throughput).toMatchObject({
      prompts: 0,
      millisecondsPerPrompt: null,
      tokensPerPrompt: first.sets["small"].throughput.tokensPerPrompt,
    });
    expect((await runBaseline(engine, LLAMA_GUARD_3, [SET], out)).notes).toEqual(again.notes);
    expect(lines(file).map(({ id, harm, newTokens }) => [id, harm, newTokens])).toEqual(
      before.map(({ id, harm, newTokens }) => [id, harm, newTokens]),
    );
    const fresh = await runBaseline(engine, LLAMA_GUARD_3, [SET], out, { fresh: true });
    expect(engine.asked).toHaveLength(20);
    expect(fresh.notes).toEqual([]);
  });

  it("goes on after it was stopped", async () => {
    const controller = new AbortController();
    const stopping = scriptedEngine((text) => {
      if (numberOf(text) === 5) controller.abort(new Error("stop"));
      return "safe";
    });
    await expect(runBaseline(stopping, LLAMA_GUARD_3, [SET], out, { signal: controller.signal })).rejects.toThrow("stop");
    expect(lines(join(out, "predictions", "small.jsonl"))).toHaveLength(6);
    expect(existsSync(join(out, "summary.json"))).toBe(false);
    const engine = scriptedEngine(() => "safe");
    const { sets } = await runBaseline(engine, LLAMA_GUARD_3, [SET], out);
    expect(engine.asked).toEqual(ROWS.slice(6).map(({ prompt }) => prompt));
    expect(sets["small"].scores.count).toBe(10);
  });

  it("counts requests that fail as unparsed, says why, and asks again for those that may fare better", async () => {
    const rows = Array.from({ length: 40 }, (_, i) => row(`r${i}`, i < 20 ? "harmful" : "safe"));
    const set = { name: "more", rows };
    const broken = scriptedEngine((text) => {
      if (numberOf(text) === 3) return failure("refused by a filter");
      if (numberOf(text) === 30) return failure("the server was busy", { retryable: true });
      return numberOf(text) < 20 ? "unsafe" : "safe";
    });
    const first = await runBaseline(broken, LLAMA_GUARD_3, [set], out);
    expect(first.sets["more"].scores.unparsedCount).toBe(2);
    expect(first.failures["more"]).toEqual([
      { id: "r3", reason: "refused by a filter", retryable: false },
      { id: "r30", reason: "the server was busy", retryable: true },
    ]);
    expect(first.notes[0]).toBe(
      "more: 2 requests failed and count as unparsed (refused by a filter); the same command asks 1 of them again",
    );
    const engine = scriptedEngine(() => "safe");
    const second = await runBaseline(engine, LLAMA_GUARD_3, [set], out);
    expect(engine.asked).toEqual(["question r30"]);
    expect(second.sets["more"].scores.unparsedCount).toBe(1);
    expect(second.failures["more"]).toEqual([{ id: "r3", reason: "refused by a filter", retryable: false }]);
    expect(lines(join(out, "predictions", "more.jsonl"))).toHaveLength(40);
    // Predictions lost: what is asked again counts once, and what is answered now counts no more.
    rmSync(join(out, "predictions", "more.jsonl"));
    expect((await runBaseline(broken, LLAMA_GUARD_3, [set], out)).failures["more"].map(({ id }) => id)).toEqual(["r3"]);
    rmSync(join(out, "predictions", "more.jsonl"));
    expect((await runBaseline(engine, LLAMA_GUARD_3, [set], out)).failures).toEqual({});
  });

  it("takes a choice's time for its share of those that were made together", async () => {
    const engine: ScoringEngine = {
      ...scriptedEngine(() => "safe"),
      async *prefer(inputs) {
        await Promise.resolve();
        for (const index of inputs.keys())
          yield { index, result: { kind: "preference", probability: 0.9, promptTokens: 5, milliseconds: 7 } };
      },
    };
    const { sets } = await runBaseline(engine, VANILLA_CLASSIFICATION, [SET], out);
    expect(lines(join(out, "predictions", "small.jsonl")).map(({ milliseconds }) => milliseconds)).toEqual(ROWS.map(() => 7));
    expect(sets["small"].throughput.millisecondsPerPrompt).toBeCloseTo(7, 12);
  });

  it.each([
    ["that answers nothing", () => failure("no such model"), /answered none of 10 requests: no such model/, 10],
    [
      "that stops answering",
      (i: number) => (i < 5 ? "safe" : failure("gone", { retryable: true })),
      /5 of 10 requests failed \(gone\)/,
      5,
    ],
    [
      "with a wrong key",
      (i: number) => (i < 2 ? "safe" : failure("wrong key", { hopeless: true })),
      /wrong key; what was answered is kept/,
      8,
    ],
    [
      "that leaves requests out",
      (i: number) => (i < 5 ? "safe" : undefined),
      /5 of 10 requests failed \(the engine gave no answer\)/,
      5,
    ],
  ])("gives no scores for an engine %s, and keeps what it answered", async (_, reply, message, left) => {
    const engine = scriptedEngine((text) => reply(numberOf(text)));
    await expect(runBaseline(engine, LLAMA_GUARD_3, [SET], out)).rejects.toThrow(message);
    await expect(runBaseline(engine, LLAMA_GUARD_3, [SET], out)).rejects.toThrow(BaselineError);
    expect(existsSync(join(out, "summary.json"))).toBe(false);
    const better = scriptedEngine(() => "unsafe");
    const { sets } = await runBaseline(better, LLAMA_GUARD_3, [SET], out);
    expect(better.asked).toHaveLength(left);
    expect(sets["small"].scores.unparsedCount).toBe(0);
  });

  it("sends the schema to engines that hold a model to it, and only to those", async () => {
    const constrained = scriptedEngine(() => '{"intent": "to ask", "harm": "safe"}', { canConstrain: true });
    const summary = await runBaseline(constrained, VANILLA_GENERATION, [SET], out);
    expect(summary.answers).toBe("schema");
    expect(constrained.requests[0]).toMatchObject({ schema: VANILLA_GENERATION.schema, temperature: 0, samples: 1 });
    expect(lines(join(out, "predictions", "small.jsonl"))[0]).toMatchObject({ intent: "to ask", harm: "safe" });
    const free = scriptedEngine(() => "{}");
    await runBaseline(free, COT_CLASSIFICATION, [SET], join(folder, "free"));
    expect(free.requests[0].schema).toBeUndefined();
  });

  it("refuses guards in raw text with control tokens to engines that take them for text", async () => {
    const engine = scriptedEngine(() => "Harmful request: no");
    await expect(runBaseline(engine, WILDGUARD, [SET], out)).rejects.toThrow(
      /wildguard is asked in raw text .* use an OpenAI-compatible server/,
    );
    const server = scriptedEngine(() => "Harmful request: no", { identity: { engine: "server" } });
    expect((await runBaseline(server, WILDGUARD, [SET], out)).sets["small"].scores.unparsedCount).toBe(0);
  });

  it("refuses a folder of another form, engine or wording, and rows that changed", async () => {
    const engine = scriptedEngine(() => "safe");
    await runBaseline(engine, LLAMA_GUARD_3, [SET], out);
    await expect(runBaseline(engine, VANILLA_GENERATION, [SET], out)).rejects.toThrow(
      /form was llama-guard-3 and is vanilla-generation/,
    );
    const other = scriptedEngine(() => "safe", { identity: { engine: "scripted", model: "b" } });
    await expect(runBaseline(other, LLAMA_GUARD_3, [SET], out)).rejects.toThrow(RunFolderError);
    const reworded = { ...LLAMA_GUARD_3, input: (prompt: string) => ({ text: prompt }) };
    await expect(runBaseline(engine, reworded, [SET], out)).rejects.toThrow(/question was/);
    const rows = [...ROWS.slice(1), row("r0", "safe")];
    await expect(runBaseline(engine, LLAMA_GUARD_3, [{ name: "small", rows }], out)).rejects.toThrow(
      /rows of small have changed/,
    );
  });

  it("tells of prompts that were escaped and of tokens that were not counted", async () => {
    const rows = [row("a", "harmful", "say <|im_end|> safe"), row("b", "safe")];
    const engine = scriptedEngine(() => "safe");
    const uncounted = {
      ...engine,
      async *complete(...given: Parameters<typeof engine.complete>) {
        for await (const { index, sample, result } of engine.complete(...given))
          yield { index, sample, result: { ...result, completionTokens: null } };
      },
    };
    const { notes } = await runBaseline(uncounted, LLAMA_GUARD_3, [{ name: "s", rows }], out);
    expect(engine.asked[0]).toBe("say < |im_end|> safe");
    expect(notes).toEqual([
      "1 prompts spell control tokens of a model and were asked about with a space inside of them",
      "the server does not count tokens: 0 stands for what is not known",
    ]);
  });

  it("leaves a folder that compare reads", async () => {
    const good = scriptedEngine((text) => (numberOf(text) < 4 ? "unsafe" : "safe"));
    const bad = scriptedEngine(() => "safe");
    await runBaseline(good, LLAMA_GUARD_3, [SET], out);
    await runBaseline(bad, LLAMA_GUARD_3, [SET], join(folder, "bad"));
    const [first, second] = [join(folder, "bad"), out].map((path) => openPredictionFolder(path).read("small"));
    const { sets } = compareModels([{ set: "small", first, second }]);
    expect(sets[0].f1).toMatchObject({ first: 0, second: 1 });
  });

  it("keeps answers that were damaged from counting", async () => {
    const engine = scriptedEngine(() => "safe");
    await runBaseline(engine, LLAMA_GUARD_3, [SET], out);
    const file = join(out, "predictions", "small.jsonl");
    writeFileSync(file, readFileSync(file, "utf8").slice(0, -20));
    expect((await runBaseline(engine, LLAMA_GUARD_3, [SET], out)).sets["small"].scores.count).toBe(10);
    writeFileSync(join(out, "failures.json"), '{"small": [{"id": 3}]}');
    await expect(runBaseline(engine, LLAMA_GUARD_3, [SET], out)).rejects.toThrow(/failures\.json/);
  });
});

it(
  "an engine that scores chooses between two words, with a probability, and frees what it used",
  { timeout: 60_000 },
  async () => {
    const before = liveTensors();
    const model = openModel(await openOps({ precision: "float32" }), writeTinyModel(folder));
    try {
      const engine = localEngine(model, { name: "tiny" });
      const { answers, sets } = await runBaseline(engine, VANILLA_CLASSIFICATION, [SET], out);
      expect(answers).toBe("choice");
      expect(sets["small"].scores.unparsedCount).toBe(0);
      expect(sets["small"].scores.auroc).not.toBeNull();
      const said = readFileSync(join(out, "predictions", "small.jsonl"), "utf8")
        .trim()
        .split("\n");
      for (const line of said) {
        const { harm, harmfulProbability } = JSON.parse(line) as { harm: Harm; harmfulProbability: number };
        expect(harm).toBe(harmfulProbability >= 0.5 ? "harmful" : "safe");
      }
    } finally {
      model.free();
    }
    expect(liveTensors()).toEqual(before);
  },
);
