/** Opens the small random checkpoints of test/reference/checkpoints beside the numbers that transformers gives for them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadDecoder, type Decoder } from "../../src/model/decoder.js";
import { openWeights } from "../../src/model/weights/source.js";
import type { DecoderOps } from "../../src/tensor/ops.js";

export const CHECKPOINTS = ["llama", "llama-tied", "qwen2", "qwen3", "gemma3"] as const;
export type CheckpointName = (typeof CHECKPOINTS)[number];

export interface ExpectedSequence {
  readonly ids: number[];
  readonly lastLogits: number[];
  readonly logSumExp: number[];
  readonly logProbs: number[];
}

export interface ExpectedNumbers {
  readonly sequences: ExpectedSequence[];
  readonly greedy: { readonly prompt: number[]; readonly ids: number[]; readonly margins: number[] };
}

export interface Expected extends ExpectedNumbers {
  readonly largestLogit: number;
  readonly adapter: ExpectedNumbers & {
    readonly batch: { readonly ids: number[][]; readonly completionStarts: number[]; readonly loss: number };
  };
}

export function checkpointFolder(name: CheckpointName): string {
  return fileURLToPath(new URL(`../reference/checkpoints/${name}`, import.meta.url));
}

export function expectedNumbers(name: CheckpointName): Expected {
  return JSON.parse(readFileSync(`${checkpointFolder(name)}/expected.json`, "utf8")) as Expected;
}

export function openCheckpoint(ops: DecoderOps, name: CheckpointName): Decoder {
  const source = openWeights(checkpointFolder(name));
  try {
    return loadDecoder(ops, source);
  } finally {
    source.close();
  }
}
