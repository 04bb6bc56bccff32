/** Loss and gradient of a training batch, for comparing ways to compute the same. */
import { expect } from "vitest";
import { backward } from "../../src/model/backward.js";
import type { PackedBatch } from "../../src/model/batch.js";
import type { Decoder } from "../../src/model/decoder.js";
import { forward } from "../../src/model/forward.js";
import { activateLora, type LoraAdapter } from "../../src/model/lora.js";
import type { Loss } from "../../src/train/trainer.js";

export interface LossGradient {
  readonly value: number;
  /** Of the LoRA factors. */
  readonly gradient: Float32Array;
  readonly norm: number;
}

/** Of one optimiser batch in micro-batches; nothing is changed. */
export function lossAndGradient(
  decoder: Decoder,
  adapter: LoraAdapter,
  micros: readonly { readonly batch: PackedBatch }[],
  loss: Loss,
  temperature?: number,
): LossGradient {
  const lora = activateLora(decoder, adapter, true);
  const vector = decoder.ops.gradientVector(adapter.size);
  let value = 0;
  micros.forEach(({ batch }, index) => {
    const pass = forward(decoder, batch, lora, { training: true, ...(temperature !== undefined && { temperature }) });
    const part = loss(batch, pass.nll, index);
    value += part.value;
    backward(decoder, pass, lora, part.weights, vector);
    pass.free();
  });
  const taken = vector.take();
  const gradient = decoder.ops.device.download(taken) as Float32Array;
  taken.free();
  vector.free();
  lora.free();
  return { value, gradient, norm: Math.sqrt(gradient.reduce((sum, v) => sum + v * v, 0)) };
}

/** Up to rounding. */
export function expectSameGradient(one: LossGradient, other: LossGradient): void {
  expect(one.value).toBeCloseTo(other.value, 4);
  const scale = largest(other.gradient);
  expect(scale).toBeGreaterThan(0);
  expect(largest(one.gradient.map((v, i) => v - other.gradient[i]))).toBeLessThan(1e-4 * scale);
}

/** Largest absolute value. */
export const largest = (values: Iterable<number>): number => Math.max(...Array.from(values, Math.abs));
