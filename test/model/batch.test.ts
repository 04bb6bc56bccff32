import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { commonStart, continuesPrefix, groupByTokens, packSequences } from "../../src/model/batch.js";

const ids = (...values: number[]): Int32Array => Int32Array.from(values);

describe("packSequences", () => {
  it("lays sequences end to end, drops last tokens that nothing reads, and scores targets at the row before them", () => {
    const batch = packSequences([{ ids: ids(10, 11, 12, 13), scoreFrom: 2 }, { ids: ids(20, 21) }]);
    expect(batch.tokenCount).toBe(4);
    expect([...batch.ids]).toEqual([10, 11, 12, 20]);
    expect([...batch.positions]).toEqual([0, 1, 2, 0]);
    expect([...batch.segments]).toEqual([0, 3, 0, 0, 3, 1, 0, 0]);
    expect([...batch.rows]).toEqual([1, 2]);
    expect([...batch.targets]).toEqual([12, 13]);
    expect([...batch.scored]).toEqual([0, 2, 2]);
  });

  it("lets completions share a prefix: the first token of each is predicted by the prefix's last row", () => {
    const batch = packSequences([
      { ids: ids(1, 2, 3) },
      { ids: ids(4, 5), prefix: 0, scoreFrom: 0 },
      { ids: ids(6), prefix: 0, scoreFrom: 0 },
    ]);
    expect([...batch.ids]).toEqual([1, 2, 3, 4]);
    expect([...batch.positions]).toEqual([0, 1, 2, 3]);
    // The one-token completion needs no row of its own.
    expect([...batch.segments]).toEqual([0, 3, 0, 0, 3, 1, 0, 3]);
    expect([...batch.rows]).toEqual([2, 3, 2]);
    expect([...batch.targets]).toEqual([4, 5, 6]);
  });

  it("keeps the last row on request", () => {
    expect(packSequences([{ ids: ids(1, 2), keepLast: true }]).tokenCount).toBe(2);
  });

  it.each([
    ["an empty sequence", [{ ids: ids() }], /sequence 0 .* empty/],
    ["a prefix that stands later", [{ ids: ids(1), prefix: 1 }, { ids: ids(2) }], /sequence 0 continues sequence 1/],
    ["a chain of prefixes", [{ ids: ids(1) }, { ids: ids(2), prefix: 0 }, { ids: ids(3, 4), prefix: 1 }], /sequence 2 continues/],
    ["a first token with nothing before it", [{ ids: ids(1, 2), scoreFrom: 0 }], /sequence 0 .* first token/],
  ])("refuses %s", (_, sequences, message) => {
    expect(() => packSequences(sequences)).toThrow(message);
  });
});

describe("groupByTokens", () => {
  it("keeps order and all items, and passes the limit only with a single item", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 })), fc.integer({ min: 1, max: 60 }), (sizes, limit) => {
        const groups = groupByTokens(sizes, (n) => n, limit);
        expect(groups.flat()).toEqual(sizes);
        for (const group of groups) expect(group.length === 1 || group.reduce((a, b) => a + b, 0) <= limit).toBe(true);
        // As few groups as the order allows: no group could take the next one's first item.
        groups.slice(1).forEach((group, i) => expect(groups[i].reduce((a, b) => a + b, 0) + group[0]).toBeGreaterThan(limit));
      }),
    );
  });
});

describe("commonStart", () => {
  const few = fc.array(fc.nat(2), { maxLength: 6 }).map((values) => ids(...values));

  it("is the longest that every sequence begins with and goes on after", () => {
    fc.assert(
      fc.property(few, fc.array(few, { minLength: 2, maxLength: 4 }), (start, ends) => {
        const sequences = ends.map((end) => ids(...start, ...end));
        const shared = commonStart(sequences);
        if (shared.length > 0) for (const sequence of sequences) expect(continuesPrefix(sequence, shared)).toBe(true);
        const longer = sequences[0].subarray(0, shared.length + 1);
        const all = sequences[0].length > shared.length && sequences.every((sequence) => continuesPrefix(sequence, longer));
        expect(all).toBe(false);
      }),
    );
  });

  it("is nothing for fewer than two, and beside an empty one", () => {
    for (const sequences of [[], [ids(1, 2, 3)], [ids(1, 2, 3), ids()]]) expect(commonStart(sequences)).toEqual(ids());
  });
});
