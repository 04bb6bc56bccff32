import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, firstDifference } from "../../src/experiments/config.js";
import { checkDpoConfig, dpoConfig } from "../../src/experiments/dpo-config.js";
import { DPO_PRESETS } from "../../src/experiments/presets/dpo.js";
import { SFT_PRESETS } from "../../src/experiments/presets/sft.js";
import { checkSftConfig, MODES, ratesOf, sftConfig } from "../../src/experiments/sft-config.js";

const { small, paper } = SFT_PRESETS;

describe("sftConfig", () => {
  it("changes what is set and nothing else", () => {
    expect(sftConfig(small)).toEqual(small);
    const settings = [
      "seeds=22, 42,123",
      "learningRates=1e-3,5e-4",
      "modes=generation",
      "testSets=",
      "model=a=b",
      "loraAlpha=16.5",
    ];
    const rest = Object.entries(small).filter(([key]) => key !== "classificationLearningRates");
    expect(sftConfig(small, settings)).toEqual({
      ...Object.fromEntries(rest),
      seeds: [22, 42, 123],
      learningRates: [1e-3, 5e-4],
      modes: ["generation"],
      testSets: [],
      model: "a=b",
      loraAlpha: 16.5,
    });
  });

  it("takes learningRates for both modes, unless classification gets its own", () => {
    const config = sftConfig(small, ["learningRates=2e-3"]);
    expect(MODES.map((mode) => ratesOf(config, mode))).toEqual([[2e-3], [2e-3]]);
    const own = sftConfig(config, ["classificationLearningRates=1e-4,1e-3"]);
    expect(MODES.map((mode) => ratesOf(own, mode))).toEqual([[2e-3], [1e-4, 1e-3]]);
    const kept = sftConfig(small, ["epochs=1"]);
    expect(ratesOf(kept, "classification")).toEqual(small.classificationLearningRates);
    expect(() => sftConfig(config, ["classificationLearningRates=x"])).toThrow(
      /classificationLearningRates is "x"; it must be numbers/,
    );
  });

  it.each([
    ["epoch=3", /there is no setting "epoch"; did you mean epochs\?/],
    ["learning_rates=1", /there is no setting "learning_rates"; did you mean learningRates\?/],
    ["__proto__=1", /there is no setting "__proto__"/],
    ["qqqqqqqqqqqq", /known are model, precision, modes/],
    ["epochs", /epochs needs a value: epochs=…, a whole number from 1 to 1000/],
    ["epochs=", /epochs is ""; it must be a whole number from 1 to 1000/],
    ["epochs=0", /epochs is "0"/],
    ["epochs=2.5", /epochs is "2\.5"/],
    ["epochs=Infinity", /epochs is "Infinity"/],
    ["seeds=", /seeds is ""; it must be whole numbers, separated by commas/],
    ["seeds=22,,42", /seeds is "22,,42"/],
    ["seeds=22,22", /seeds is "22,22"/],
    ["seeds=-1", /seeds is "-1"/],
    ["learningRates=0", /learningRates is "0"; it must be numbers above 0 and at most 1/],
    ["learningRates=1e-3,high", /learningRates is "1e-3,high"/],
    ["modes=generation,both", /modes is "generation,both"; it must be generation, classification, or both/],
    ["precision=float16", /precision is "float16"; it must be auto, float32 or bfloat16/],
    ["beta2=1", /beta2 is "1"; it must be a number from 0, below 1/],
    ["epochs=1\u202e2", /epochs is "1 2"; it must be/],
    ["model=\u001b[31m", /model is " \[31m"; it must be a model's name/],
  ])("refuses %j in words", (setting, words) => {
    expect(() => sftConfig(small, [setting])).toThrow(ConfigError);
    expect(() => sftConfig(small, [setting])).toThrow(words);
  });

  it("refuses a key set twice", () => {
    expect(() => sftConfig(small, ["epochs=2", "epochs=3"])).toThrow("epochs is set twice");
  });

  it("knows its own presets, and says which field of a file is wrong", () => {
    for (const preset of Object.values(SFT_PRESETS)) expect(checkSftConfig({ ...preset }, "f")).toEqual(preset);
    expect(() => checkSftConfig({ ...paper, r: 0 }, "runs/config.json")).toThrow(/runs\/config\.json: r must be a whole number/);
    expect(() => checkSftConfig({ ...paper, more: 1 }, "f")).toThrow(ConfigError);
    expect(() => checkSftConfig(null, "f")).toThrow(ConfigError);
  });

  it("gives a config or a ConfigError for any text", () => {
    const keys = fc.oneof(fc.constantFrom(...Object.keys(small)), fc.string());
    fc.assert(
      fc.property(fc.array(fc.tuple(keys, fc.string()), { maxLength: 3 }), (pairs) => {
        try {
          const config = sftConfig(
            small,
            pairs.map(([key, value]) => `${key}=${value}`),
          );
          expect(checkSftConfig(JSON.parse(JSON.stringify(config)), "f")).toEqual(config);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect((error as Error).message).not.toMatch(/\p{Cc}/u);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("firstDifference", () => {
  it("names the field and both values", () => {
    expect(firstDifference(small, { ...small })).toBeNull();
    expect(firstDifference(small, { ...small, learningRates: [2e-3] })).toEqual({
      field: "learningRates",
      words: "learningRates was 0.001 and is 0.002",
    });
    expect(firstDifference({ a: [] }, { a: ["x"] })?.words).toBe("a was empty and is x");
    expect(firstDifference({}, { b: 1 })?.words).toBe("b was not set and is 1");
  });
});

describe("the paper's preset", () => {
  it("is the paper's section on SFT", () => {
    // reference: arXiv 2606.27210, SFT settings and protocol
    expect(paper).toMatchObject({
      model: "llama-3.1-8b-instruct",
      modes: ["generation", "classification"],
      selectionSets: ["toxic-chat-train", "aegis-2.0-validation"],
      learningRates: [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4],
      seeds: [22],
      epochs: 5,
      patience: 1,
      keep: "best",
      batchSize: 32,
      maxLength: 512,
      r: 16,
      loraAlpha: 32,
      beta2: 0.98,
      weightDecay: 0.01,
      warmupRatio: 0.1,
    });
    expect(paper.testSets).toEqual(["wildguardmix", "xstest", "toxic-chat", "aegis-2.0", "openai-moderation", "aims-test"]);
  });

  it.each(Object.entries(SFT_PRESETS))("%s chooses and stops by sets that are not tested on", (_, preset) => {
    const seen = [preset.trainSet, preset.validationSet, ...preset.selectionSets];
    expect(preset.testSets.filter((set) => seen.includes(set))).toEqual([]);
  });
});

describe("dpoConfig", () => {
  const { smoke } = DPO_PRESETS;

  it("takes the paper's further conditions, one that goes on from another only after it", () => {
    const sets = ["ratio_half", "wrong_only", "curriculum"];
    expect(dpoConfig(smoke, [`pairSets=${sets.join(",")}`]).pairSets).toEqual(sets);
    for (const written of ["curriculum", "curriculum,wrong_only", "judge_bad_only,curriculum"])
      expect(() => dpoConfig(smoke, [`pairSets=${written}`])).toThrow(
        /pairSets is ".*curriculum.*"; it must be some of wrong_only, .*, separated by commas; curriculum only after wrong_only/,
      );
    expect(() => checkDpoConfig({ ...smoke, pairSets: ["curriculum"] }, "config.json")).toThrow(ConfigError);
  });

  it("refuses label smoothing for a loss that has none before anything is mined", () => {
    expect(dpoConfig(smoke, ["labelSmoothing=0.1"]).labelSmoothing).toBe(0.1);
    expect(() => dpoConfig(smoke, ["labelSmoothing=0.1", "loss=ipo"])).toThrow(
      /labelSmoothing is "0\.1"; it must be .*0 with ipo/,
    );
  });
});
