/** GRPO against torch and TRL on the pretrained model; and on a small one: sharing is exact, it learns, resumes, fails cleanly, leaks nothing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packSequences } from "../../src/model/batch.js";
import { prepareTraining, type Decoder } from "../../src/model/decoder.js";
import { forward } from "../../src/model/forward.js";
import { generate } from "../../src/model/generate.js";
import { openModel, type LanguageModel } from "../../src/model/language-model.js";
import { activateLora, createLora, loraFromPeft, type LoraAdapter } from "../../src/model/lora.js";
import { readPeft } from "../../src/model/peft.js";
import { createRandom } from "../../src/random.js";
import { openOps } from "../../src/tensor/backend.js";
import { liveTensors } from "../../src/tensor/tensor.js";
import { loadCheckpoint, saveCheckpoint, type TrainingPlan } from "../../src/train/checkpoint.js";
import { exampleSequence } from "../../src/train/examples.js";
import { fineTuneGrpo, grpoBatch, type GrpoOptions, type GrpoStep, type RewardedGroup } from "../../src/train/grpo.js";
import { completeLoss, groupAdvantages, GrpoOptionsError, type GrpoLossOptions } from "../../src/train/grpo-loss.js";
import type { TrainingState } from "../../src/train/loop.js";
import { completionLogProbs, packRollouts, rolloutLoss, type RolloutBatch } from "../../src/train/rollout-loss.js";
import type { Rollout } from "../../src/train/rollouts.js";
import { createTrainer, trainStep, TrainingError } from "../../src/train/trainer.js";
import { defaultModelPath } from "../model/default-model.js";
import { openCheckpoint } from "../model/checkpoints.js";
import { AGGREGATIONS, CASES, trl } from "./grpo-reference.js";
import { expectSameGradient, largest, lossAndGradient } from "./loss-gradient.js";

interface Prompted {
  readonly prompt: Int32Array;
  readonly completions: readonly Int32Array[];
}

/** Each completion in a sequence of its own behind its prompt, as others compute it. */
function packPlainly(groups: readonly Prompted[]): RolloutBatch {
  const rows = groups.flatMap(({ prompt, completions }) => completions.map((completion) => ({ prompt, completion })));
  const batch = packSequences(rows.map(exampleSequence));
  return { batch, spans: rows.map((_, i) => ({ completion: i, start: batch.scored[i], end: batch.scored[i + 1] })) };
}

/** Loss and gradient of the LoRA factors; nothing is changed. */
function gradientOf(
  decoder: Decoder,
  adapter: LoraAdapter,
  micros: readonly RolloutBatch[],
  given: Parameters<typeof rolloutLoss>[1],
  temperature: number,
) {
  const { loss, figures } = rolloutLoss(micros, given);
  return { ...lossAndGradient(decoder, adapter, micros, loss, temperature), ...figures() };
}

