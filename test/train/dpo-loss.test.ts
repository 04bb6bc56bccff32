/** The preference losses against TRL's own code and against finite differences; no model. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dpoBatch } from "../../src/train/dpo.js";
import { checkDpoLoss, dpoLoss, DpoOptionsError, type DpoLossOptions } from "../../src/train/dpo-loss.js";
import { nllWeights, packPairs, pairLogProbs, type PreferenceExample } from "../../src/train/pairs.js";

interface Answers<T> {
  readonly chosen: T;
  readonly rejected: T;
}

interface TrlReference {
  readonly pairs: readonly { readonly policy: Answers<number[]>; readonly reference: Answers<number> }[];
  readonly cases: readonly {
    readonly kind: "sigmoid" | "ipo";
    readonly beta: number;
    readonly labelSmoothing: number;
    readonly weights: readonly number[];
    readonly loss: number;
    /** By each token's log-probability. */
    readonly gradients: Answers<number[][]>;
    readonly logged?: Record<string, number>;
  }[];
}

const trl = JSON.parse(readFileSync(new URL("../reference/dpo_losses.json", import.meta.url), "utf8")) as TrlReference;

describe("DPO's losses are TRL's", () => {
  const ids = (first: number, count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => first + i);
  const reference = { key: "", logProbs: Object.fromEntries(trl.pairs.map((pair, i) => [`${i}`, pair.reference])) };
  const nll = Float32Array.from(
    trl.pairs.flatMap(({ policy }) => [...policy.chosen, ...policy.rejected]),
    (value) => -value,
  );

  it.each(trl.cases)("$kind, beta $beta, smoothing $labelSmoothing, weights $weights", (expected) => {
    const { kind, beta, labelSmoothing, weights } = expected;
    const pairs = trl.pairs.map(({ policy }, i): PreferenceExample => ({
      id: `${i}`,
      prompt: ids(1, 3),
      chosen: ids(10, policy.chosen.length),
      rejected: ids(20, policy.rejected.length),
      weight: weights[i],
    }));
    const { loss, figures } = dpoBatch([packPairs(pairs)], reference, { kind, beta, labelSmoothing });
    const { value, weights: slopes } = loss(packPairs(pairs).batch, nll, 0);
    expect(value).toBeCloseTo(expected.loss, 5);
    const gradients = pairs.flatMap((_, i) => [...expected.gradients.chosen[i], ...expected.gradients.rejected[i]]);
    expect(slopes).toHaveLength(gradients.length);
    gradients.forEach((gradient, i) => expect(slopes[i]).toBeCloseTo(-gradient, 5));

    if (expected.logged === undefined) return;
    const { logged } = expected;
    const got = figures();
    expect(got.rewardChosen).toBeCloseTo(logged["rewards/chosen"], 5);
    expect(got.rewardRejected).toBeCloseTo(logged["rewards/rejected"], 5);
    expect(got.rewardMargin).toBeCloseTo(logged["rewards/margins"], 5);
    expect(got.rewardAccuracy).toBeCloseTo(logged["rewards/accuracies"], 6);
    expect(got.chosenLogProb).toBeCloseTo(logged["logps/chosen"], 5);
    expect(got.rejectedLogProb).toBeCloseTo(logged["logps/rejected"], 5);
    expect(got.chosenChange).toBeCloseTo(logged["rewards/chosen"] / beta, 4);
  });

  it.each([
    [0.5, true],
    [0.05, false],
    [-0.5, false],
  ])("warns when the chosen answers fell: reference higher by %d", (higher, fell) => {
    const pair = { id: "a", prompt: ids(1, 3), chosen: ids(10, 2), rejected: ids(20, 2), weight: 1 };
    const reference = { key: "", logProbs: { a: { chosen: -3 + higher, rejected: -5 } } };
    const { loss, figures } = dpoBatch([packPairs([pair])], reference, { beta: 0.3 });
    // The margin grows all the same: the rejected answer falls further.
    loss(packPairs([pair]).batch, Float32Array.of(1, 2, 5, 5), 0);
    expect(figures()).toMatchObject({ chosenFell: fell, rewardAccuracy: 1 });
    expect(figures().chosenChange).toBeCloseTo(-higher, 6);
  });
});

