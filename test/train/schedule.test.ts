import { describe, expect, it } from "vitest";
import { scheduleFactor } from "../../src/train/schedule.js";

describe("scheduleFactor", () => {
  // transformers 5.23: get_scheduler(kind, optimizer of rate 1, num_warmup_steps=2, num_training_steps=10).get_last_lr() before each step
  it.each([
    [
      "cosine",
      [
        0, 0.5, 1, 0.9619397662556434, 0.8535533905932737, 0.6913417161825449, 0.5, 0.3086582838174551, 0.14644660940672627,
        0.03806023374435663,
      ],
    ],
    ["linear", [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]],
    ["constant", [0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1]],
  ] as const)("follows transformers: %s", (kind, expected) => {
    expected.forEach((value, step) => {
      expect(scheduleFactor({ kind, warmupRatio: 0.2 }, step, 10)).toBeCloseTo(value, 12);
    });
  });

  it("starts at the peak without warm-up", () => {
    expect(scheduleFactor({ kind: "cosine", warmupRatio: 0 }, 0, 7)).toBe(1);
  });
});
