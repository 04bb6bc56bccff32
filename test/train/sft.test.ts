/** Training on a small real checkpoint: it learns, it is deterministic, it fails cleanly, it leaves nothing behind. */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { prepareTraining, type Decoder } from "../../src/model/decoder.js";
import { createLora, type LoraAdapter } from "../../src/model/lora.js";
import { createRandom } from "../../src/random.js";
import { openOps } from "../../src/tensor/backend.js";
import { liveTensors } from "../../src/tensor/tensor.js";
import { makeExample, microbatches, type TrainingExample } from "../../src/train/examples.js";
import { trainLoop, TrainingOptionsError, type LoopOptions, type TrainingState } from "../../src/train/loop.js";
import { fineTune, sftLoss, type SftOptions, type SftStep } from "../../src/train/sft.js";
import {
  createTrainer,
  meanLoss,
  restoreTrainer,
  trainStep,
  TrainingError,
  type OptimiserOptions,
} from "../../src/train/trainer.js";
import { openCheckpoint } from "../model/checkpoints.js";

let decoder: Decoder;
beforeAll(async () => {
  decoder = openCheckpoint(await openOps({ precision: "float32" }), "qwen3");
  prepareTraining(decoder);
});
afterAll(() => decoder.free());

/** Rows whose completion repeats the prompt's first id: learnable. */
function rows(count: number, seed: number): TrainingExample[] {
  const random = createRandom(seed, "rows");
  return Array.from({ length: count }, () => {
    const prompt = Int32Array.from({ length: 2 + random.integer(9) }, () => random.integer(200));
    return { prompt, completion: Int32Array.of(prompt[0], prompt[0], 5) };
  });
}

const parametersOf = (adapter: LoraAdapter): Float32Array => decoder.ops.device.download(adapter.parameters) as Float32Array;

async function train(
  options: { seed: number; microbatchTokens?: number; validation?: TrainingExample[]; keep?: "best" | "last" } & OptimiserOptions,
) {
  const adapter = createLora(decoder, { r: 8, loraAlpha: 16 }, createRandom(options.seed, "lora"));
  const trainer = createTrainer(decoder, adapter, options);
  const steps: SftStep[] = [];
  const validationLosses = await fineTune(trainer, rows(48, 1), {
    epochs: 4,
    batchSize: 8,
    learningRate: 5e-3,
    ...options,
    onStep: (step) => steps.push(step),
  });
  const parameters = parametersOf(adapter);
  const kept = options.validation && meanLoss(decoder, adapter, microbatches(options.validation, 512));
  trainer.free();
  adapter.free();
  return { steps, validationLosses, parameters, kept };
}

