import { createRequire } from "node:module";
import type * as tfjs from "@tensorflow/tfjs";
import { afterAll, describe, expect, it } from "vitest";
import type { AttentionConfig, DecoderOps, LinearWeight, LoraLayout, RopeConfig } from "../../src/tensor/ops.js";
import { portableOps } from "../../src/tensor/portable.js";
import { free, liveTensors, scope, TensorError, type Tensor } from "../../src/tensor/tensor.js";
import { tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { tfjsDevice } from "../../src/tensor/tfjs-device.js";
import { randomCase, runOps } from "./portable-cases.js";

const tf = createRequire(import.meta.url)("@tensorflow/tfjs") as typeof tfjs;
const device = tensorflowDevice();
const ops = portableOps(device);

const f = (...shape: number[]): Tensor => device.upload(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1), shape);
const i = (values: number[], ...shape: number[]): Tensor =>
  device.upload(Int32Array.from(values), shape.length ? shape : [values.length]);

const attention: AttentionConfig = { heads: 2, kvHeads: 1, headDim: 4, scale: 0.5, window: 0 };
const layout: LoraLayout = {
  inputs: 3,
  outputs: 5,
  parts: [{ rank: 2, offsetA: 0, offsetB: 6, outputStart: 0, outputEnd: 5, scale: 1 }],
};
const weight: LinearWeight = ops.linearWeight(3, [{ weight: new Float32Array(15) }]);
const prepared: LinearWeight = { ...weight, backward: weight.forward };
const caches = { prompts: ops.layerCache(2, 4, attention), completions: ops.layerCache(2, 4, attention) };
scope(() => ops.fillCache(caches.prompts, f(3, 16), [{ start: 0, length: 3, slot: 1 }], attention));
afterAll(() => {
  free(weight.forward);
  caches.prompts.free();
  caches.completions.free();
});

const rope = (change: Partial<RopeConfig> = {}): RopeConfig => ({
  frequencies: f(2),
  queryNorm: null,
  keyNorm: null,
  normEpsilon: 1e-5,
  ...change,
});
const lora = (change: Partial<LoraLayout> = {}): LoraLayout => ({ ...layout, ...change });
const part = (change: Partial<LoraLayout["parts"][number]>): LoraLayout => lora({ parts: [{ ...layout.parts[0], ...change }] });
const attend = (config: Partial<AttentionConfig>, segments = [0, 3, 0, 0]) =>
  ops.attention(f(3, 16), i(segments, segments.length / 4, 4), { ...attention, ...config });
const decode = (row: Partial<{ promptSlot: number; promptLength: number; slot: number; length: number }>) =>
  ops.decodeAttention(
    f(1, 16),
    caches.prompts,
    caches.completions,
    [{ promptSlot: 1, promptLength: 3, slot: 0, length: 0, ...row }],
    attention,
    rope(),
  );
const sample = (change: { temperature?: number; topP?: number; uniforms?: number[] }) => {
  const { temperature = 1, topP = 1, uniforms = [0.5, 0.5] } = change;
  return ops.sample(f(2, 3), { temperature, topP, uniforms: Float32Array.from(uniforms) });
};
const freed = (): Tensor => {
  const tensor = f(3, 16);
  tensor.free();
  return tensor;
};

