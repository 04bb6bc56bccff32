/** A judge that asks a language model, through any engine, with the paper's rubric (section 4.1). */
import type { CompletionRequest, Engine } from "../engines/engine.js";
import { JUDGE_MAX_NEW_TOKENS, JUDGE_SCHEMA, judgeMessages, parseJudgeVerdict } from "../prompts/judge.js";
import type { IntentToJudge, Judge, JudgeVerdict } from "./judge.js";

/** What became of the questions so far. */
export interface JudgeTally {
  /** Items given, equal ones counted each. */
  readonly items: number;
  /** Distinct items: questions put to the engine. */
  readonly asked: number;
  /** Answers that state no verdict. */
  readonly unparsed: number;
  /** Questions without an answer, by reason. Asking again later may help. */
  readonly failures: ReadonlyMap<string, number>;
}

export interface EngineJudge extends Judge {
  tally(): JudgeTally;
}

/**
 * Asks greedily, at most 512 tokens an answer; equal items are asked once a call. What an engine can hold to a schema, it is held to. An
 * item without an answer, or whose answer states no verdict, gets null. Throws what the engine throws. The engine stays the caller's.
 */
export function engineJudge(engine: Engine): EngineJudge {
  let [items, asked, unparsed] = [0, 0, 0];
  const failures = new Map<string, number>();
  return {
    name: engine.name,
    tally: () => ({ items, asked, unparsed, failures: new Map(failures) }),
    async judge(given, options = {}) {
      const keys = given.map(({ prompt, goldIntent, sampledIntent }) => JSON.stringify([prompt, goldIntent, sampledIntent]));
      const distinct = [...new Map(keys.map((key, i) => [key, given[i]]))];
      items += given.length;
      asked += distinct.length;
      const verdicts = new Map<string, JudgeVerdict>();
      const requests = distinct.map(([, item]) => requestFor(engine, item));
      const pending = new Set(requests.keys());
      for await (const { index, result } of engine.complete(requests, options)) {
        pending.delete(index);
        const [key, item] = distinct[index];
        if (result.kind === "failure") {
          count(failures, result.reason);
          continue;
        }
        const verdict = parseJudgeVerdict(result.text, item);
        if (verdict === null) unparsed++;
        else verdicts.set(key, verdict);
      }
      for (let i = pending.size; i > 0; i--) count(failures, "the engine gave no answer");
      return keys.map((key) => verdicts.get(key) ?? null);
    },
  };
}

function requestFor(engine: Engine, item: IntentToJudge): CompletionRequest {
  return {
    input: { messages: judgeMessages(item) },
    maxNewTokens: JUDGE_MAX_NEW_TOKENS,
    temperature: 0,
    topP: 1,
    samples: 1,
    seed: 0,
    ...(engine.canConstrain && { schema: JUDGE_SCHEMA }),
  };
}

function count(tally: Map<string, number>, key: string): void {
  tally.set(key, (tally.get(key) ?? 0) + 1);
}
