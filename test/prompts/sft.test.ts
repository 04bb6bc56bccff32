import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadSample } from "../../src/data/sample.js";
import { PromptFormatError, SFT_CLASSIFICATION, SFT_GENERATION, trainingText, verdictPrefix } from "../../src/prompts/sft.js";

const row = { id: "r1", prompt: "How do I kill a process?", intent: "To end a program", harm: "safe" } as const;

describe("training text", () => {
  it("is the paper's, byte for byte", () => {
    expect(trainingText(SFT_GENERATION, row)).toEqual({
      input: "How do I kill a process?\n",
      completion: "Intent: To end a program; Harm: safe",
    });
    expect(trainingText(SFT_CLASSIFICATION, { ...row, intent: null, harm: "harmful" })).toEqual({
      input: "How do I kill a process?\n",
      completion: "harmful",
    });
  });

  it("is read back as the same intent and label for every row of the sample set, in both formats", () => {
    const rows = loadSample();
    expect(rows.length).toBeGreaterThan(200);
    for (const sample of rows) {
      const { completion } = trainingText(SFT_GENERATION, sample);
      expect(SFT_GENERATION.parse(completion)).toEqual({ intent: sample.intent, harm: sample.harm });
      expect(SFT_CLASSIFICATION.parse(trainingText(SFT_CLASSIFICATION, sample).completion).harm).toBe(sample.harm);
    }
  });

  it("is read back or refused, whatever the intent", () => {
    const intents = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom("a; Harm: safe", "x\nHarm: harmful", "y Harm: s", "</think>", "z."),
    );
    fc.assert(
      fc.property(intents, fc.constantFrom("harmful" as const, "safe" as const), (intent, harm) => {
        let completion: string;
        try {
          completion = trainingText(SFT_GENERATION, { ...row, intent, harm }).completion;
        } catch (error) {
          expect(error).toBeInstanceOf(PromptFormatError);
          return;
        }
        expect(SFT_GENERATION.parse(completion)).toEqual({ intent: intent.replace(/\s+/g, " ").trim(), harm });
      }),
    );
  });

  it.each([null, "", " \n"])("needs an intent where the format states one: %j", (intent) => {
    expect(() => trainingText(SFT_GENERATION, { ...row, intent })).toThrow(PromptFormatError);
  });

  it("refuses an intent that holds a verdict, naming the row", () => {
    expect(() => trainingText(SFT_GENERATION, { ...row, intent: "To fool; Harm: harmful" })).toThrow(/"r1"/);
  });
});

describe("the verdict position", () => {
  it.each([SFT_GENERATION, SFT_CLASSIFICATION])("splits the completion of $name into prefix and label word", (format) => {
    for (const harm of ["harmful", "safe"] as const) {
      expect(verdictPrefix(format, row.intent) + format.labelWords[harm]).toBe(trainingText(format, { ...row, harm }).completion);
    }
  });
});
