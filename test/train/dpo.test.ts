/** DPO against torch and TRL on the pretrained model; and on a small one: sharing is exact, it learns, resumes, fails cleanly, leaks nothing. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { prepareTraining, type Decoder } from "../../src/model/decoder.js";
import { openModel, type LanguageModel } from "../../src/model/language-model.js";
import { createLora, loraFromPeft, type LoraAdapter } from "../../src/model/lora.js";
import { readPeft } from "../../src/model/peft.js";
import { createRandom } from "../../src/random.js";
import { openOps } from "../../src/tensor/backend.js";
import { liveTensors } from "../../src/tensor/tensor.js";
import { loadCheckpoint, saveCheckpoint, type TrainingPlan } from "../../src/train/checkpoint.js";
import { dpoBatch, fineTuneDpo, type DpoOptions, type DpoStep } from "../../src/train/dpo.js";
import { dpoLoss, DpoOptionsError, type DpoLossOptions } from "../../src/train/dpo-loss.js";
import { TrainingDataError } from "../../src/train/examples.js";
import type { TrainingState } from "../../src/train/loop.js";
import { packPairs, pairMicrobatches, tokenisePairs, type PairBatch, type PreferenceExample } from "../../src/train/pairs.js";
import { referenceKey, referenceLogProbs } from "../../src/train/reference.js";
import { createTrainer, trainStep, TrainingError } from "../../src/train/trainer.js";
import { defaultModelPath } from "../model/default-model.js";
import { openCheckpoint } from "../model/checkpoints.js";
import { expectSameGradient, lossAndGradient } from "./loss-gradient.js";

/** Loss, gradient of the LoRA factors and figures of one optimiser batch; nothing is changed. */
function gradientOf(
  decoder: Decoder,
  adapter: LoraAdapter,
  micros: readonly PairBatch[],
  reference: Parameters<typeof dpoBatch>[1],
  options: DpoLossOptions,
) {
  const { loss, figures } = dpoBatch(micros, reference, options);
  return { ...lossAndGradient(decoder, adapter, micros, loss), figures: figures() };
}

interface DpoReference {
  readonly beta: number;
  readonly pairs: readonly {
    readonly prompt_ids: number[];
    readonly chosen_ids: number[];
    readonly rejected_ids: number[];
    readonly prompt: string;
    readonly chosen: string;
    readonly rejected: string;
  }[];
  readonly policy_chosen: number[];
  readonly policy_rejected: number[];
  readonly reference_chosen: number[];
  readonly reference_rejected: number[];
  readonly margins: number[];
  readonly losses: number[];
  readonly loss: number;
  readonly reward_chosen: number[];
  readonly reward_rejected: number[];
  readonly grad_norm: number;
  readonly trl_loss: number;
}

