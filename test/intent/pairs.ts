/** Made-up pairs for tests. */
import fc from "fast-check";
import { LEVELS } from "../../src/data/prompt.js";
import type { PreferencePair } from "../../src/intent/pairs.js";

const text = fc.string({ unit: "binary", minLength: 1, maxLength: 30 }).filter((value) => value.trim() !== "");

/** Lists of valid pairs, distinct by id, with any text. */
export const anyPairs: fc.Arbitrary<PreferencePair[]> = fc
  .array(
    fc.record({
      row: fc.integer({ min: 0, max: 9 }),
      gold: fc.constantFrom("harmful" as const, "safe" as const),
      reason: fc.constantFrom("label_error" as const, "judge_bad" as const, "judge_decent" as const),
      level: fc.option(fc.constantFrom(...LEVELS), { nil: undefined }),
      theme: fc.option(text, { nil: undefined }),
      prompt: text,
      goldIntent: text,
      sampledIntent: text,
    }),
    { maxLength: 60, size: "max" },
  )
  .map((drafts) =>
    drafts.map(({ row, gold, reason, level, theme, prompt, goldIntent, sampledIntent }, i) => {
      const relabelledHarm = reason === "label_error" ? (gold === "safe" ? "harmful" : "safe") : gold;
      return {
        ...{ id: `r${row}#${i}`, rowId: `r${row}`, prompt, goldIntent, goldHarm: gold },
        ...(theme !== undefined && { theme }),
        ...(level !== undefined && { level }),
        ...{ sampledIntent, relabelledHarm, reason },
        judgeVerdict: reason === "label_error" ? null : reason === "judge_bad" ? "bad" : "decent",
        chosen: `Intent: ${goldIntent}; Harm: ${gold}`,
        rejected: `Intent: ${sampledIntent}!; Harm: ${relabelledHarm} `,
        weight: 1,
      };
    }),
  );
