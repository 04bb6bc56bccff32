/** The pretrained default model against transformers, PEFT and torch: logits, greedy text, three LoRA steps. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packSequences } from "../../src/model/batch.js";
import { forward } from "../../src/model/forward.js";
import { generate } from "../../src/model/generate.js";
import { openModel, type LanguageModel } from "../../src/model/language-model.js";
import { createLora, loraFromPeft, type LoraAdapter } from "../../src/model/lora.js";
import { readPeft } from "../../src/model/peft.js";
import { scoreCompletions } from "../../src/model/score.js";
import { openSafetensors } from "../../src/model/weights/safetensors.js";
import { inspect } from "../../src/commands/inspect.js";
import { createRandom } from "../../src/random.js";
import { openOps } from "../../src/tensor/backend.js";
import { microbatches } from "../../src/train/examples.js";
import { sftLoss } from "../../src/train/sft.js";
import { createTrainer, trainStep } from "../../src/train/trainer.js";
import { defaultModelPath } from "./default-model.js";

const reference = (file: string): URL => new URL(`../reference/smollm2/${file}`, import.meta.url);
const json = (file: string): unknown => JSON.parse(readFileSync(reference(file), "utf8"));

interface ForwardCase {
  readonly name: string;
  readonly text: string;
  readonly ids: number[];
  readonly top20_ids: number[];
  readonly top20_logits: number[];
  readonly logsumexp: number;
  readonly completion_ids: number[];
  readonly completion_logprobs: number[];
  readonly greedy40: number[];
  readonly greedy_top2_margin: number[];
}

interface TrainingRun {
  readonly losses: number[];
  readonly grad_norms: number[];
  readonly loss_after: number;
  readonly logps_after: number[][];
}

interface LoraReference {
  readonly batch: { readonly prompt_ids: number[]; readonly completion_ids: number[] }[];
  readonly seeded: TrainingRun;
  readonly formula_r16: TrainingRun;
}

describe.skipIf(defaultModelPath === null)("smollm2-135m-instruct, float32", () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = openModel(await openOps({ precision: "float32" }), defaultModelPath!);
  });
  afterAll(() => model.free());

  const { cases } = json("forward.json") as { cases: ForwardCase[] };

  it.each(cases)("$name: ids, logits, log-probabilities and greedy text", async (expected) => {
    const { text, ids } = expected;
    // The chat case is a rendered template: there the control tokens are ours.
    const encoded = expected.name === "chat" ? model.tokenizer.encodeWithSpecials(text) : model.tokenizer.encode(text);
    expect([...encoded]).toEqual(ids);

    const result = await inspect(model.decoder, encoded, null, 20, 40);
    result.top.forEach(([id, logit], rank) => {
      expect(Math.abs(logit - expected.top20_logits[rank])).toBeLessThan(1e-4 * Math.abs(logit));
      expect(expected.top20_ids).toContain(id);
    });
    expect(Math.abs(result.logsumexp - expected.logsumexp)).toBeLessThan(1e-4 * expected.logsumexp);

    const items = [{ prompt: encoded, completions: [Int32Array.from(expected.completion_ids)] }];
    const [[logProbs]] = await scoreCompletions(model.decoder, items);
    expected.completion_logprobs.forEach((value, i) =>
      expect(Math.abs(logProbs[i] - value)).toBeLessThan(1e-4 * Math.max(1, Math.abs(value))),
    );

    const close = expected.greedy_top2_margin.findIndex((margin) => margin < 1e-3);
    const upTo = close < 0 ? expected.greedy40.length : close;
    expect(result.greedy.slice(0, upTo)).toEqual(expected.greedy40.slice(0, upTo));
  });

  const training = json("lora_training.json") as LoraReference;
  const rows = training.batch.map(({ prompt_ids, completion_ids }) => ({
    prompt: Int32Array.from(prompt_ids),
    completion: Int32Array.from(completion_ids),
  }));
  const runs: [string, TrainingRun, () => LoraAdapter][] = [
    [
      "rank 4 on three layers, from a PEFT adapter",
      training.seeded,
      () => loraFromPeft(model.decoder, readPeft(fileURLToPath(reference("adapter")))),
    ],
    ["rank 16 on all layers, from a formula", training.formula_r16, () => formulaAdapter(model)],
  ];

  it.each(runs)("takes torch's three AdamW steps: %s", (_, expected, make) => {
    const adapter = make();
    const trainer = createTrainer(model.decoder, adapter, { maxGradNorm: Infinity });
    try {
      const batches = microbatches(rows, 2048);
      const tokens = rows.reduce((sum, row) => sum + row.completion.length, 0);
      expected.losses.forEach((loss, step) => {
        const result = trainStep(trainer, batches, sftLoss(tokens), 2e-4);
        expect(Math.abs(result.loss - loss)).toBeLessThan(1e-4 * loss);
        expect(Math.abs(result.gradientNorm - expected.grad_norms[step])).toBeLessThan(1e-4 * expected.grad_norms[step]);
      });
      if (adapter.options.r === 4) {
        const stored = openSafetensors(fileURLToPath(reference("lora_after3.safetensors")));
        const values = model.decoder.ops.device.download(adapter.parameters);
        for (const factor of adapter.factors) {
          const block = ["gate_proj", "up_proj", "down_proj"].includes(factor.module) ? "mlp" : "self_attn";
          const b = stored.read(`base_model.model.model.layers.${factor.layer}.${block}.${factor.module}.lora_B.weight`);
          const far = b.filter((v, i) => Math.abs(v - values[factor.offsetB + i]) > 2e-5).length;
          // A step moves a value by about the rate, 2e-4, in the direction of the gradient's sign: where a gradient is nothing but noise,
          // Adam turns the noise into such a step. Those are few; all others agree to a tenth of a step.
          expect(far).toBeLessThanOrEqual(0.005 * b.length);
        }
        stored.close();
      }
      const after = trainStep(trainer, batches, sftLoss(tokens), 0);
      expect(Math.abs(after.loss - expected.loss_after)).toBeLessThan(1e-4 * expected.loss_after);
    } finally {
      trainer.free();
      adapter.free();
    }
  });
});

/** A[k] = 0.03 sin(0.37 (k + 1) + 1.3 layer + 0.7 module) over the row-major index k; B = 0. */
function formulaAdapter(model: LanguageModel): LoraAdapter {
  const modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
  const adapter = createLora(model.decoder, { r: 16, loraAlpha: 32 }, createRandom(0));
  const values = new Float32Array(adapter.size);
  for (const factor of adapter.factors)
    for (let k = 0; k < factor.rank * factor.inputs; k++)
      values[factor.offsetA + k] = 0.03 * Math.sin(0.37 * (k + 1) + 1.3 * factor.layer + 0.7 * modules.indexOf(factor.module));
  adapter.parameters.free();
  adapter.parameters = model.decoder.ops.device.upload(values, [values.length]);
  return adapter;
}

describe.skipIf(defaultModelPath === null)("smollm2-135m-instruct, bfloat16", () => {
  it("keeps the loss within 2% and the greedy start of float32", async () => {
    const { cases } = json("forward.json") as { cases: ForwardCase[] };
    const model = openModel(await openOps({ precision: "bfloat16" }), defaultModelPath!);
    try {
      for (const { ids, completion_ids, completion_logprobs } of cases) {
        const all = Int32Array.from([...ids, ...completion_ids]);
        const pass = forward(model.decoder, packSequences([{ ids: all, scoreFrom: ids.length }]), null);
        pass.free();
        const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
        const wanted = -mean(completion_logprobs);
        expect(Math.abs(mean(pass.nll) - wanted)).toBeLessThan(0.02 * wanted);
      }
      const first = await generate(
        model.decoder,
        cases.map((c) => Int32Array.from(c.ids)),
        { maxNewTokens: 1 },
      );
      cases.forEach((c, i) => {
        if (c.greedy_top2_margin[0] > 0.5) expect(first[i][0].ids[0]).toBe(c.greedy40[0]);
      });
    } finally {
      model.free();
    }
  });
});
