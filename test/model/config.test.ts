import { describe, expect, it } from "vitest";
import { checkDecoderConfig, ModelConfigError, type DecoderConfig } from "../../src/model/config.js";

const config: DecoderConfig = {
  architecture: "llama",
  vocabSize: 100,
  hiddenSize: 16,
  intermediateSize: 24,
  layerCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  headDim: 4,
  rmsNormEpsilon: 1e-5,
  activation: "silu",
  qkvBias: false,
  qkNorm: false,
  postNorms: false,
  normPlusOne: false,
  embeddingScale: 1,
  attentionScale: 0.5,
  tiedEmbeddings: true,
  maxPositions: 64,
  bosId: 1,
  eosIds: [2, 3],
  padId: null,
  layers: [
    { rope: "global", window: 0 },
    { rope: "global", window: 8 },
  ],
  ropeFrequencies: { global: Float32Array.of(1, 0.01), local: null },
};

describe("checkDecoderConfig", () => {
  it("returns a config that is right", () => {
    expect(checkDecoderConfig(config, "f")).toBe(config);
  });

  const cases: [field: string, change: Partial<DecoderConfig>][] = [
    ["vocabSize", { vocabSize: 0 }],
    ["vocabSize", { vocabSize: 1e12 }],
    ["hiddenSize", { hiddenSize: 16.5 }],
    ["hiddenSize", { hiddenSize: NaN }],
    ["intermediateSize", { intermediateSize: -1 }],
    ["layerCount", { layerCount: 1e9 }],
    ["headCount", { headCount: Infinity }],
    ["kvHeadCount", { kvHeadCount: 3 }],
    ["headDim", { headDim: 5 }],
    ["headDim", { headDim: 4096 }],
    ["rmsNormEpsilon", { rmsNormEpsilon: 0 }],
    ["rmsNormEpsilon", { rmsNormEpsilon: NaN }],
    ["attentionScale", { attentionScale: Infinity }],
    ["embeddingScale", { embeddingScale: -1 }],
    ["maxPositions", { maxPositions: 2 ** 40 }],
    ["bosId", { bosId: 100 }],
    ["padId", { padId: -1 }],
    ["eosIds", { eosIds: [2, 100] }],
    ["layers", { layers: [{ rope: "global", window: 0 }] }],
    ["layers[1].window", { layers: [config.layers[0], { rope: "global", window: -1 }] }],
    ["layers[1].rope", { layers: [config.layers[0], { rope: "local", window: 4 }] }],
    ["ropeFrequencies.global", { ropeFrequencies: { global: Float32Array.of(1), local: null } }],
    ["ropeFrequencies.global", { ropeFrequencies: { global: Float32Array.of(1, NaN), local: null } }],
    ["ropeFrequencies.local", { ropeFrequencies: { global: Float32Array.of(1, 1), local: Float32Array.of(1, 0) } }],
  ];

  it.each(cases)("names the field: %s", (field, change) => {
    const check = (): unknown => checkDecoderConfig({ ...config, ...change }, "some/config.json");
    expect(check).toThrow(ModelConfigError);
    expect(check).toThrow(`some/config.json: ${field}: `);
  });
});
