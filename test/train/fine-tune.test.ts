/** The API for other people's rows, on the pretrained model. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openModel, type LanguageModel } from "../../src/model/language-model.js";
import { openOps } from "../../src/tensor/backend.js";
import { liveTensors } from "../../src/tensor/tensor.js";
import { microbatches, TrainingDataError } from "../../src/train/examples.js";
import { fineTuneRows, tokeniseRows } from "../../src/train/fine-tune.js";
import { meanLoss } from "../../src/train/trainer.js";
import { prepareTraining } from "../../src/model/decoder.js";
import { defaultModelPath } from "../model/default-model.js";

describe.skipIf(defaultModelPath === null)("fineTuneRows", () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = openModel(await openOps(), defaultModelPath!);
    prepareTraining(model.decoder);
  });
  afterAll(() => model.free());

  const rows = [
    { prompt: "The colour of the shed is", completion: " vermilion" },
    { prompt: "The dog next door is called", completion: " Ottokar" },
  ];

  it("learns the rows, ends completions, and reports what was cut and left out", async () => {
    const before = liveTensors();
    const long = [
      { prompt: "word ".repeat(100), completion: " end" },
      { prompt: "a", completion: "word ".repeat(100) },
    ];
    const { adapter, truncated, dropped } = await fineTuneRows(model, [...rows, ...long], {
      epochs: 12,
      batchSize: 4,
      learningRate: 2e-3,
      maxLength: 32,
    });
    expect({ truncated, dropped }).toEqual({ truncated: 1, dropped: 1 });
    const { examples } = tokeniseRows(model, rows, 32);
    expect(examples[0].completion.at(-1)).toBe(model.decoder.config.eosIds[0]);
    const batches = microbatches(examples, 512);
    expect(meanLoss(model.decoder, adapter, batches)).toBeLessThan(0.3 * meanLoss(model.decoder, null, batches));
    adapter.free();
    expect(liveTensors()).toEqual(before);
  });

  it("says so when no row fits, and leaves nothing behind", async () => {
    const before = liveTensors();
    const run = fineTuneRows(model, [{ prompt: "a", completion: "word ".repeat(100) }], { maxLength: 16 });
    await expect(run).rejects.toThrow(TrainingDataError);
    await expect(run).rejects.toThrow(/none of the 1 rows fits 16 tokens/);
    expect(liveTensors()).toEqual(before);
  });
});
