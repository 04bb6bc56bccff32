/** The whole decoder against transformers and PEFT: every architecture, on every op set that this machine has. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { backward } from "../../src/model/backward.js";
import { packSequences, type Sequence } from "../../src/model/batch.js";
import { prepareTraining, type Decoder } from "../../src/model/decoder.js";
import { forward, forwardHidden, headLogits, uploadBatch } from "../../src/model/forward.js";
import { generate } from "../../src/model/generate.js";
import { activateLora, loraFromPeft, type ActiveLora, type LoraAdapter } from "../../src/model/lora.js";
import { readPeft } from "../../src/model/peft.js";
import { scoreCompletions } from "../../src/model/score.js";
import { openSafetensors } from "../../src/model/weights/safetensors.js";
import { openOps } from "../../src/tensor/backend.js";
import type { DecoderOps } from "../../src/tensor/ops.js";
import { liveTensors, scope } from "../../src/tensor/tensor.js";
import { checkpointFolder, CHECKPOINTS, expectedNumbers, openCheckpoint, type ExpectedNumbers } from "./checkpoints.js";

const relativeError = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  expect(actual.length).toBe(expected.length);
  let difference = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    size += expected[i] ** 2;
  }
  return Math.sqrt(difference / size);
};

const lastLogits = (decoder: Decoder, ids: Int32Array, lora: ActiveLora | null): Float32Array =>
  scope(() => {
    const batch = uploadBatch(decoder, { ...packSequences([{ ids, keepLast: true }]), rows: Int32Array.of(ids.length - 1) });
    return decoder.ops.device.download(headLogits(decoder, forwardHidden(decoder, batch, lora, null).hidden)) as Float32Array;
  });

const lossGradient = (
  decoder: Decoder,
  adapter: LoraAdapter,
  lora: ActiveLora,
  sequences: Sequence[],
  recompute = false,
): { loss: number; gradient: Float32Array } => {
  const pass = forward(decoder, packSequences(sequences), lora, { training: true, recompute });
  const vector = decoder.ops.gradientVector(adapter.size);
  try {
    const count = pass.nll.length;
    backward(decoder, pass, lora, new Float32Array(count).fill(1 / count), vector);
    const gradient = vector.take();
    const values = decoder.ops.device.download(gradient) as Float32Array;
    gradient.free();
    return { loss: pass.nll.reduce((a, b) => a + b, 0) / count, gradient: values };
  } finally {
    vector.free();
    pass.free();
  }
};

describe.each(["native", "portable", "javascript"] as const)("%s ops in float32", (backend) => {
  let ops: DecoderOps;
  beforeAll(async () => {
    ops = await openOps({ backend, precision: "float32" });
  });

  describe.each(CHECKPOINTS)("%s", (name) => {
    const expected = expectedNumbers(name);
    let decoder: Decoder;
    let adapter: LoraAdapter;
    let lora: ActiveLora;
    const liveBefore = liveTensors().count;
    beforeAll(() => {
      decoder = openCheckpoint(ops, name);
      prepareTraining(decoder);
      adapter = loraFromPeft(decoder, readPeft(`${checkpointFolder(name)}/adapter`));
      lora = activateLora(decoder, adapter, true);
    });
    afterAll(() => {
      lora.free();
      adapter.free();
      decoder.free();
      expect(liveTensors().count).toBe(liveBefore);
    });

    const cases: [string, ExpectedNumbers, () => ActiveLora | null][] = [
      ["the base model", expected, () => null],
      ["the adapter", expected.adapter, () => lora],
    ];

    it.each(cases)("gives transformers' logits and log-probabilities: %s", (_, numbers, active) => {
      for (const { ids, lastLogits: logits, logProbs } of numbers.sequences) {
        const tokens = Int32Array.from(ids);
        const actual = lastLogits(decoder, tokens, active());
        const worst = Math.max(...actual.map((v, i) => Math.abs(v - logits[i])));
        expect(worst).toBeLessThan(1e-4 * Math.max(1, expected.largestLogit));
        if (ids.length < 2) continue;
        const pass = forward(decoder, packSequences([{ ids: tokens, scoreFrom: 1 }]), active());
        pass.free();
        logProbs.forEach((logProb, i) =>
          expect(Math.abs(-pass.nll[i] - logProb)).toBeLessThan(1e-4 * Math.max(1, Math.abs(logProb))),
        );
      }
    });

    it.each(cases)("continues greedily as transformers does: %s", async (_, numbers, active) => {
      const { prompt, ids, margins } = numbers.greedy;
      const results = await generate(decoder, [Int32Array.from(prompt)], {
        lora: active(),
        maxNewTokens: ids.length,
        eosIds: [],
      });
      const close = margins.findIndex((margin) => margin < 1e-3);
      const upTo = close < 0 ? ids.length : close;
      expect(upTo).toBeGreaterThan(0);
      expect([...results[0][0].ids].slice(0, upTo)).toEqual(ids.slice(0, upTo));
    });

    it("gives PEFT's loss and gradients", () => {
      const { batch } = expected.adapter;
      const sequences = batch.ids.map((ids, i) => ({ ids: Int32Array.from(ids), scoreFrom: batch.completionStarts[i] }));
      const { loss, gradient } = lossGradient(decoder, adapter, lora, sequences);
      expect(loss).toBeCloseTo(batch.loss, 4);
      const stored = openSafetensors(`${checkpointFolder(name)}/adapter/gradients.safetensors`);
      try {
        for (const factor of adapter.factors) {
          const block = ["gate_proj", "up_proj", "down_proj"].includes(factor.module) ? "mlp" : "self_attn";
          const key = `base_model.model.model.layers.${factor.layer}.${block}.${factor.module}.lora_`;
          const a = gradient.subarray(factor.offsetA, factor.offsetA + factor.rank * factor.inputs);
          const b = gradient.subarray(factor.offsetB, factor.offsetB + factor.outputs * factor.rank);
          expect(relativeError(a, stored.read(`${key}A.weight`))).toBeLessThan(1e-4);
          expect(relativeError(b, stored.read(`${key}B.weight`))).toBeLessThan(1e-4);
        }
      } finally {
        stored.close();
      }
    });

    it("gives the same loss and gradient with a shared prefix, and with blocks computed again", () => {
      const random = (n: number, seed: number): Int32Array =>
        Int32Array.from({ length: n }, (_, i) => (seed * 7919 + i * 104729) % decoder.config.vocabSize);
      const prompt = random(11, 1);
      const completions = [random(5, 2), random(1, 3), random(14, 4)];
      const plain = completions.map((c) => ({ ids: Int32Array.from([...prompt, ...c]), scoreFrom: prompt.length }));
      const shared = [{ ids: prompt }, ...completions.map((ids) => ({ ids, prefix: 0, scoreFrom: 0 }))];
      const reference = lossGradient(decoder, adapter, lora, plain);
      for (const other of [lossGradient(decoder, adapter, lora, shared), lossGradient(decoder, adapter, lora, plain, true)]) {
        expect(other.loss).toBeCloseTo(reference.loss, 5);
        expect(relativeError(other.gradient, reference.gradient)).toBeLessThan(2e-5);
      }
    });

    it("scores completions like the whole sequence, and decodes a batch of unequal prompts like each alone", async () => {
      const sequences = expected.adapter.sequences.filter((s) => s.ids.length > 1);
      const items = sequences.map(({ ids }) => ({
        prompt: Int32Array.from(ids.slice(0, 3)),
        completions: [Int32Array.from(ids.slice(3))],
      }));
      const scores = await scoreCompletions(decoder, items, { lora });
      scores.forEach(([logProbs], i) => {
        const wanted = sequences[i].logProbs.slice(2);
        expect(logProbs.length).toBe(wanted.length);
        wanted.forEach((value, j) => expect(Math.abs(logProbs[j] - value)).toBeLessThan(1e-4 * Math.max(1, Math.abs(value))));
      });
      const prompts = expected.sequences.map(({ ids }) => Int32Array.from(ids));
      const options = { lora, maxNewTokens: 8, temperature: 0.9, topP: 0.95, samples: 2, seed: 5, eosIds: [] };
      const together = await generate(decoder, prompts, options);
      for (const [i, prompt] of prompts.entries()) {
        const [alone] = await generate(decoder, [prompt], options);
        if (backend === "native") expect(together[i]).toEqual(alone.map((c) => ({ ...c, promptIndex: i })));
        else together[i].forEach((c, s) => expect(c.logProbs[0]).toBeCloseTo(alone[s].logProbs[0], 4));
      }
      expect(together[0][0].ids).not.toEqual(together[0][1].ids);
    });

    it("leaves no tensor behind, whether a pass succeeds or fails", () => {
      const before = liveTensors();
      const sequences = [{ ids: Int32Array.of(1, 2, 3, 4), scoreFrom: 2 }];
      lossGradient(decoder, adapter, lora, sequences);
      expect(() => lossGradient(decoder, adapter, lora, [{ ids: Int32Array.of(1, 2, 1_000_000, 4), scoreFrom: 3 }])).toThrow(
        /1000000/,
      );
      const pass = forward(decoder, packSequences(sequences), lora, { training: true });
      const vector = ops.gradientVector(adapter.size);
      expect(() => backward(decoder, pass, lora, new Float32Array(1), vector)).toThrow(/1 weights for 2/);
      vector.free();
      pass.free();
      expect(liveTensors()).toEqual(before);
    });
  });
});