describe("dpoLoss", () => {
  const number = fc.double({ min: -60, max: 0, noNaN: true });
  const answers = fc.record({ chosen: number, rejected: number });
  const length = fc.integer({ min: 1, max: 30 });
  const scores = fc.record({ policy: answers, reference: answers, lengths: fc.record({ chosen: length, rejected: length }) });
  const beta = fc.double({ min: 0.05, max: 1, noNaN: true });
  const options = fc.oneof(
    fc.record<DpoLossOptions>({ kind: fc.constant("sigmoid"), beta, labelSmoothing: fc.constantFrom(0, 0.05, 0.3) }),
    fc.record<DpoLossOptions>({ kind: fc.constant("ipo"), beta }),
  );

  it("has the slopes that finite differences find", () => {
    fc.assert(
      fc.property(options, scores, (options, pair) => {
        const { slopes } = dpoLoss(options, pair);
        for (const answer of ["chosen", "rejected"] as const) {
          const at = (change: number): number =>
            dpoLoss(options, { ...pair, policy: { ...pair.policy, [answer]: pair.policy[answer] + change } }).value;
          const h = 1e-4;
          expect(Math.abs((at(h) - at(-h)) / (2 * h) - slopes[answer])).toBeLessThan(1e-5 * (1 + Math.abs(slopes[answer])));
        }
      }),
    );
  });

  it("is log 2 where policy and reference agree, falls as the chosen answer gains, and is finite at any distance", () => {
    const lengths = { chosen: 3, rejected: 4 };
    const at = (chosen: number): number =>
      dpoLoss({ beta: 0.3 }, { policy: { chosen, rejected: -5 }, reference: { chosen: -7, rejected: -5 }, lengths }).value;
    expect(at(-7)).toBeCloseTo(Math.LN2, 12);
    expect(at(-6)).toBeLessThan(at(-7));
    expect(at(-1e6)).toBeCloseTo(0.3 * (1e6 - 7), 3);
    expect(at(1e6)).toBe(0);
  });

  it.each([
    [{ beta: 0 }, /beta is 0/],
    [{ beta: NaN }, /beta is NaN/],
    [{ beta: Infinity }, /beta is Infinity/],
    [{ beta: 0.3, labelSmoothing: 0.5 }, /labelSmoothing is 0.5/],
    [{ beta: 0.3, labelSmoothing: -0.1 }, /labelSmoothing is -0.1/],
    [{ beta: 0.3, kind: "ipo", labelSmoothing: 0.1 }, /not defined for the IPO loss/],
  ] as [DpoLossOptions, RegExp][])("refuses %j", (options, message) => {
    expect(() => checkDpoLoss(options)).toThrow(DpoOptionsError);
    expect(() => checkDpoLoss(options)).toThrow(message);
  });
});

describe("packed pairs", () => {
  const tokens = (count: { min: number; max: number }) =>
    fc.array(fc.integer({ min: 0, max: 2 }), { minLength: count.min, maxLength: count.max }).map((ids) => Int32Array.from(ids));
  const pair = fc.record({
    prompt: tokens({ min: 1, max: 6 }),
    chosen: tokens({ min: 1, max: 6 }),
    rejected: tokens({ min: 1, max: 6 }),
  });
  // Few ids, so that answers often begin alike.
  const pairs = fc
    .array(pair, { minLength: 1, maxLength: 5 })
    .map((list) => list.map((p, i) => ({ ...p, id: `${i}`, weight: 1 })));
  /** A made-up model: what a token costs depends on all that stands before it. */
  const cost = (before: readonly number[], token: number): number =>
    before.reduce((sum, id, i) => (sum * 3 + id + i) % 17, token + 1) / 8;
  const score = (prompt: Int32Array, answer: Int32Array): number =>
    answer.reduce((sum, token, i) => sum - cost([...prompt, ...answer.subarray(0, i)], token), 0);

  it("give each answer its own log-probability, shared or not", () => {
    fc.assert(
      fc.property(pairs, fc.boolean(), (pairs, share) => {
        const packed = packPairs(pairs, share);
        const costs = new Float32Array(packed.batch.rows.length);
        // The costs by way of the packed batch: what a row sees is its segment's prefix, then the segment up to itself.
        const { segments, ids, rows, targets } = packed.batch;
        rows.forEach((row, i) => {
          const s = Array.from({ length: segments.length / 4 }, (_, k) => segments.subarray(4 * k, 4 * k + 4));
          const own = s.find(([start, length]) => row >= start && row < start + length)!;
          const before = [...ids.subarray(own[2], own[2] + own[3]), ...ids.subarray(own[0], row + 1)];
          costs[i] = cost(before, targets[i]);
        });
        pairLogProbs(packed, costs).forEach(({ chosen, rejected }, i) => {
          expect(chosen).toBeCloseTo(score(pairs[i].prompt, pairs[i].chosen), 4);
          expect(rejected).toBeCloseTo(score(pairs[i].prompt, pairs[i].rejected), 4);
        });
      }),
    );
  });

  it("spread slopes over tokens as the transpose of summing them", () => {
    fc.assert(
      fc.property(pairs, fc.boolean(), fc.infiniteStream(fc.integer({ min: -8, max: 8 })), (pairs, share, stream) => {
        const draw = (): number => stream.next().value as number;
        const packed = packPairs(pairs, share);
        const slopes = pairs.map(() => ({ chosen: draw(), rejected: draw() }));
        const nll = Float32Array.from(packed.batch.rows, draw);
        const sums = pairLogProbs(packed, nll);
        const left = slopes.reduce((sum, s, i) => sum + s.chosen * sums[i].chosen + s.rejected * sums[i].rejected, 0);
        expect(nllWeights(packed, slopes).reduce((sum, w, i) => sum + w * nll[i], 0)).toBeCloseTo(left, 6);
      }),
    );
  });

  it("compute the prompt and the answers' common start once", () => {
    const prompt = Int32Array.of(1, 2, 3);
    const [chosen, rejected] = [Int32Array.of(7, 8, 4, 2), Int32Array.of(7, 8, 5, 6, 2)];
    const pairs = [{ id: "a", prompt, chosen, rejected, weight: 1 }];
    // The last token of an answer needs no row: 3 + 2 + 1 + 2 against 3 + 3 and 3 + 4.
    expect(packPairs(pairs).batch.tokenCount).toBe(8);
    expect(packPairs(pairs, false).batch.tokenCount).toBe(13);
    expect(packPairs(pairs).batch.rows).toHaveLength(2 + 2 + 3);
  });
});