describe("fineTune", () => {
  it("learns, counts tokens and steps, and gives the same bytes for the same seed", async () => {
    const before = liveTensors();
    const first = await train({ seed: 3 });
    expect(liveTensors()).toEqual(before);
    expect(first.steps).toHaveLength(24);
    expect(first.steps.at(-1)).toMatchObject({ step: 24, totalSteps: 24, epoch: 3 });
    const epoch = first.steps.slice(0, 6);
    expect(epoch.reduce((sum, s) => sum + s.tokens, 0)).toBe(rows(48, 1).reduce((sum, r) => sum + r.prompt.length + 3, 0));
    expect(epoch.reduce((sum, s) => sum + s.completionTokens, 0)).toBe(48 * 3);
    expect(first.steps.at(-1)!.loss).toBeLessThan(0.6 * first.steps[0].loss);
    const second = await train({ seed: 3 });
    expect(second.parameters).toEqual(first.parameters);
    expect((await train({ seed: 4 })).parameters).not.toEqual(first.parameters);
  });

  it("does not depend on how a batch is cut into micro-batches, but for rounding", async () => {
    const whole = await train({ seed: 3, microbatchTokens: 4096 });
    const cut = await train({ seed: 3, microbatchTokens: 20 });
    whole.steps.forEach((step, i) => expect(Math.abs(cut.steps[i].loss - step.loss)).toBeLessThan(2e-3));
    expect(cut.steps[0].gradientNorm).toBeCloseTo(whole.steps[0].gradientNorm, 4);
  });

  it("keeps the adapter of the epoch with the lowest validation loss", async () => {
    const { validationLosses, kept } = await train({ seed: 3, validation: rows(12, 9) });
    expect(validationLosses).toHaveLength(4);
    expect(kept).toBeCloseTo(Math.min(...validationLosses), 6);
  });

  it("keeps the last epoch's adapter when asked to, validation or not", async () => {
    const last = await train({ seed: 3, keep: "last", validation: rows(12, 9) });
    expect(last.parameters).toEqual((await train({ seed: 3 })).parameters);
    expect(last.kept).toBeCloseTo(last.validationLosses.at(-1)!, 6);
  });

  it("goes on from the state after any step or epoch to the same bytes and reports", async () => {
    const validation = rows(12, 9);
    const run = async (from: TrainingState | null, onState?: SftOptions["onState"]) => {
      const adapter = createLora(decoder, { r: 4, loraAlpha: 8 }, createRandom(3, "lora"));
      const trainer = createTrainer(decoder, adapter, { beta2: 0.98 });
      const reports: unknown[] = [];
      const losses = await fineTune(trainer, rows(20, 1), {
        epochs: 3,
        batchSize: 8,
        learningRate: 5e-3,
        seed: 3,
        validation,
        from,
        ...(onState && { onState }),
        onStep: ({ milliseconds, ...report }) => {
          expect(milliseconds).toBeGreaterThan(0);
          reports.push(report);
        },
        onEpoch: (report) => reports.push(report),
      });
      const parameters = parametersOf(adapter);
      trainer.free();
      adapter.free();
      return { parameters, losses, reports };
    };
    const states: { state: TrainingState; reports: number }[] = [];
    let seen = 0;
    const before = liveTensors();
    const whole = await run(null, (at, state) => {
      seen = states.length;
      // 3 steps and one validation an epoch: reports so far.
      states.push({ state: state(), reports: at === "epoch" ? 4 * state().epoch : 4 * state().epoch + state().position });
    });
    expect(seen).toBe(11);
    for (const { state, reports } of states) {
      const rest = await run(structuredClone(state));
      expect(rest.parameters).toEqual(whole.parameters);
      expect(rest.losses).toEqual(whole.losses);
      expect(rest.reports).toEqual(whole.reports.slice(reports));
    }
    expect(liveTensors()).toEqual(before);
  });

  it("stops when the validation loss has not fallen for `patience` epochs, and then for good", async () => {
    // At this rate the loss rises again at some time.
    const options = { epochs: 12, batchSize: 4, learningRate: 0.1, seed: 3, validation: rows(12, 9) };
    const run = async (patience: number, from?: TrainingState, keep: "best" | "last" = "best") => {
      const adapter = createLora(decoder, { r: 8, loraAlpha: 64 }, createRandom(3, "lora"));
      const trainer = createTrainer(decoder, adapter);
      const states: TrainingState[] = [];
      const losses = await fineTune(trainer, rows(12, 1), {
        ...options,
        patience,
        keep,
        from: from ?? null,
        onState: (at, state) => at === "epoch" && states.push(state()),
      });
      const kept = meanLoss(decoder, adapter, microbatches(options.validation, 512));
      trainer.free();
      adapter.free();
      return { losses, kept, last: states.at(-1) };
    };
    const all = await run(0);
    expect(all.losses).toHaveLength(12);
    for (const patience of [1, 2]) {
      const { losses, kept, last } = await run(patience);
      // Independent of the loop: the first epoch that closes a run of `patience` without a new lowest.
      const stop = all.losses.findIndex((_, i) => {
        const best = all.losses.slice(0, i + 1).indexOf(Math.min(...all.losses.slice(0, i + 1)));
        return i - best === patience;
      });
      expect(stop).toBeGreaterThan(0);
      expect(losses).toEqual(all.losses.slice(0, stop + 1));
      expect(kept).toBeCloseTo(Math.min(...losses), 5);
      expect((await run(patience, last)).losses).toEqual(losses);
      expect((await run(patience, undefined, "last")).kept).toBeCloseTo(losses.at(-1)!, 5);
    }
  });

  it("hands over its state before it obeys the signal", async () => {
    const adapter = createLora(decoder, { r: 2, loraAlpha: 4 }, createRandom(0));
    const trainer = createTrainer(decoder, adapter);
    const stop = new AbortController();
    const at: string[] = [];
    const run = fineTune(trainer, rows(16, 1), {
      epochs: 2,
      batchSize: 4,
      learningRate: 1e-3,
      seed: 0,
      signal: stop.signal,
      onStep: ({ step }) => step === 2 && stop.abort(new Error("enough")),
      onState: (when, state) => at.push(`${when} ${state().trainer.step}`),
    });
    await expect(run).rejects.toThrow("enough");
    expect(at).toEqual(["step 1", "step 2", "stop 2"]);
    trainer.free();
    adapter.free();
  });

  it("refuses a state of another adapter", () => {
    const adapter = createLora(decoder, { r: 2, loraAlpha: 4 }, createRandom(0));
    const trainer = createTrainer(decoder, adapter);
    const few = new Float32Array(3);
    expect(() => restoreTrainer(trainer, { step: 1, parameters: few, firstMoment: few, secondMoment: few })).toThrow(
      /3 values of parameters, this adapter has/,
    );
    trainer.free();
    adapter.free();
  });

  it("counts what padding would have computed", async () => {
    const { steps } = await train({ seed: 3 });
    for (const { tokens, tokensIfPadded } of steps) expect(tokensIfPadded).toBeGreaterThanOrEqual(tokens);
    const adapter = createLora(decoder, { r: 2, loraAlpha: 4 }, createRandom(0));
    const trainer = createTrainer(decoder, adapter);
    const unequal = [2, 5, 9].map((length) => ({ prompt: new Int32Array(length).fill(7), completion: Int32Array.of(5) }));
    const counts: SftStep[] = [];
    await fineTune(trainer, unequal, {
      epochs: 1,
      batchSize: 3,
      learningRate: 1e-3,
      seed: 0,
      onStep: (step) => counts.push(step),
    });
    expect(counts).toMatchObject([{ tokens: 3 + 6 + 10, tokensIfPadded: 3 * 10, completionTokens: 3 }]);
    trainer.free();
    adapter.free();
  });

  it.each([
    ["epochs", [NaN, -1, 0, 0.5, Infinity]],
    ["batchSize", [0, NaN, -8, 2.5, Infinity]],
    ["maxSteps", [0, NaN, -1, 1.5, Infinity]],
    ["validateEvery", [0, NaN, -1, 1.5]],
    ["learningRate", [0, NaN, -1e-3, Infinity]],
  ] satisfies [keyof LoopOptions<never>, number[]][])("refuses %s that make no sense, before any work", async (name, values) => {
    const adapter = createLora(decoder, { r: 2, loraAlpha: 4 }, createRandom(0));
    const trainer = createTrainer(decoder, adapter);
    const [onStep, onState] = [vi.fn(), vi.fn()];
    const usual = { epochs: 1, batchSize: 4, learningRate: 1e-3, seed: 0, onStep, onState };
    for (const value of values) {
      const run = fineTune(trainer, rows(4, 1), { ...usual, [name]: value });
      await expect(run).rejects.toThrow(TrainingOptionsError);
      await expect(run).rejects.toThrow(new RegExp(`^${name} is ${value};`));
    }
    expect([onStep.mock.calls.length, onState.mock.calls.length]).toEqual([0, 0]);
    trainer.free();
    adapter.free();
  });

  it.each([NaN, Infinity, -Infinity])("stops at a validation loss of %d, keeping none of it", async (broken) => {
    for (const keep of ["best", "last"] as const) {
      const adapter = createLora(decoder, { r: 2, loraAlpha: 4 }, createRandom(0));
      const trainer = createTrainer(decoder, adapter);
      const losses: number[] = [];
      const states: TrainingState[] = [];
      const validations = [0.5, broken, 0.4];
      const run = trainLoop(
        trainer,
        {
          rows: rows(8, 1),
          prepare: (some) => ({
            batches: microbatches(some, 512),
            loss: sftLoss(3 * some.length),
            figures: () => ({}),
          }),
          validate: () => validations.shift()!,
        },
        {
          ...{ epochs: 3, batchSize: 4, learningRate: 1e-3, seed: 0, keep },
          onEpoch: ({ validationLoss }) => losses.push(validationLoss),
          onState: (_, state) => states.push(state()),
        },
      );
      await expect(run).rejects.toThrow(TrainingError);
      await expect(run).rejects.toThrow(`validation loss is ${broken} after step 4`);
      expect(losses).toEqual([0.5]);
      for (const { validationLosses, best } of states)
        expect([...validationLosses, best?.loss ?? 0].every(Number.isFinite)).toBe(true);
      trainer.free();
      adapter.free();
    }
  });

  it("stops between steps when asked to", async () => {
    const adapter = createLora(decoder, { r: 2, loraAlpha: 4 }, createRandom(0));
    const trainer = createTrainer(decoder, adapter);
    const stop = new AbortController();
    const run = fineTune(trainer, rows(16, 1), {
      epochs: 2,
      batchSize: 4,
      learningRate: 1e-3,
      seed: 0,
      signal: stop.signal,
      onStep: ({ step }) => step === 3 && stop.abort(new Error("enough")),
    });
    await expect(run).rejects.toThrow("enough");
    expect(trainer.step).toBe(3);
    trainer.free();
    adapter.free();
  });
});

