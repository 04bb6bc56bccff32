/** Pauses between tries, and tasks side by side. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concurrently } from "../../src/engines/concurrent.js";
import { pauseAfter, RequestFault, withBackOff } from "../../src/engines/retry.js";
import { createRandom } from "../../src/random.js";

describe("pauseAfter", () => {
  it("doubles, within half of its bound, respects the server, and never passes the longest pause", () => {
    const backOffs = fc.record({
      tries: fc.constant(5),
      baseMs: fc.integer({ min: 1, max: 5000 }),
      longestMs: fc.integer({ min: 1, max: 100_000 }),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.option(fc.nat(1_000_000)),
        backOffs,
        fc.nat(),
        (tried, wait, backOff, seed) => {
          const pause = pauseAfter(tried, wait, backOff, createRandom(seed));
          const bound = backOff.baseMs * 2 ** (tried - 1);
          expect(pause).toBe(pauseAfter(tried, wait, backOff, createRandom(seed)));
          expect(pause).toBeGreaterThanOrEqual(Math.min(Math.max(bound / 2, wait ?? 0), backOff.longestMs));
          expect(pause).toBeLessThanOrEqual(Math.min(Math.max(bound, wait ?? 0), backOff.longestMs));
        },
      ),
    );
  });
});

describe("withBackOff", () => {
  const quick = { tries: 4, baseMs: 1, longestMs: 2 };
  const failing = async (kind: RequestFault["kind"]): Promise<{ tries: number; error: unknown }> => {
    let tries = 0;
    const action = (): Promise<never> => {
      tries++;
      return Promise.reject(new RequestFault("broken", kind));
    };
    const error = await withBackOff(action, quick, createRandom(1)).catch((reason: unknown) => reason);
    return { tries, error };
  };

  it("tries again what may pass, and nothing else", async () => {
    for (const kind of ["passing", "unreachable"] as const) {
      const { tries, error } = await failing(kind);
      expect(tries).toBe(4);
      expect(error).toMatchObject({ kind, message: "broken (asked 4 times)" });
    }
    for (const kind of ["refused", "hopeless"] as const)
      expect(await failing(kind)).toMatchObject({ tries: 1, error: { kind, message: "broken" } });
    let tries = 0;
    const bug = (): Promise<never> => {
      tries++;
      return Promise.reject(new TypeError("a bug"));
    };
    await expect(withBackOff(bug, quick, createRandom(1))).rejects.toThrow(TypeError);
    expect(tries).toBe(1);
  });
});

describe("concurrently", () => {
  const turns = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
  };

  it("runs every task once, never more than the limit, and yields what comes first", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 20 }), fc.integer({ min: 1, max: 6 }), async (lengths, limit) => {
        let now = 0;
        const found: number[] = [];
        const work = async (index: number): Promise<number> => {
          now++;
          expect(now).toBeLessThanOrEqual(limit);
          await turns(lengths[index]);
          now--;
          return index;
        };
        for await (const index of concurrently([...lengths.keys()], limit, work)) found.push(index);
        expect(found.sort((a, b) => a - b)).toEqual([...lengths.keys()]);
      }),
      { numRuns: 40 },
    );
  });

  it("awaits what runs before it throws or is left, and aborts it", async () => {
    let running = 0;
    const work = async (index: number, signal: AbortSignal): Promise<number> => {
      running++;
      if (index === 0) await turns(2);
      else await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      await turns(2);
      running--;
      if (index === 0) throw new Error("first");
      return index;
    };
    const all: number[] = [];
    const failing = async (): Promise<void> => {
      for await (const index of concurrently([0, 1, 2, 3, 4], 3, work)) all.push(index);
    };
    await expect(failing()).rejects.toThrow("first");
    expect(running).toBe(0);
    expect(all).toEqual([1, 2]);
    const left = concurrently([1, 2, 3], 2, async (index, signal) => {
      running++;
      if (index > 1) await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      running--;
      return index;
    });
    for await (const index of left) {
      expect(index).toBe(1);
      break;
    }
    expect(running).toBe(0);
  });
});