describe.skipIf(defaultModelPath === null)("smollm2-135m-instruct, float32", () => {
  const folder = new URL("../reference/smollm2/", import.meta.url);
  const expected = JSON.parse(readFileSync(new URL("dpo.json", folder), "utf8")) as DpoReference;
  const { beta } = expected;
  let model: LanguageModel;
  let adapter: LoraAdapter;
  beforeAll(async () => {
    model = openModel(await openOps({ precision: "float32" }), defaultModelPath!);
    prepareTraining(model.decoder);
    adapter = loraFromPeft(model.decoder, readPeft(fileURLToPath(new URL("adapter", folder))));
  });
  afterAll(() => {
    adapter.free();
    model.free();
  });

  const close = (value: number, wanted: number): void =>
    expect(Math.abs(value - wanted)).toBeLessThan(1e-4 * Math.max(1, Math.abs(wanted)));

  it("gives torch's and TRL's log-probabilities, losses, rewards, margins and gradient, with and without a shared prompt", async () => {
    const { decoder } = model;
    const { pairs, truncated, dropped } = tokenisePairs(
      model,
      expected.pairs.map(({ prompt, chosen, rejected }, i) => ({ id: `${i}`, prompt, chosen, rejected })),
      512,
    );
    expect({ truncated, dropped }).toEqual({ truncated: 0, dropped: 0 });
    pairs.forEach((pair, i) => {
      expect([...pair.prompt]).toEqual(expected.pairs[i].prompt_ids);
      expect([...pair.chosen]).toEqual(expected.pairs[i].chosen_ids);
      expect([...pair.rejected]).toEqual(expected.pairs[i].rejected_ids);
    });
    const reference = await referenceLogProbs(decoder, null, pairs);
    const policy = await referenceLogProbs(decoder, adapter, pairs);
    pairs.forEach(({ id, chosen, rejected }, i) => {
      const [then, now] = [reference.logProbs[id], policy.logProbs[id]];
      close(then.chosen, expected.reference_chosen[i]);
      close(then.rejected, expected.reference_rejected[i]);
      close(now.chosen, expected.policy_chosen[i]);
      close(now.rejected, expected.policy_rejected[i]);
      close(beta * (now.chosen - then.chosen), expected.reward_chosen[i]);
      close(beta * (now.rejected - then.rejected), expected.reward_rejected[i]);
      // As TRL logs it. The stored margin is without beta: a difference of four sums of about -90 each, known to no better than 1e-4.
      close(beta * (now.chosen - then.chosen - (now.rejected - then.rejected)), beta * expected.margins[i]);
      const lengths = { chosen: chosen.length, rejected: rejected.length };
      close(dpoLoss({ beta }, { policy: now, reference: then, lengths }).value, expected.losses[i]);
    });
    const shared = gradientOf(decoder, adapter, [packPairs(pairs)], reference, { beta });
    const plain = gradientOf(decoder, adapter, [packPairs(pairs, false)], reference, { beta });
    for (const { value, norm, figures } of [shared, plain]) {
      close(value, expected.loss);
      close(value, expected.trl_loss);
      expect(Math.abs(norm - expected.grad_norm)).toBeLessThan(1e-4 * expected.grad_norm);
      close(figures.rewardMargin, (beta * (expected.margins[0] + expected.margins[1])) / 2);
      expect(figures.rewardAccuracy).toBe(0.5);
    }
    expectSameGradient(shared, plain);
  });
});

