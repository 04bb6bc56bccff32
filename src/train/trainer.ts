/**
 * One optimiser step of LoRA training: forward and backward over the micro-batches of a batch, clip, AdamW.
 * The loss is a parameter, so SFT, DPO and GRPO share this file.
 */
import { backward } from "../model/backward.js";
import type { PackedBatch } from "../model/batch.js";
import { prepareTraining, type Decoder } from "../model/decoder.js";
import { forward } from "../model/forward.js";
import { activateLora, type LoraAdapter } from "../model/lora.js";
import type { AdamWState, GradientVector } from "../tensor/ops.js";
import { keep, scope, type Tensor } from "../tensor/tensor.js";

export interface OptimiserOptions {
  /** Defaults of torch.optim.AdamW: 0.9, 0.999, 1e-8. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** On A and B alike, as PEFT and TRL do. Default 0.01. */
  readonly weightDecay?: number;
  /** Clip the gradient's global norm. Default 1, TRL's; Infinity: never. */
  readonly maxGradNorm?: number;
}

/**
 * The loss of one micro-batch and its derivative: value = its part of the whole batch's loss; weights[i] = d(loss)/d(nll[i]).
 * @param index of the micro-batch among those of the step
 */
export type Loss = (
  batch: PackedBatch,
  nll: Float32Array,
  index: number,
) => { readonly value: number; readonly weights: Float32Array };

export interface LoraTrainer {
  readonly decoder: Decoder;
  readonly adapter: LoraAdapter;
  readonly optimiser: Required<OptimiserOptions>;
  readonly moments: { first: AdamWState["firstMoment"]; second: AdamWState["secondMoment"] };
  /** Optimiser steps taken. */
  step: number;
  /** Frees the moments; decoder and adapter are the caller's. */
  free(): void;
}

/** All that a training step reads and writes, on the host: from it training goes on exactly. */
export interface TrainerState {
  /** Optimiser steps taken. */
  readonly step: number;
  /** float32 [adapter.size] each. */
  readonly parameters: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
}

export interface StepResult {
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
}

/** A loss or a gradient that is not a number; the adapter is as it was before the step. */
export class TrainingError extends Error {
  override readonly name = "TrainingError";
}

export function createTrainer(decoder: Decoder, adapter: LoraAdapter, options: OptimiserOptions = {}): LoraTrainer {
  prepareTraining(decoder);
  const zeros = (): Tensor => decoder.ops.device.upload(new Float32Array(adapter.size), [adapter.size]);
  // In a scope: the first does not stay where the second cannot be made.
  const moments = scope(() => ({ first: zeros(), second: zeros() }));
  for (const moment of Object.values(moments)) keep(moment);
  return {
    decoder,
    adapter,
    optimiser: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, maxGradNorm: 1, ...options },
    moments,
    step: 0,
    free: () => {
      moments.first.free();
      moments.second.free();
    },
  };
}

/** Copies the adapter and the optimiser's moments to the host. */
export function trainerState(trainer: LoraTrainer): TrainerState {
  const { decoder, moments, step } = trainer;
  const download = (tensor: Tensor): Float32Array => decoder.ops.device.download(tensor) as Float32Array;
  return {
    step,
    parameters: adapterParameters(trainer),
    firstMoment: download(moments.first),
    secondMoment: download(moments.second),
  };
}

/** Copies the adapter to the host, float32 [adapter.size]. */
export function adapterParameters({ decoder, adapter }: LoraTrainer): Float32Array {
  return decoder.ops.device.download(adapter.parameters) as Float32Array;
}

/** Puts a trainer, and its adapter, where {@link trainerState} was taken. @throws TrainingError if the sizes differ */
export function restoreTrainer(trainer: LoraTrainer, state: TrainerState): void {
  const { adapter, moments } = trainer;
  for (const [name, values] of Object.entries(state) as [keyof TrainerState, TrainerState[keyof TrainerState]][])
    if (typeof values !== "number" && values.length !== adapter.size)
      throw new TrainingError(`the state has ${values.length} values of ${name}, this adapter has ${adapter.size}`);
  setParameters(trainer, state.parameters);
  for (const [moment, values] of [
    ["first", state.firstMoment],
    ["second", state.secondMoment],
  ] as const) {
    const loaded = upload(trainer, values);
    moments[moment].free();
    moments[moment] = loaded;
  }
  trainer.step = state.step;
}

