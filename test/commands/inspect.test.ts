/** The commands that people and scripts call on any model: on a small checkpoint without a tokenizer. */
import { describe, expect, it } from "vitest";
import { checkpointFolder, expectedNumbers } from "../model/checkpoints.js";
import { run } from "./program.js";

describe("inspect", () => {
  const folder = checkpointFolder("gemma3");
  const expected = expectedNumbers("gemma3");
  const { ids } = expected.sequences[2];

  it("prints the largest logits, logsumexp and greedy ids of a safetensors folder, under an adapter too", async () => {
    for (const [numbers, adapter] of [
      [expected, []],
      [expected.adapter, ["--adapter", `${folder}/adapter`]],
    ] as const) {
      const wanted = numbers.sequences[2];
      const prompt = numbers.greedy.prompt.join(",");
      const { stdout } = await run("inspect", "--model", folder, "--ids", ids.join(","), ...adapter, "--json");
      const result = JSON.parse(stdout) as { ids: number[]; top: [number, number][]; logsumexp: number; greedy: number[] };
      expect(result.ids).toEqual(ids);
      expect(result.top).toHaveLength(20);
      for (const [id, logit] of result.top) expect(Math.abs(logit - wanted.lastLogits[id])).toBeLessThan(4e-4);
      expect(result.top[0][1]).toBeCloseTo(Math.max(...wanted.lastLogits), 3);
      expect(result.logsumexp).toBeCloseTo(wanted.logSumExp.at(-1)!, 4);
      const greedy = await run("inspect", "--model", folder, "--ids", prompt, ...adapter, "--greedy", "5", "--json");
      expect((JSON.parse(greedy.stdout) as { greedy: number[] }).greedy).toEqual(numbers.greedy.ids.slice(0, 5));
    }
  });

  it.each([
    ["neither text nor ids", ["--model", folder], 2, /give either --text or --ids/],
    ["an id outside the vocabulary", ["--model", folder, "--ids", "1,5000"], 2, /--ids has "5000"/],
    ["a text where there is no tokenizer", ["--model", folder, "--text", "hello"], 1, /tokenizer\.json/],
    ["a model that is not there", ["--model", "/no/such/file.gguf", "--ids", "1"], 1, /no\/such\/file\.gguf/],
  ])("says what is wrong with %s, in one line", async (_, args, code, message) => {
    const outcome = await run("inspect", ...args);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
  });
});