/** What is called, and what the message must say. */
const wrong: [string, () => unknown, RegExp][] = [
  ["no norm input", () => ops.rmsNorm(null, null, f(3), 1e-5), /rmsNorm: residual and branch must not both be null/],
  [
    "a norm of another width",
    () => ops.rmsNorm(f(2, 3), null, f(4), 1e-5),
    /rmsNorm: residual must be float32\[2, 4\], got float32\[2, 3\]/,
  ],
  ["branch of other rows", () => ops.rmsNorm(f(2, 3), f(3, 3), f(3), 1e-5), /rmsNorm: branch/],
  ["epsilon 0", () => ops.rmsNorm(f(2, 3), null, f(3), 0), /rmsNorm: epsilon/],
  [
    "integers as activations",
    () => ops.rmsNorm(null, i([1, 2], 1, 2), f(2), 1e-5),
    /rmsNorm: branch must be float32\[1, 2\], got int32\[1, 2\]/,
  ],
  ["inverse of other rows", () => ops.rmsNormGradient(f(2, 3), f(3), f(3), f(2, 3), null), /rmsNormGradient: inverseRms/],
  ["dSum of other rows", () => ops.rmsNormGradient(f(2, 3), f(2), f(3), f(2, 3), f(1, 3)), /rmsNormGradient: dSum/],
  ["a freed tensor", () => ops.rope(freed(), i([0, 1, 2]), attention, rope()), /rope: qkv must be .* got a freed float32/],
  [
    "qkv of another width",
    () => ops.rope(f(3, 15), i([0, 1, 2]), attention, rope()),
    /rope: qkv must be float32\[N, 16\], got float32\[3, 15\]/,
  ],
  ["positions of other rows", () => ops.rope(f(3, 16), i([0, 1]), attention, rope()), /rope: positions must be int32\[3\]/],
  ["float positions", () => ops.rope(f(3, 16), f(3), attention, rope()), /rope: positions must be int32\[3\], got float32\[3\]/],
  [
    "frequencies of another size",
    () => ops.rope(f(3, 16), i([0, 1, 2]), attention, rope({ frequencies: f(4) })),
    /rope: rope.frequencies/,
  ],
  ["a norm of another size", () => ops.rope(f(3, 16), i([0, 1, 2]), attention, rope({ queryNorm: f(3) })), /rope.queryNorm/],
  ["odd head size", () => ops.rope(f(3, 16), i([0, 1, 2]), { ...attention, headDim: 3 }, rope()), /headDim must be even, got 3/],
  ["no head", () => attend({ heads: 0 }), /attention.heads must be an integer at least 1, got 0/],
  ["heads that do not divide", () => attend({ heads: 3, kvHeads: 2 }), /a multiple of kvHeads 2, got 3/],
  ["negative window", () => attend({ window: -1 }), /attention.window/],
  ["scale NaN", () => attend({ scale: NaN }), /attention.scale must be a finite number above 0, got NaN/],
  [
    "a segment past the end",
    () => attend({}, [1, 3, 0, 0]),
    /attention: segments\[0\] must be inside 3 rows, got \[1, 3, 0, 0\]/,
  ],
  ["a segment before the start", () => attend({}, [-1, 3, 0, 0]), /segments\[0\]/],
  ["negative length", () => attend({}, [0, -2, 0, 0]), /segments\[0\]/],
  ["a prefix past the end", () => attend({}, [0, 1, 2, 2]), /segments\[0\]/],
  ["a sum that overflows int32", () => attend({}, [2147483647, 2147483647, 0, 0]), /segments\[0\]/],
  [
    "segments that share rows",
    () => attend({}, [0, 2, 0, 0, 1, 2, 0, 0]),
    /query ranges must be disjoint, got two that hold row 1/,
  ],
  ["no queries", () => attend({}, [0, 0, 0, 0]), /at least one with queries/],
  [
    "segments of five numbers",
    () => ops.attention(f(3, 16), i([0, 3, 0, 0, 0], 1, 5), attention),
    /segments must be int32\[S, 4\]/,
  ],
  [
    "a gradient of another width",
    () => ops.attentionGradient(f(3, 16), i([0, 3, 0, 0], 1, 4), attention, f(3, 8), f(2, 3), f(3, 16)),
    /attentionGradient: dOutput/,
  ],
  [
    "logSumExp the other way",
    () => ops.attentionGradient(f(3, 16), i([0, 3, 0, 0], 1, 4), attention, f(3, 8), f(3, 2), f(3, 8)),
    /logSumExp/,
  ],
  ["odd gate|up", () => ops.gated(f(2, 3), "silu"), /gated: gateUp's width must be even, got 3/],
  ["unknown activation", () => ops.gated(f(2, 4), "relu" as "silu"), /gated: activation must be "silu" or "gelu_tanh", got relu/],
  ["dOutput of another width", () => ops.gatedGradient(f(2, 4), f(2, 4), "silu"), /gatedGradient: dOutput/],
  ["no parts", () => ops.linearWeight(3, []), /linearWeight: parts/],
  [
    "weights that are not rows",
    () => ops.linearWeight(3, [{ weight: new Float32Array(7) }]),
    /parts\[0\].weight must be rows of 3 values, got 7/,
  ],
  [
    "too short a bias",
    () => ops.linearWeight(3, [{ weight: new Float32Array(6), bias: new Float32Array(1) }]),
    /parts\[0\].bias must be 2 values, got 1/,
  ],
  ["inputs 0", () => ops.linearWeight(0, [{ weight: new Float32Array(0) }]), /linearWeight: inputs/],
  ["x of another width", () => ops.linear(f(2, 4), weight, null), /linear: x must be float32\[N, 3\], got float32\[2, 4\]/],
  ["no rows", () => ops.linear(f(0, 3), weight, null), /linear: x must be float32\[N, 3\], got float32\[0, 3\]/],
  ["an unprepared weight", () => ops.linearGradient(f(2, 5), weight, null), /must be prepared by prepareBackward/],
  ["dy of another width", () => ops.linearGradient(f(2, 3), prepared, null), /linearGradient: dy/],
  [
    "another layer's LoRA",
    () => ops.linear(f(2, 3), weight, ops.loraWeight(f(20), lora({ inputs: 2 }), true)),
    /linear: lora must be for a \[5, 3\] weight, got \[5, 2\]/,
  ],
  ["LoRA tensors of another make", () => ops.linear(f(2, 3), weight, { layout, tensors: [f(2, 3)] }), /linear: lora.tensors/],
  [
    "factors past the end",
    () => ops.loraWeight(f(15), layout, true),
    /layout.parts\[0\].offsetB must be an integer in \[0, 5\], got 6/,
  ],
  ["rank 0", () => ops.loraWeight(f(16), part({ rank: 0 }), true), /layout.parts\[0\].rank/],
  ["a part past the outputs", () => ops.loraWeight(f(99), part({ outputEnd: 6 }), true), /layout.parts\[0\].outputEnd/],
  ["an empty part", () => ops.loraWeight(f(99), part({ outputStart: 5 }), true), /layout.parts\[0\].outputEnd/],
  [
    "parts that overlap",
    () => ops.loraWeight(f(99), lora({ parts: [layout.parts[0], layout.parts[0]] }), true),
    /layout.parts\[1\].outputStart/,
  ],
  ["a fractional offset", () => ops.loraWeight(f(99), part({ offsetA: 0.5 }), true), /layout.parts\[0\].offsetA/],
  ["no LoRA parts", () => ops.loraWeight(f(9), lora({ parts: [] }), true), /layout.parts must be at least one part/],
  [
    "a foreign gradient vector",
    () => ops.addLoraGradient({ size: 16, take: () => f(1), free: () => undefined }, layout, f(1, 3), f(1, 2), f(1, 5), f(1, 2)),
    /made by gradientVector/,
  ],
  ["an empty gradient vector", () => ops.gradientVector(0), /gradientVector: size/],
  ["an id past the vocabulary", () => ops.embed(weight, i([0, 5]), 1), /embed: ids\[1\] must be in \[0, 5\), got 5/],
  ["a negative id", () => ops.embed(weight, i([-1]), 1), /embed: ids\[0\] must be in \[0, 5\), got -1/],
  ["a row past the end", () => ops.gatherRows(f(2, 3), i([2])), /gatherRows: rows\[0\] must be in \[0, 2\), got 2/],
  ["rows of integers", () => ops.gatherRows(i([1, 2], 2, 1), i([0])), /gatherRows: x must be float32 or bfloat16/],
  ["a scatter past the end", () => ops.scatterRows(f(1, 3), i([4]), 4), /scatterRows: rows\[0\]/],
  ["fewer gradients than rows", () => ops.scatterRows(f(1, 3), i([0, 1]), 4), /scatterRows: rows must be int32\[1\]/],
  ["a cast of integers", () => ops.cast(i([1])), /cast: x must be float32/],
  ["a target past the vocabulary", () => ops.crossEntropy(f(2, 3), i([0, 3]), 1), /crossEntropy: targets\[1\]/],
  ["temperature 0", () => ops.crossEntropy(f(2, 3), i([0, 1]), 0), /crossEntropy: temperature/],
  ["weights of other rows", () => ops.crossEntropyGradient(f(2, 3), i([0, 1]), f(2), f(3), 1), /crossEntropyGradient: weights/],
  ["no slots", () => ops.layerCache(0, 4, attention), /layerCache: slots/],
  [
    "a slot past the cache",
    () => ops.fillCache(caches.prompts, f(3, 16), [{ start: 0, length: 1, slot: 2 }], attention),
    /fillCache: segments\[0\].slot/,
  ],
  [
    "more tokens than capacity",
    () => ops.fillCache(caches.prompts, f(5, 16), [{ start: 0, length: 5, slot: 0 }], attention),
    /fillCache: segments\[0\].length/,
  ],
  [
    "rows past the batch",
    () => ops.fillCache(caches.prompts, f(3, 16), [{ start: 2, length: 2, slot: 0 }], attention),
    /fillCache: segments\[0\].start/,
  ],
  [
    "one slot filled twice",
    () =>
      ops.fillCache(
        caches.prompts,
        f(3, 16),
        [
          { start: 0, length: 1, slot: 0 },
          { start: 1, length: 1, slot: 0 },
        ],
        attention,
      ),
    /segments' slots must be different/,
  ],
  [
    "another cache's heads",
    () => ops.fillCache(caches.prompts, f(3, 32), [{ start: 0, length: 1, slot: 0 }], { ...attention, kvHeads: 2, heads: 4 }),
    /fillCache: cache must be for 2 heads of 4, got 1 heads of 4/,
  ],
  [
    "a prompt that was never filled",
    () => decode({ promptSlot: 0 }),
    /rows\[0\].promptLength must be an integer in \[0, 0\], got 3/,
  ],
  ["more prompt than was filled", () => decode({ promptLength: 4 }), /rows\[0\].promptLength/],
  ["tokens that were never decoded", () => decode({ length: 1 }), /rows\[0\].length must be an integer in \[0, 0\], got 1/],
  ["a slot past the completions", () => decode({ slot: 2 }), /rows\[0\].slot/],
  [
    "no rows to decode",
    () => ops.decodeAttention(f(1, 16), caches.prompts, caches.completions, [], attention, rope()),
    /rows must be at least one row/,
  ],
  [
    "more rows than tokens",
    () =>
      ops.decodeAttention(
        f(2, 16),
        caches.prompts,
        caches.completions,
        [{ promptSlot: 0, promptLength: 0, slot: 0, length: 0 }],
        attention,
        rope(),
      ),
    /decodeAttention: qkv/,
  ],
  ["negative temperature", () => sample({ temperature: -1 }), /sample: temperature/],
  ["topP 0", () => sample({ topP: 0 }), /sample: topP must be in \(0, 1\], got 0/],
  ["topP NaN", () => sample({ topP: NaN }), /sample: topP/],
  ["too few numbers", () => sample({ uniforms: [0.5] }), /sample: uniforms must be 2 numbers, got 1/],
  ["a number of 1", () => sample({ uniforms: [0.5, 1] }), /sample: uniforms\[1\]/],
  [
    "logits NaN",
    () => ops.sample(device.upload(Float32Array.of(1, NaN), [1, 2]), { temperature: 0, topP: 1, uniforms: new Float32Array(0) }),
    /sample: logits of row 0/,
  ],
];

describe("portable ops with wrong arguments", () => {
  it.each(wrong)("refuse %s and leave nothing behind", (_, call, message) => {
    const before = liveTensors();
    const handles = device.handleCount();
    expect(() => scope(call)).toThrow(TensorError);
    expect(() => scope(call)).toThrow(message);
    expect(liveTensors()).toEqual(before);
    expect(device.handleCount()).toBe(handles);
  });

  it("refuse tensors of another device", async () => {
    const other = await tfjsDevice("javascript");
    scope(() => {
      const there = portableOps(other);
      expect(() => there.gated(f(1, 4), "silu")).toThrow(/another device was given to the javascript backend/);
    });
  });
});

describe("portable ops free what they make", () => {
  it.each(["float32", "bfloat16", "wasm", "javascript"] as const)("after every op in %s", async (kind) => {
    const own: DecoderOps =
      kind === "float32" || kind === "bfloat16" ? portableOps(device, kind) : portableOps(await tfjsDevice(kind));
    runOps(own, randomCase(1, { scale: 0.4 }));
    const before = { ...liveTensors(), handles: device.handleCount(), tfjs: tf.memory().numTensors };
    for (let seed = 0; seed < 4; seed++) runOps(own, randomCase(seed, { scale: 0.4 }));
    expect({ ...liveTensors(), handles: device.handleCount(), tfjs: tf.memory().numTensors }).toEqual(before);
  });
});