/** Replaces the adapter's values, float32 [adapter.size]. */
export function setParameters(trainer: LoraTrainer, values: Float32Array): void {
  const parameters = upload(trainer, values);
  trainer.adapter.parameters.free();
  trainer.adapter.parameters = parameters;
}

function upload({ decoder }: LoraTrainer, values: Float32Array): Tensor {
  return keep(decoder.ops.device.upload(values, [values.length]));
}

export interface TrainStepOptions {
  /** Logits are divided by it. Default 1. */
  readonly temperature?: number;
  /** Told how long each part took, once a micro-batch for the first two. */
  readonly onPhase?: (phase: TrainPhase, milliseconds: number) => void;
}

export type TrainPhase = "forward" | "backward" | "optimiser";

/** Takes one step. @throws TrainingError if the loss or the gradient is not finite; nothing has changed then. */
export function trainStep(
  trainer: LoraTrainer,
  batches: readonly PackedBatch[],
  loss: Loss,
  learningRate: number,
  options: TrainStepOptions = {},
): StepResult {
  const { temperature = 1, onPhase } = options;
  const { decoder, adapter, optimiser, moments } = trainer;
  let since = performance.now();
  const ends = (phase: TrainPhase): void => {
    const now = performance.now();
    onPhase?.(phase, now - since);
    since = now;
  };
  const { ops } = decoder;
  const lora = activateLora(decoder, adapter, true);
  let vector: GradientVector | null = null;
  try {
    vector = ops.gradientVector(adapter.size);
    let total = 0;
    for (const [index, batch] of batches.entries()) {
      const pass = forward(decoder, batch, lora, { training: true, temperature });
      ends("forward");
      try {
        const { value, weights } = loss(batch, pass.nll, index);
        total += value;
        if (!Number.isFinite(value))
          throw new TrainingError(`the loss is ${value} at step ${trainer.step + 1}; try a lower learning rate`);
        backward(decoder, pass, lora, weights, vector);
      } finally {
        pass.free();
      }
      ends("backward");
    }
    const gradient = keep(vector.take());
    try {
      const gradientNorm = Math.sqrt(ops.squaredNorm(gradient));
      if (!Number.isFinite(gradientNorm))
        throw new TrainingError(`the gradient is not finite at step ${trainer.step + 1}; try a lower learning rate`);
      const { maxGradNorm, beta1, beta2, epsilon, weightDecay } = optimiser;
      // torch.nn.utils.clip_grad_norm_ adds 1e-6 to the norm.
      const gradientScale = Math.min(1, maxGradNorm / (gradientNorm + 1e-6));
      const state = { parameters: adapter.parameters, firstMoment: moments.first, secondMoment: moments.second };
      ops.adamW(state, gradient, { learningRate, beta1, beta2, epsilon, weightDecay, step: trainer.step, gradientScale });
      adapter.parameters = keep(state.parameters);
      moments.first = keep(state.firstMoment);
      moments.second = keep(state.secondMoment);
      trainer.step++;
      ends("optimiser");
      return { loss: total, gradientNorm };
    } finally {
      gradient.free();
    }
  } finally {
    vector?.free();
    lora.free();
  }
}

/** Mean negative log-likelihood over the scored tokens of all batches, without training. */
export function meanLoss(decoder: Decoder, adapter: LoraAdapter | null, batches: readonly PackedBatch[]): number {
  const lora = adapter && activateLora(decoder, adapter, false);
  try {
    let sum = 0;
    let count = 0;
    for (const batch of batches) {
      const pass = forward(decoder, batch, lora);
      pass.free();
      for (const nll of pass.nll) sum += nll;
      count += pass.nll.length;
    }
    return sum / count;
  } finally {
    lora?.free();
  }
}
