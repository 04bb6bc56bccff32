/** How the ablations' training sets are drawn, labelled and kept apart: held by properties over many sets. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LabelledPrompt } from "../../src/data/prompt.js";
import { labelsByPrompt, nestedDraw, relabelled, withoutPrompts } from "../../src/experiments/ablations-rows.js";

const row = (id: number, more: Partial<LabelledPrompt> = {}): LabelledPrompt => ({
  ...{ id: String(id), prompt: `prompt ${id}`, intent: null, harm: "safe", source: "test" },
  ...more,
});

const sets = fc
  .array(fc.record({ theme: fc.constantFrom("a", "b", "c", undefined), harm: fc.constantFrom("harmful", "safe") }), {
    minLength: 1,
    maxLength: 120,
  })
  .map((rows) => rows.map(({ theme, harm }, i) => row(i, { harm, ...(theme !== undefined && { theme }) })));
const stratum = ({ theme, harm }: LabelledPrompt): string => `${theme ?? ""} ${harm}`;

describe("nestedDraw", () => {
  it("draws so many rows, in the set's order, the smaller draw within the larger one", () => {
    fc.assert(
      fc.property(sets, fc.nat(130), fc.nat(130), fc.nat(5), (rows, a, b, seed) => {
        const [small, large] = [Math.min(a, b), Math.max(a, b)].map((count) => nestedDraw(rows, count, seed));
        expect(small).toHaveLength(Math.min(Math.min(a, b), rows.length));
        expect(large).toEqual(rows.filter((one) => large.includes(one)));
        expect(small.filter((one) => !large.includes(one))).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it("takes of each theme and label its share, give or take a row for each stratum", () => {
    fc.assert(
      fc.property(sets, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(5), (rows, share, seed) => {
        const count = Math.round(share * rows.length);
        const drawn = nestedDraw(rows, count, seed);
        const strata = new Set(rows.map(stratum));
        for (const name of strata) {
          const [all, some] = [rows, drawn].map((list) => list.filter((one) => stratum(one) === name).length);
          // The line is cut at the same place for all strata, which lies within their number of rows of the share.
          expect(Math.abs(some - (all * count) / rows.length)).toBeLessThanOrEqual(1 + (all * strata.size) / rows.length);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("is decided by the seed", () => {
    const rows = Array.from({ length: 60 }, (_, i) => row(i, { harm: i % 3 === 0 ? "harmful" : "safe" }));
    expect(nestedDraw(rows, 20, 1)).toEqual(nestedDraw(rows, 20, 1));
    expect(nestedDraw(rows, 20, 1)).not.toEqual(nestedDraw(rows, 20, 2));
  });
});

describe("other labels", () => {
  it("replace those of rows that have one, and are counted", () => {
    const rows = [row(0), row(1, { harm: "harmful", level: "uncertain_harmful" }), row(2), row(3, { harm: "harmful" })];
    const other = [
      row(10, { prompt: "Prompt  0", harm: "harmful" }),
      row(11, { prompt: "prompt 1", harm: "safe" }),
      row(12, { prompt: "prompt 2", harm: "safe" }),
      row(13, { prompt: "prompt 2", harm: "harmful" }),
      row(14, { prompt: "prompt 3", harm: "harmful" }),
      row(15, { prompt: "prompt 3", harm: "harmful" }),
    ];
    const result = relabelled(rows, labelsByPrompt(other));
    // Case and white space do not tell texts apart; a prompt with both labels has none.
    expect(result.rows.map(({ id, harm }) => `${id} ${harm}`)).toEqual(["0 harmful", "1 safe", "3 harmful"]);
    expect(result).toMatchObject({ missing: 1, changed: 2 });
    expect(result.rows[1]).not.toHaveProperty("level");
    expect(result.rows[2]).toBe(rows[3]);
    expect(rows[1].level).toBe("uncertain_harmful");
  });

  it("stay none where both labels are given three times", () => {
    const both = ["safe", "harmful", "safe"].map((harm, i) => row(i, { prompt: "one", harm: harm as "safe" }));
    expect(labelsByPrompt(both)({ prompt: "one" })).toBeNull();
    expect(labelsByPrompt([])({ prompt: "one" })).toBeNull();
  });
});

it("withoutPrompts leaves out what another set asks, however it is written", () => {
  const pool = [row(0), row(1, { prompt: "ＰＲＯＭＰＴ 5" }), row(2)];
  expect(withoutPrompts(pool, [[row(9, { prompt: " prompt 0 " })], [row(5)]])).toEqual([pool[2]]);
});
