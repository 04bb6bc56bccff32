import { describe, expect, it } from "vitest";
import { engineJudge } from "../../src/intent/engine-judge.js";
import type { IntentToJudge } from "../../src/intent/judge.js";
import { failure, fakeEngine, textOf } from "./fake-engine.js";

const item = (sampledIntent: string): IntentToJudge => ({
  prompt: "How do I kill a background job?",
  goldIntent: "To learn how to end a program",
  sampledIntent,
});

describe("a judge behind an engine", () => {
  it("gives verdicts in order, asks equal items once, and counts what it did not get", async () => {
    const engine = fakeEngine((request) => {
      const text = textOf(request);
      if (text.includes("busy")) return failure("busy server");
      if (text.includes("lost")) return null;
      return text.includes("stop") ? "good_match" : text.includes("hide") ? "hm" : "It is no good_match: bad_match";
    });
    const judge = engineJudge(engine);
    const items = ["stop it", "bake", "busy", "stop it", "hide", "lost", "busy"].map(item);
    expect(await judge.judge(items)).toEqual(["good", "bad", null, "good", null, null, null]);
    expect(engine.asked).toHaveLength(5);
    expect(judge.tally()).toEqual({
      items: 7,
      asked: 5,
      unparsed: 1,
      failures: new Map([
        ["busy server", 1],
        ["the engine gave no answer", 1],
      ]),
    });
    expect(judge.name).toBe("fake");
    expect(await judge.judge([])).toEqual([]);
  });

  it("asks greedily for at most 512 tokens, and holds to a schema the engines that can be held", async () => {
    for (const canConstrain of [true, false]) {
      const engine = fakeEngine(() => '{"verdict":"decent_match"}', { canConstrain });
      expect(await engineJudge(engine).judge([item("x")])).toEqual(["decent"]);
      const [{ temperature, maxNewTokens, samples, schema }] = engine.asked;
      expect({ temperature, maxNewTokens, samples }).toEqual({ temperature: 0, maxNewTokens: 512, samples: 1 });
      expect(schema?.name).toBe(canConstrain ? "verdict" : undefined);
    }
  });

  it("stops when it is told to", async () => {
    const judge = engineJudge(fakeEngine(() => "good_match"));
    await expect(judge.judge([item("x")], { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  });
});