describe.skipIf(defaultModelPath === null)("smollm2-135m-instruct, float32", () => {
  const { temperature, beta, epsilon, max_completion: maxCompletion } = trl;
  const group: Prompted = {
    prompt: Int32Array.from(trl.prompt_ids),
    completions: trl.completion_ids.map((ids) => Int32Array.from(ids)),
  };
  let model: LanguageModel;
  let adapter: LoraAdapter;
  beforeAll(async () => {
    model = openModel(await openOps({ precision: "float32" }), defaultModelPath!);
    prepareTraining(model.decoder);
    const folder = fileURLToPath(new URL("../reference/smollm2/adapter", import.meta.url));
    adapter = loraFromPeft(model.decoder, readPeft(folder));
  });
  afterAll(() => {
    adapter.free();
    model.free();
  });

  function logProbs(micros: readonly RolloutBatch[], of: LoraAdapter | null): Float32Array[] {
    const lora = of && activateLora(model.decoder, of, false);
    try {
      return completionLogProbs(model.decoder, micros, lora, temperature);
    } finally {
      lora?.free();
    }
  }

  it("gives TRL's log-probabilities at the temperature, with and without a shared prompt", () => {
    for (const micros of [packRollouts([group], 2048), packRollouts([group], 40), [packPlainly([group])]]) {
      const pairs = [
        [logProbs(micros, adapter), trl.policy_logps],
        [logProbs(micros, null), trl.reference_logps],
      ] as const;
      for (const [computed, expected] of pairs)
        expected.forEach((row, i) => {
          expect(computed[i]).toHaveLength(row.length);
          expect(largest(row.map((v, t) => v - computed[i][t]))).toBeLessThan(1e-4);
        });
    }
  });

  it.each(CASES)("gives TRL's losses and gradient norms: $name", ({ name, scale, correctKl, offPolicy }) => {
    const micros = packRollouts([group], 2048);
    const reference = logProbs(micros, null);
    for (const aggregation of AGGREGATIONS) {
      const loss = completeLoss({ aggregation, beta, epsilon, correctKl, maxCompletion });
      const advantages = groupAdvantages(trl.rewards, scale);
      const given = { loss, advantages, reference, ...(offPolicy && { old: reference }) };
      const { value, norm, kl } = gradientOf(model.decoder, adapter, micros, given, temperature);
      const expected = trl[name][aggregation];
      expect(Math.abs(value - expected.loss)).toBeLessThan(1e-4);
      expect(Math.abs(norm - expected.grad_norm)).toBeLessThan(1e-4);
      expect(Math.abs(kl! - expected.mean_kl)).toBeLessThan(1e-4);
    }
  });

  it("has the same loss and gradient with more scored tokens than the head takes at once", () => {
    const groups = Array<Prompted>(4).fill(group);
    const [whole, cut] = [packRollouts(groups, 4096), packRollouts(groups, 120)];
    expect(whole[0].batch.rows.length).toBeGreaterThan(2 ** 26 / (4 * model.decoder.config.vocabSize));
    expect(cut).toHaveLength(4);
    const given = {
      loss: completeLoss({ beta: 0.1 }),
      advantages: groups.flatMap(() => groupAdvantages(trl.rewards, "group")),
      reference: groups.flatMap(() => trl.reference_logps.map((row) => Float32Array.from(row))),
    };
    expectSameGradient(
      gradientOf(model.decoder, adapter, whole, given, temperature),
      gradientOf(model.decoder, adapter, cut, given, temperature),
    );
  });

  it("has the same loss and gradient when nothing is shared", () => {
    const shared = packRollouts([group], 2048);
    const plain = [packPlainly([group])];
    const given = {
      loss: completeLoss({ beta: 0.1 }),
      advantages: groupAdvantages(trl.rewards, "group"),
      reference: logProbs(shared, null),
    };
    expectSameGradient(
      gradientOf(model.decoder, adapter, shared, given, temperature),
      gradientOf(model.decoder, adapter, plain, given, temperature),
    );
  });
});