describe("on a small model", () => {
  let decoder: Decoder;
  beforeAll(async () => {
    decoder = openCheckpoint(await openOps({ precision: "float32" }), "qwen3");
    prepareTraining(decoder);
  });
  afterAll(() => decoder.free());

  /** The chosen answer repeats the prompt's first id, the rejected one another; both begin with the same token. */
  function pairsOf(count: number, seed: number): PreferenceExample[] {
    const random = createRandom(seed, "pairs");
    return Array.from({ length: count }, (_, i) => {
      const prompt = Int32Array.from({ length: 2 + random.integer(9) }, () => random.integer(200));
      const other = (prompt[0] + 1 + random.integer(150)) % 200;
      const [chosen, rejected] = [Int32Array.of(7, prompt[0], 5), Int32Array.of(7, other, other, 5)];
      return { id: `${i}`, prompt, chosen, rejected, weight: i % 3 === 0 ? 1.4 : 1 };
    });
  }

  /** An adapter that is not its own reference's: B is not zero. */
  function someLora(seed: number): LoraAdapter {
    const adapter = createLora(decoder, { r: 4, loraAlpha: 8 }, createRandom(seed, "lora"));
    const random = createRandom(seed, "b");
    const values = (decoder.ops.device.download(adapter.parameters) as Float32Array).map(
      (v) => v + 0.1 * (random.uniform() - 0.5),
    );
    adapter.parameters.free();
    adapter.parameters = decoder.ops.device.upload(values, [values.length]);
    return adapter;
  }

  const parametersOf = (adapter: LoraAdapter): Float32Array => decoder.ops.device.download(adapter.parameters) as Float32Array;

  it.each<DpoLossOptions>([{ beta: 0.3 }, { beta: 0.3, labelSmoothing: 0.1 }, { kind: "ipo", beta: 0.3 }])(
    "has the same loss and gradient with shared starts, without, and in micro-batches of one pair: %j",
    async (options) => {
      const adapter = someLora(5);
      const pairs = pairsOf(6, 1);
      const reference = await referenceLogProbs(decoder, null, pairs);
      const shared = gradientOf(decoder, adapter, [packPairs(pairs)], reference, options);
      const plain = gradientOf(decoder, adapter, [packPairs(pairs, false)], reference, options);
      const micros = pairMicrobatches(pairs, 1);
      expect(micros).toHaveLength(6);
      const cut = gradientOf(decoder, adapter, micros, reference, options);
      expectSameGradient(shared, plain);
      expectSameGradient(cut, plain);
      const { tokens, ...figures } = shared.figures;
      expect(tokens).toBeLessThan(plain.figures.tokens);
      for (const [name, value] of Object.entries(figures))
        expect(Number(plain.figures[name as keyof typeof figures])).toBeCloseTo(Number(value), 4);
      adapter.free();
    },
  );

  async function train(options: Partial<DpoOptions> = {}, pairs = pairsOf(24, 1)) {
    const adapter = someLora(3);
    const reference = await referenceLogProbs(decoder, adapter, pairs);
    const trainer = createTrainer(decoder, adapter);
    const steps: DpoStep[] = [];
    try {
      const losses = await fineTuneDpo(trainer, pairs, reference, {
        loss: { beta: 0.3 },
        epochs: 3,
        batchSize: 8,
        learningRate: 5e-3,
        seed: 3,
        onStep: (step) => steps.push(step),
        ...options,
      });
      return { steps, losses, parameters: parametersOf(adapter) };
    } finally {
      trainer.free();
      adapter.free();
    }
  }

  it("begins at log 2 with nothing gained, widens the margin, reports what it did, and leaves nothing behind", async () => {
    const before = liveTensors();
    const { steps } = await train();
    expect(liveTensors()).toEqual(before);
    const [first, last] = [steps[0], steps.at(-1)!];
    expect(first.loss).toBeCloseTo(Math.LN2, 5);
    expect(first).toMatchObject({ step: 1, totalSteps: 9, epoch: 0, pairs: 8, chosenFell: false });
    expect(Math.abs(first.chosenChange)).toBeLessThan(1e-4);
    expect(last.loss).toBeLessThan(0.5 * first.loss);
    expect(last.rewardAccuracy).toBe(1);
    expect(last.rewardMargin).toBeGreaterThan(0.5);
    for (const s of steps) {
      expect(s.rewardMargin).toBeCloseTo(s.rewardChosen - s.rewardRejected, 9);
      expect(s.rewardChosen).toBeCloseTo(0.3 * s.chosenChange, 9);
      expect(s.chosenFell).toBe(s.chosenChange < -0.1);
      expect(s.completionTokens).toBe(8 * 7);
      expect(s.milliseconds).toBeGreaterThan(0);
      expect(s.tokensIfPadded).toBeGreaterThan(s.tokens);
    }
    const epoch = steps.slice(0, 3).reduce((sum, s) => sum + s.tokens, 0);
    // Prompt, the shared token, then 2 and 3 tokens of which the last needs no row.
    expect(epoch).toBe(pairsOf(24, 1).reduce((sum, { prompt }) => sum + prompt.length + 1 + 1 + 2, 0));
  });

  it("stopped after any step, goes on through a checkpoint on disk to the same bytes and reports", async () => {
    const folder = mkdtempSync(join(tmpdir(), "dpo-"));
    const schedule = { kind: "cosine", warmupRatio: 0.1 } as const;
    const plan: TrainingPlan = { totalSteps: 6, stepsPerEpoch: 3, learningRate: 5e-3, schedule, seed: 3, adapterSize: 0 };
    const save = (state: TrainingState): void => saveCheckpoint(folder, plan, state, { bytes: 0, sha256: "" });
    const load = (): TrainingState => loadCheckpoint(folder, plan, () => true, expect.unreachable)!.state;
    /** Two epochs of three steps, each with a validation. */
    const run = async (from: TrainingState | null, reports: unknown[], stopAfter?: number) => {
      const stop = new AbortController();
      let epoch = from?.epoch ?? 0;
      return train(
        {
          epochs: 2,
          batchSize: 4,
          from,
          signal: stop.signal,
          validate: () => {
            stop.signal.throwIfAborted();
            return Promise.resolve([0.4, 0.5][epoch]);
          },
          onStep: ({ milliseconds, ...report }) => {
            expect(milliseconds).toBeGreaterThan(0);
            reports.push(report);
            epoch = report.epoch;
            if (report.step === stopAfter) stop.abort(new Error("enough"));
          },
          onEpoch: (report) => reports.push(report),
          onState: (at, state) => at === "stop" && save(state()),
        },
        pairsOf(12, 1),
      );
    };
    const expected: unknown[] = [];
    const whole = await run(null, expected);
    expect(expected).toHaveLength(8);
    expect(whole.losses).toEqual([0.4, 0.5]);
    try {
      // After the third step it is the validation that stops.
      for (let step = 1; step <= 6; step++) {
        const reports: unknown[] = [];
        await expect(run(null, reports, step)).rejects.toThrow("enough");
        const from = load();
        expect(from.trainer.step).toBe(step);
        const rest = await run(from, reports);
        expect(rest.parameters).toEqual(whole.parameters);
        expect(rest.losses).toEqual(whole.losses);
        expect(reports).toEqual(expected);
        rmSync(folder, { recursive: true });
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("keeps the epoch with the lowest validation number", async () => {
    const given = [0.4, 0.2, 0.3];
    const states: TrainingState[] = [];
    const onState: DpoOptions["onState"] = (at, state) => {
      if (at === "epoch") states.push(state());
    };
    let epoch = 0;
    const best = await train({ validate: () => given[epoch++], onState });
    expect(best.losses).toEqual(given);
    expect(best.parameters).toEqual(states[1].trainer.parameters);
    epoch = 0;
    const last = await train({ validate: () => given[epoch++], keep: "last" });
    expect(last.parameters).toEqual(states[2].trainer.parameters);
  });

  it("fails before any work, or in a step, and leaves nothing behind", async () => {
    const before = liveTensors();
    await expect(train({ loss: { beta: -1 } })).rejects.toThrow(DpoOptionsError);
    const adapter = someLora(3);
    const trainer = createTrainer(decoder, adapter);
    const pairs = pairsOf(4, 1);
    const reference = await referenceLogProbs(decoder, adapter, pairs);
    const options = { loss: { beta: 0.3 }, epochs: 1, batchSize: 4, learningRate: 1e-3, seed: 0 };
    const strange = [...pairs, { ...pairs[0], id: "strange" }];
    await expect(fineTuneDpo(trainer, strange, reference, options)).rejects.toThrow(TrainingDataError);
    await expect(fineTuneDpo(trainer, strange, reference, options)).rejects.toThrow(/pair "strange"/);
    const inside = liveTensors();
    const parameters = parametersOf(adapter);
    const broken = { ...reference, logProbs: { ...reference.logProbs, 2: { chosen: NaN, rejected: 0 } } };
    const { batches, loss } = dpoBatch(pairMicrobatches(pairs, 20), broken, { beta: 0.3 });
    expect(() => trainStep(trainer, batches, loss, 1e-3)).toThrow(TrainingError);
    expect(parametersOf(adapter)).toEqual(parameters);
    expect(liveTensors()).toEqual(inside);
    const sound = dpoBatch(pairMicrobatches(pairs, 20), reference, { beta: 0.3 });
    trainStep(trainer, sound.batches, sound.loss, 1e-3);
    expect(liveTensors()).toEqual(inside);
    trainer.free();
    adapter.free();
    expect(liveTensors()).toEqual(before);
  });

  it("names a reference by what its numbers depend on, and it survives JSON", async () => {
    const pairs = pairsOf(3, 1);
    const [one, other] = [someLora(1), someLora(2)];
    const key = referenceKey(decoder, one, pairs);
    const first = await referenceLogProbs(decoder, one, pairs, { microbatchTokens: 16 });
    expect(first.key).toBe(key);
    expect(JSON.parse(JSON.stringify(first))).toEqual(first);
    const changed = pairs.map((pair, i) => (i === 1 ? { ...pair, chosen: Int32Array.of(7, 8, 5) } : pair));
    const keys = [
      key,
      referenceKey(decoder, other, pairs),
      referenceKey(decoder, null, pairs),
      referenceKey(decoder, one, changed),
      referenceKey(decoder, one, pairs.slice(1)),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    // Weights are no part of it.
    expect(
      referenceKey(
        decoder,
        one,
        pairs.map((pair) => ({ ...pair, weight: 2 })),
      ),
    ).toBe(key);
    one.free();
    other.free();
  });

  it("stops a reference between micro-batches and leaves nothing behind", async () => {
    const before = liveTensors();
    const stop = new AbortController();
    const progress: [number, number][] = [];
    const run = referenceLogProbs(decoder, null, pairsOf(4, 1), {
      microbatchTokens: 1,
      signal: stop.signal,
      onProgress: (done, total) => {
        progress.push([done, total]);
        if (done === 2) stop.abort(new Error("enough"));
      },
    });
    await expect(run).rejects.toThrow("enough");
    expect(progress).toEqual([
      [1, 4],
      [2, 4],
    ]);
    expect(liveTensors()).toEqual(before);
  });
});

describe.skipIf(defaultModelPath === null)("tokenisePairs", () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = openModel(await openOps(), defaultModelPath!);
  });
  afterAll(() => model.free());

  it("cuts both sides' prompt alike, and leaves out what does not fit or has no preference", () => {
    const { pairs, truncated, dropped } = tokenisePairs(
      model,
      [
        { id: "short", prompt: "a b c\n", chosen: "yes", rejected: "no", weight: 1.4 },
        { id: "long", prompt: "word ".repeat(60), chosen: "yes", rejected: "no, it is not so" },
        { id: "no room", prompt: "a\n", chosen: "word ".repeat(60), rejected: "no" },
        { id: "same", prompt: "a\n", chosen: "yes", rejected: "yes" },
        { id: "hostile", prompt: "<|im_end|>\n", chosen: "<|im_end|>", rejected: "no" },
      ],
      24,
    );
    expect(pairs.map(({ id }) => id)).toEqual(["short", "long", "hostile"]);
    expect({ truncated, dropped }).toEqual({ truncated: 1, dropped: 2 });
    expect(pairs[0].weight).toBe(1.4);
    expect(pairs[1].weight).toBe(1);
    expect(pairs[1].prompt.length + pairs[1].rejected.length).toBe(24);
    const end = model.decoder.config.eosIds[0];
    for (const { prompt, chosen, rejected } of pairs) {
      for (const answer of [chosen, rejected]) expect(answer.indexOf(end)).toBe(answer.length - 1);
      expect(prompt).not.toContain(end);
    }
  });

  it.each([
    [[{ id: "a" }, { id: "a" }], /two pairs have the id "a"/],
    [[{ id: "a", weight: 0 }], /pair "a": its weight is 0/],
    [[{ id: "a", weight: NaN }], /its weight is NaN/],
  ])("refuses %j", (rows, message) => {
    const full = rows.map((row) => ({ prompt: "a\n", chosen: "yes", rejected: "no", ...row }));
    expect(() => tokenisePairs(model, full, 32)).toThrow(TrainingDataError);
    expect(() => tokenisePairs(model, full, 32)).toThrow(message);
  });
});
