/** A reproduction of made-up stages: what runs, what is left out, what is told, and how long it is said to take. */
import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from "vitest";
import { DataUnavailableError } from "../../src/data/errors.js";
import { planLine, planText, secondsOf, timeLeft, type Part, type PlannedStage } from "../../src/experiments/reproduce-plan.js";
import { MissingInputError, planOf, runStages, type Stage, type StageLook } from "../../src/experiments/reproduce.js";

let said: MockInstance<typeof process.stderr.write>;
beforeEach(() => {
  said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
});
afterEach(() => vi.restoreAllMocks());
const words = (): string => said.mock.calls.map(([text]) => String(text)).join("");

const part = (kind: string, done: boolean, seconds: number | null, expected: number | null): Part => ({
  ...{ kind, done, seconds, expected },
});

interface Made extends Stage {
  readonly runs: { fresh: boolean }[];
}

/** A stage that is done once it ran. */
function stage(name: string, after: readonly string[] = [], change: Partial<StageLook> & { throws?: Error } = {}): Made {
  const { throws, ...look } = change;
  const runs: { fresh: boolean }[] = [];
  let done = false;
  return {
    ...{ name, what: `the ${name}`, after, runs },
    look: () => ({
      parts: [part(name, done, done ? 60 : null, 60)],
      ...{ finished: done, begun: done, missing: null, warning: null },
      ...look,
    }),
    run: async ({ fresh }) => {
      runs.push({ fresh });
      await Promise.resolve();
      if (throws !== undefined) throw throws;
      done = true;
    },
  };
}

describe("runStages", () => {
  it("runs the stages in their order, shows the plan before and after, and a line of it before each", async () => {
    const stages = [stage("one"), stage("two", ["one"])];
    const results = await runStages(stages, { fresh: false });
    expect(results.map(({ name, state }) => `${name} ${state}`)).toEqual(["one done", "two done"]);
    expect(words()).toContain("0 of 2 stages done; about 2 min left");
    expect(words()).toContain("two: begins (the two); 1 of 2 stages done; about 60 s left");
    expect(words().trimEnd()).toMatch(/2 of 2 stages done$/);
  });

  it("keeps the others when one fails, but for those that go on from it, and says why", async () => {
    const bad = stage("bad", [], { throws: new Error("no memory") });
    const needs = stage("needs", ["bad"]);
    const needsThat = stage("needs that", ["needs"]);
    const free = stage("free");
    const results = await runStages([bad, needs, needsThat, free], { fresh: false });
    expect(results.map(({ state }) => state)).toEqual(["failed", "left out", "left out", "done"]);
    expect(results.map(({ reason }) => reason)).toEqual([
      "no memory",
      "it goes on from bad, which is not done",
      "it goes on from needs, which is left out",
      null,
    ]);
    expect(results[0].error).toBeInstanceOf(Error);
    expect(needs.runs).toEqual([]);
    expect(words()).toContain("bad failed: no memory");
    expect(words()).toContain("1 of 4 stages done, 1 failed, 2 left out");
  });

  it.each([
    ["known before", stage("s", [], { missing: "no traces" }), 0],
    ["data", stage("s", [], { throws: new DataUnavailableError("x", "not here", "Get it") }), 1],
    ["anything else", stage("s", [], { throws: new MissingInputError("no Python") }), 1],
  ])("leaves out a stage whose input is missing: %s", async (_, made, ran) => {
    const after = stage("after");
    const results = await runStages([made, after], { fresh: false });
    expect(results.map(({ state }) => state)).toEqual(["left out", "done"]);
    expect(results[0].reason).toMatch(/no traces|not here|no Python/);
    expect(results[0].error).toBeNull();
    expect(made.runs).toHaveLength(ran);
    expect(words()).toMatch(/s is left out: .*(no traces|not here|no Python)/);
  });

  it("ends at once when it is told to stop, whatever the stage made of it", async () => {
    const controller = new AbortController();
    const stopped = { ...stage("stopped"), run: () => (controller.abort(new Error("stop")), Promise.reject(new Error("odd"))) };
    const never = stage("never");
    await expect(runStages([stopped, never], { fresh: false, signal: controller.signal })).rejects.toThrow("stop");
    expect(never.runs).toEqual([]);
  });

  it("calls a finished stage, too, which tells whether it still holds; begins anew when asked", async () => {
    const done = stage("done", [], { parts: [part("done", true, 5, 60)], finished: true, begun: true });
    expect(planOf([done])[0].state).toBe("done");
    expect(planOf([done], new Map(), true)[0]).toMatchObject({ state: "left", parts: [{ done: false }] });
    await runStages([done], { fresh: true });
    expect(done.runs).toEqual([{ fresh: true }]);
  });

  it("tells in the plan what is begun, what cannot be run, and what stands in the way", () => {
    const plan = planOf([
      stage("begun", [], {
        begun: true,
        parts: [part("a", true, 5, 5), part("a", false, null, 5)],
        warning: "rate was 1 and is 2",
      }),
      stage("gone", [], { missing: "no \u001b[31mtraces" }),
      stage("after", ["gone"]),
    ]);
    expect(plan.map(({ state }) => state)).toEqual(["part", "left out", "left out"]);
    const text = planText(plan);
    expect(text).toContain("| 1 of 2 done |");
    expect(text).toContain("begun: rate was 1 and is 2");
    expect(text).toContain("gone: no  [31mtraces");
    expect(text).not.toContain("\u001b");
    expect(planLine(plan)).toBe("0 of 3 stages done, 2 left out; about 5 s left");
  });
});

describe("time left", () => {
  const planned = (state: PlannedStage["state"], ...parts: Part[]): PlannedStage => ({
    ...{ name: "s", what: "", state, reason: null, parts },
  });

  it("is what is expected, until something is measured; then the pace of this machine counts", () => {
    const left = part("b", false, null, 100);
    expect(secondsOf(left, [planned("left", left)])).toBe(100);
    // Twice as slow as expected over all that is done.
    const plan = [planned("done", part("a", true, 30, 10), part("c", true, 10, 10)), planned("left", left)];
    expect(secondsOf(left, plan)).toBe(200);
    expect(timeLeft(plan)).toEqual({ seconds: 200, unknown: 0 });
  });

  it("is what parts of the same kind took, where there are some", () => {
    const plan = [planned("part", part("a", true, 30, 10), part("a", true, 50, 10), part("a", false, null, null))];
    expect(timeLeft(plan)).toEqual({ seconds: 40, unknown: 0 });
  });

  it("leaves out what failed or cannot be run, and counts what nobody has measured", () => {
    const unknown = part("a", false, null, null);
    const plan = [planned("failed", unknown), planned("left out", unknown), planned("left", unknown, part("b", false, null, 7))];
    expect(timeLeft(plan)).toEqual({ seconds: 7, unknown: 1 });
    expect(planLine(plan)).toBe(
      "0 of 3 stages done, 1 failed, 1 left out; about 7 s left and 1 part whose time nobody has measured",
    );
    expect(planText(plan)).toContain("|    ? |");
  });

  it("does not divide by parts that took no time", () => {
    const left = part("b", false, null, 100);
    expect(secondsOf(left, [planned("done", part("a", true, 0, 0)), planned("left", left)])).toBe(100);
  });
});