describe("on a small model", () => {
  let decoder: Decoder;
  beforeAll(async () => {
    decoder = openCheckpoint(await openOps({ precision: "float32" }), "qwen3");
    prepareTraining(decoder);
  });
  afterAll(() => decoder.free());

  function someLora(seed: number): LoraAdapter {
    const adapter = createLora(decoder, { r: 4, loraAlpha: 8 }, createRandom(seed, "lora"));
    const random = createRandom(seed, "b");
    const values = parametersOf(adapter).map((v) => v + 0.1 * (random.uniform() - 0.5));
    adapter.parameters.free();
    adapter.parameters = decoder.ops.device.upload(values, [values.length]);
    return adapter;
  }

  const parametersOf = (adapter: LoraAdapter): Float32Array => decoder.ops.device.download(adapter.parameters) as Float32Array;

  /** Groups with made-up rollouts. */
  function groupsOf(count: number, seed: number): RewardedGroup[] {
    const random = createRandom(seed, "groups");
    const ids = (least: number, most: number): Int32Array =>
      Int32Array.from({ length: least + random.integer(most - least + 1) }, () => random.integer(200));
    return Array.from({ length: count }, () => {
      const rollouts = Array.from({ length: 4 }, (): Rollout => ({
        ids: ids(1, 7),
        text: "",
        finishReason: "eos",
        logProbs: null,
      }));
      return { prompt: ids(2, 9), rollouts, rewards: rollouts.map((_, i) => [1, 0, 0.5, 0][i]) };
    });
  }
  const prompted = (groups: readonly RewardedGroup[]): Prompted[] =>
    groups.map(({ prompt, rollouts }) => ({ prompt, completions: rollouts.map(({ ids }) => ids) }));

  it.each(AGGREGATIONS)("has the same loss and gradient shared, plain and in micro-batches: %s", (aggregation) => {
    const [adapter, other] = [someLora(5), someLora(6)];
    const groups = prompted(groupsOf(3, 1));
    const plain = [packPlainly(groups)];
    const held = activateLora(decoder, other, false);
    const reference = completionLogProbs(decoder, plain, held, 1.2);
    held.free();
    const given = {
      loss: completeLoss({ aggregation, beta: 0.3, maxCompletion: 8 }),
      advantages: groups.flatMap(() => groupAdvantages([1, 0, 0.5, 0], "group")),
      reference,
      // Off policy: some ratios are clipped.
      old: reference.map((row) => row.map((v, t) => v + 0.3 * Math.sin(t))),
    };
    const expected = gradientOf(decoder, adapter, plain, given, 1.2);
    expect(expected.clipFraction).toBeGreaterThan(0.05);
    expectSameGradient(gradientOf(decoder, adapter, packRollouts(groups, 4096), given, 1.2), expected);
    const cut = packRollouts(groups, 24);
    expect(cut.length).toBeGreaterThan(3);
    // What a micro-batch is, is part of bnpo's definition.
    if (aggregation !== "bnpo") expectSameGradient(gradientOf(decoder, adapter, cut, given, 1.2), expected);
    adapter.free();
    other.free();
  });

  it("is on policy in a batch's first optimiser step, and no longer in the next ones", () => {
    const adapter = someLora(3);
    const trainer = createTrainer(decoder, adapter);
    const held = activateLora(decoder, adapter, false);
    const { batches, loss, temperature, figures } = grpoBatch(decoder, groupsOf(3, 2), held, { loss: { beta: 0.1 } });
    held.free();
    trainStep(trainer, batches, loss, 5e-2, { temperature });
    expect(figures()).toMatchObject({ groups: 3, skippedGroups: 0, rollouts: 12, reward: 0.375, clipFraction: 0 });
    // The policy is its own reference still.
    expect(figures().kl).toBeCloseTo(0, 6);
    trainStep(trainer, batches, loss, 5e-2, { temperature });
    expect(figures().kl).toBeGreaterThan(1e-4);
    expect(figures().clipFraction).toBeGreaterThan(0.02);
    trainer.free();
    adapter.free();
  });

  it("leaves groups of equal reward out: they are not computed, and change nothing", () => {
    const adapter = someLora(3);
    const groups = groupsOf(3, 2);
    const equal = { ...groups[1], rewards: [0.5, 0.5, 0.5, 0.5] };
    const three = grpoBatch(decoder, [groups[0], equal, groups[2]], null, {});
    const two = grpoBatch(decoder, [groups[0], groups[2]], null, {});
    expect(three.batches).toEqual(two.batches);
    expect(three.figures()).toMatchObject({ groups: 3, skippedGroups: 1, rollouts: 12 });
    const none = grpoBatch(decoder, [equal], null, {});
    expect(none.batches).toEqual([]);
    expect(none.figures()).toMatchObject({
      groups: 1,
      skippedGroups: 1,
      kl: null,
      entropy: null,
      reward: 0.5,
      rewardDeviation: 0,
    });
    adapter.free();
  });

  it("tells how far what was sampled is from what is trained, and the entropy", async () => {
    const adapter = someLora(4);
    const lora = activateLora(decoder, adapter, false);
    const prompt = Int32Array.of(5, 6, 7);
    const [completions] = await generate(decoder, [prompt], { lora, samples: 6, temperature: 1.2, maxNewTokens: 8, seed: 1 });
    const rollouts = completions.map(({ ids, logProbs, finishReason }): Rollout => ({ ids, logProbs, finishReason, text: "" }));
    const describeOf = (rollouts: readonly Rollout[], temperature: number) => {
      const group = { prompt, rollouts, rewards: [1, 0, 0, 0, 0, 0] };
      const { batches, loss, figures } = grpoBatch(decoder, [group], null, { temperature });
      batches.forEach((batch, i) => {
        const pass = forward(decoder, batch, lora, { temperature });
        loss(batch, pass.nll, i);
        pass.free();
      });
      return figures();
    };
    const known = describeOf(rollouts, 1.2);
    expect(known.samplingDifference).toBeLessThan(1e-4);
    const unknown = describeOf(
      rollouts.map((rollout) => ({ ...rollout, logProbs: null })),
      1.2,
    );
    expect(unknown.samplingDifference).toBeNull();
    expect(unknown.entropy).toBeCloseTo(known.entropy!, 4);
    // Flat random weights: nearly every id is as likely as any other.
    expect(known.entropy).toBeGreaterThan(0.5 * Math.log(decoder.config.vocabSize));
    expect(known.entropy).toBeLessThan(1.3 * Math.log(decoder.config.vocabSize));
    expect(describeOf(rollouts, 0.5).samplingDifference).toBeGreaterThan(1e-3);
    lora.free();
    adapter.free();
  });

  /** Sampling for real; a rollout is worth the share of its ids that are even. */
  type Row = Int32Array;
  const rows: Row[] = Array.from({ length: 8 }, (_, i) => Int32Array.of(3, 10 + i, 4));
  const collectFrom =
    (adapter: LoraAdapter): GrpoOptions<Row, { note: string }>["collect"] =>
    async (prompts, { step, signal }) => {
      const lora = activateLora(decoder, adapter, false);
      try {
        const seed = createRandom(9, step).integer(2 ** 32);
        const sampled = await generate(decoder, [...prompts], {
          ...{ lora, samples: 6, temperature: 1.2, maxNewTokens: 6, seed, eosIds: [] },
          ...(signal && { signal }),
        });
        const groups = sampled.map((completions, i) => ({
          prompt: prompts[i],
          rollouts: completions.map(({ ids, logProbs, finishReason }): Rollout => ({ ids, logProbs, finishReason, text: "" })),
          rewards: completions.map(({ ids }) => ids.filter((id) => id % 2 === 0).length / ids.length),
        }));
        return { groups, figures: { note: `batch ${step}` } };
      } finally {
        lora.free();
      }
    };

  async function train(options: Partial<GrpoOptions<Row, { note: string }>> = {}) {
    const [adapter, reference] = [someLora(3), someLora(3)];
    const trainer = createTrainer(decoder, adapter);
    const steps: (GrpoStep & { note: string })[] = [];
    try {
      const losses = await fineTuneGrpo<Row, { note: string }>(trainer, rows, reference, {
        ...{ epochs: 2, batchSize: 4, learningRate: 1e-2, seed: 3, schedule: { kind: "constant", warmupRatio: 0 } },
        collect: collectFrom(adapter),
        onStep: (step) => steps.push(step),
        ...options,
      });
      return { steps, losses, parameters: parametersOf(adapter), optimiserSteps: trainer.step };
    } finally {
      trainer.free();
      adapter.free();
      reference.free();
    }
  }

  it("learns what is rewarded, stays measurably near the reference, reports what it did and leaves nothing behind", async () => {
    const before = liveTensors();
    const { steps, optimiserSteps } = await train({ epochs: 12, iterations: 2 });
    expect(liveTensors()).toEqual(before);
    expect(steps).toHaveLength(24);
    expect(optimiserSteps).toBe(48);
    const stretch = (from: number, to: number): number =>
      steps.slice(from, to).reduce((sum, { reward }) => sum + reward, 0) / (to - from);
    expect(stretch(0, 3)).toBeLessThan(0.62);
    expect(stretch(21, 24)).toBeGreaterThan(0.8);
    const [first, last] = [steps[0], steps[23]];
    expect(first).toMatchObject({
      step: 1,
      totalSteps: 24,
      epoch: 0,
      groups: 4,
      rollouts: 24,
      longest: 6,
      truncated: 1,
      note: "batch 0",
    });
    expect(last.kl).toBeGreaterThan(first.kl!);
    for (const step of steps) {
      expect(step.tokens).toBe(4 * 3 + 24 * 6);
      expect(step.samplingDifference ?? 0).toBeLessThan(1e-3);
    }
  });

  it("takes no step on a batch with nothing to learn, and goes on", async () => {
    const equal: GrpoOptions<Row, { note: string }>["collect"] = (prompts) =>
      Promise.resolve({
        groups: prompts.map((prompt) => ({ ...groupsOf(1, 4)[0], prompt, rewards: [0, 0, 0, 0] })),
        figures: { note: "" },
      });
    const { steps, parameters, optimiserSteps } = await train({ collect: equal });
    const start = someLora(3);
    expect(parameters).toEqual(parametersOf(start));
    start.free();
    expect(optimiserSteps).toBe(0);
    expect(steps.map(({ step, loss, gradientNorm, skippedGroups }) => [step, loss, gradientNorm, skippedGroups])).toEqual(
      [1, 2, 3, 4].map((step) => [step, 0, 0, 4]),
    );
  });

  it("stopped after any batch, or in the middle of sampling, goes on through a checkpoint to the same bytes and reports", async () => {
    const folder = mkdtempSync(join(tmpdir(), "grpo-"));
    const schedule = { kind: "constant", warmupRatio: 0 } as const;
    const plan: TrainingPlan = { totalSteps: 4, stepsPerEpoch: 2, learningRate: 1e-2, schedule, seed: 3, adapterSize: 0 };
    const save = (state: TrainingState): void => saveCheckpoint(folder, plan, state, { bytes: 0, sha256: "" });
    const load = (): TrainingState => loadCheckpoint(folder, plan, () => true, expect.unreachable)!.state;
    const run = (from: TrainingState | null, reports: unknown[], stop?: { step: number; inSampling: boolean }) => {
      const stopping = new AbortController();
      const [adapter, reference] = [someLora(3), someLora(3)];
      const trainer = createTrainer(decoder, adapter);
      const collect = collectFrom(adapter);
      const whole = fineTuneGrpo<Row, { note: string }>(trainer, rows, reference, {
        ...{ epochs: 2, batchSize: 4, learningRate: 1e-2, seed: 3, schedule, iterations: 2, from, signal: stopping.signal },
        ...{ validateEvery: 3, validateFirst: true },
        collect: (prompts, at) => {
          if (stop?.inSampling === true && at.step === stop.step) setTimeout(() => stopping.abort(new Error("enough")), 1);
          return collect(prompts, at);
        },
        validate: (step) => [0.5, 0.4, 0.3, 0.2, 0.1][step],
        onStep: ({ milliseconds, ...report }) => {
          expect(milliseconds).toBeGreaterThan(0);
          reports.push(report);
          if (stop?.inSampling === false && report.step === stop.step) stopping.abort(new Error("enough"));
        },
        onEpoch: (report) => reports.push(report),
        onState: (at, state) => at === "stop" && save(state()),
      });
      return whole
        .then((losses) => ({ losses, parameters: parametersOf(adapter) }))
        .finally(() => {
          trainer.free();
          adapter.free();
          reference.free();
        });
    };
    const expected: unknown[] = [];
    const whole = await run(null, expected);
    expect(whole.losses).toEqual([0.5, 0.2, 0.1]);
    expect(expected).toHaveLength(7);
    expect(expected[0]).toEqual({ epoch: 0, step: 0, validationLoss: 0.5, best: true });
    try {
      for (const inSampling of [false, true])
        for (const step of [1, 2, 3]) {
          const reports: unknown[] = [];
          await expect(run(null, reports, { step, inSampling })).rejects.toThrow("enough");
          const rest = await run(load(), reports);
          expect(rest.parameters).toEqual(whole.parameters);
          expect(rest.losses).toEqual(whole.losses);
          expect(reports).toEqual(expected);
          rmSync(folder, { recursive: true });
        }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("ends with the start where no validation was better, and stops after so many batches", async () => {
    const kept = await train({ validate: (step) => step, validateFirst: true, maxSteps: 3 });
    expect(kept.losses).toEqual([0, 2, 3]);
    expect(kept.steps).toHaveLength(3);
    const start = someLora(3);
    expect(kept.parameters).toEqual(parametersOf(start));
    start.free();
  });

  it("fails before any work, in sampling or in a step, and leaves nothing behind", async () => {
    const before = liveTensors();
    await expect(train({ loss: { epsilon: 2 } })).rejects.toThrow(GrpoOptionsError);
    await expect(train({ loss: { aggregation: "dr_grpo" } })).rejects.toThrow(/maxCompletion/);
    await expect(train({ iterations: 0 })).rejects.toThrow(/iterations is 0/);
    await expect(train({ collect: () => Promise.reject(new Error("no judge")) })).rejects.toThrow("no judge");
    expect(liveTensors()).toEqual(before);

    const adapter = someLora(3);
    const trainer = createTrainer(decoder, adapter);
    const held = liveTensors();
    const parameters = parametersOf(adapter);
    for (const reward of [NaN, Infinity]) {
      const groups = [...groupsOf(2, 1), { ...groupsOf(1, 2)[0], rewards: [reward, 0, 0, 0] }];
      const { batches, loss } = grpoBatch(decoder, groups, null, {});
      expect(() => trainStep(trainer, batches, loss, 1e-2)).toThrow(TrainingError);
    }
    expect(liveTensors()).toEqual(held);
    expect(parametersOf(adapter)).toEqual(parameters);
    trainer.free();
    adapter.free();
    expect(liveTensors()).toEqual(before);
  });

  it("needs no reference, and computes none, with beta 0", () => {
    const loss: GrpoLossOptions = { beta: 0 };
    const { figures } = grpoBatch(decoder, groupsOf(1, 1), null, { loss });
    expect(figures().kl).toBeNull();
  });
});