describe("trainStep", () => {
  it("clips the gradient to maxGradNorm and reports the norm before it", () => {
    const batches = microbatches(rows(4, 2), 512);
    const move = (maxGradNorm: number): number => {
      const adapter = createLora(decoder, { r: 2, loraAlpha: 4 }, createRandom(1));
      // Plain SGD-like behaviour shows the clipping: with a huge epsilon AdamW's step is proportional to the gradient.
      const trainer = createTrainer(decoder, adapter, { maxGradNorm, epsilon: 1e3, weightDecay: 0 });
      const before = parametersOf(adapter);
      trainStep(trainer, batches, sftLoss(12), 1e3);
      const after = parametersOf(adapter);
      trainer.free();
      adapter.free();
      return Math.sqrt(after.reduce((sum, v, i) => sum + (v - before[i]) ** 2, 0));
    };
    expect(move(0.1) / move(0.2)).toBeCloseTo(0.5, 2);
    expect(move(1e6)).toBeGreaterThan(move(0.2));
  });

  it("refuses a loss that is not a number and changes nothing", () => {
    const adapter = createLora(decoder, { r: 2, loraAlpha: 4 }, createRandom(1));
    const trainer = createTrainer(decoder, adapter);
    const before = parametersOf(adapter);
    const live = liveTensors();
    const batches = microbatches(rows(4, 2), 512);
    const nan = () => ({ value: NaN, weights: new Float32Array(12) });
    expect(() => trainStep(trainer, batches, nan, 1e-3)).toThrow(TrainingError);
    const wild = () => ({ value: 1, weights: new Float32Array(12).fill(Infinity) });
    expect(() => trainStep(trainer, batches, wild, 1e-3)).toThrow(/gradient is not finite at step 1/);
    expect(parametersOf(adapter)).toEqual(before);
    expect(trainer.step).toBe(0);
    expect(liveTensors()).toEqual(live);
    trainer.free();
    adapter.free();
  });

  it("leaves nothing behind where there is no memory for a gradient", () => {
    const adapter = createLora(decoder, { r: 2, loraAlpha: 4 }, createRandom(1));
    const gradientVector = (): never => {
      throw new Error("out of memory");
    };
    const poor = { ...decoder, ops: { ...decoder.ops, gradientVector } };
    const trainer = createTrainer(poor, adapter);
    const live = liveTensors();
    expect(() => trainStep(trainer, microbatches(rows(4, 2), 512), sftLoss(12), 1e-3)).toThrow("out of memory");
    expect(liveTensors()).toEqual(live);
    trainer.free();
    adapter.free();
  });

  it("keeps memory flat over 2,000 steps", { timeout: 300_000 }, () => {
    const adapter = createLora(decoder, { r: 4, loraAlpha: 8 }, createRandom(1));
    const trainer = createTrainer(decoder, adapter);
    const batches = microbatches(rows(2, 2), 512);
    const live = liveTensors();
    const run = (steps: number): number => {
      for (let i = 0; i < steps; i++) trainStep(trainer, batches, sftLoss(6), 1e-4);
      globalThis.gc?.();
      return process.memoryUsage().rss / 2 ** 20;
    };
    run(200);
    const early = run(200);
    const late = run(1600);
    expect(liveTensors()).toEqual(live);
    // One leaked activation of a step would be 10 KiB: 16 MiB over these steps. The garbage collector's own swings are of that size.
    expect(late - early).toBeLessThan(32);
    trainer.free();
    adapter.free();
  });
});

describe("makeExample", () => {
  it("cuts the prompt's end, never the completion, and refuses a completion that leaves no room", () => {
    const prompt = Int32Array.of(1, 2, 3, 4);
    expect(makeExample(prompt, Int32Array.of(8, 9), 5)).toEqual({
      example: { prompt: Int32Array.of(1, 2, 3), completion: Int32Array.of(8, 9) },
      truncated: true,
    });
    expect(makeExample(prompt, Int32Array.of(8, 9), 6)?.truncated).toBe(false);
    expect(makeExample(prompt, Int32Array.of(5, 6, 7, 8, 9), 5)).toBeNull();
    expect(makeExample(new Int32Array(0), Int32Array.of(5), 5)).toBeNull();
  });
});
