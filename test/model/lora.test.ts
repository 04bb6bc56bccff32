/** Adapters in memory: what PEFT files may hold, the kernels take. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Decoder } from "../../src/model/decoder.js";
import { activateLora, createLora } from "../../src/model/lora.js";
import { MAX_RANK } from "../../src/model/weights/peft-config.js";
import { createRandom } from "../../src/random.js";
import { openOps } from "../../src/tensor/backend.js";
import { TensorError } from "../../src/tensor/tensor.js";
import { openCheckpoint } from "./checkpoints.js";

let decoder: Decoder;
beforeAll(async () => {
  decoder = openCheckpoint(await openOps({ precision: "float32" }), "qwen3");
});
afterAll(() => decoder.free());

const ofRank = (r: number) =>
  createLora(decoder, { r, loraAlpha: 16, targetModules: ["q_proj"], layers: [0] }, createRandom(1, "lora"));

describe("an adapter's rank", () => {
  it.each([1, MAX_RANK])("may be %d", (rank) => {
    const adapter = ofRank(rank);
    activateLora(decoder, adapter, true).free();
    expect(adapter.factors).toMatchObject([{ rank, scale: 16 / rank }]);
    adapter.free();
  });

  it.each([0, 1.5, NaN, MAX_RANK + 1])("may not be %d", (rank) => {
    expect(() => ofRank(rank)).toThrow(TensorError);
    expect(() => ofRank(rank)).toThrow(`rank r is ${rank}`);
  });
});
