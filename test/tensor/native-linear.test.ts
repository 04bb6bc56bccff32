import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nativeLinear } from "../../src/tensor/native-linear.js";
import { nativeAddon } from "../../src/tensor/native-addon.js";
import type { LoraLayout, LoraPart } from "../../src/tensor/ops.js";
import { liveTensors, scope, TensorError, type Tensor } from "../../src/tensor/tensor.js";
import { tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { generator, values } from "../native/random.js";

nativeAddon();
const device = tensorflowDevice();
const random = generator(5);

describe.each(["float32", "bfloat16"] as const)("a row's result in %s", (precision) => {
  const ops = nativeLinear(device, precision);

  it("does not depend on the rows beside it, forward or backward", () => {
    const [inputs, outputs, rows] = [96, 112, 45];
    const layout: LoraLayout = {
      inputs,
      outputs,
      parts: [
        { rank: 16, offsetA: 0, offsetB: 16 * inputs, outputStart: 0, outputEnd: 64, scale: 2 },
        { rank: 5, offsetA: 3000, offsetB: 3600, outputStart: 64, outputEnd: 112, scale: 1 },
      ],
    };
    scope(() => {
      const weight = ops.linearWeight(inputs, [{ weight: values(random, inputs * outputs), bias: values(random, outputs) }]);
      ops.prepareBackward(weight);
      const lora = ops.loraWeight(device.upload(values(random, 4000), [4000]), layout, true);
      const x = values(random, rows * inputs);
      const dy = values(random, rows * outputs);
      const compute = (first: number, count: number): { y: Float32Array; dx: Float32Array } =>
        scope(() => {
          const xs = device.upload(x.slice(first * inputs, (first + count) * inputs), [count, inputs], precision);
          const dys = device.upload(dy.slice(first * outputs, (first + count) * outputs), [count, outputs], precision);
          const y = device.download(ops.linear(xs, weight, lora).y) as Float32Array;
          return { y, dx: device.download(ops.linearGradient(dys, weight, lora).dx) as Float32Array };
        });
      const all = compute(0, rows);
      for (const count of [1, 2, 3, 4, 5, 8, 11, 12, 13, 24, 25, 32, 33]) {
        const first = rows - count;
        const some = compute(first, count);
        expect(some.y).toEqual(all.y.slice(first * outputs));
        expect(some.dx).toEqual(all.dx.slice(first * inputs));
      }
    });
  });
});

describe("what does not fit is refused by name, and nothing is left behind", () => {
  const ops = nativeLinear(device, "float32");
  const part: LoraPart = { rank: 2, offsetA: 0, offsetB: 8, outputStart: 0, outputEnd: 6, scale: 1 };
  const layout: LoraLayout = { inputs: 4, outputs: 6, parts: [part] };
  const floats = (...shape: number[]): Tensor => device.upload(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
  const weight = (): ReturnType<typeof ops.linearWeight> => ops.linearWeight(4, [{ weight: new Float32Array(24) }]);
  const gradient = (
    layoutGiven: LoraLayout,
    shapes: { x?: number[]; projected?: number[]; dy?: number[]; size?: number },
  ): void => {
    const vector = ops.gradientVector(shapes.size ?? 20);
    try {
      const projected = shapes.projected ?? [3, 2];
      ops.addLoraGradient(
        vector,
        layoutGiven,
        floats(...(shapes.x ?? [3, 4])),
        floats(...projected),
        floats(...(shapes.dy ?? [3, 6])),
        floats(...projected),
      );
    } finally {
      vector.free();
    }
  };
  const changed = (change: Partial<LoraPart>): LoraLayout => ({ ...layout, parts: [{ ...part, ...change }] });

  // Constants of a layout stay: they are made before the count by running each case once.
  const cases: [string, () => unknown, RegExp][] = [
    [
      "x of another width",
      () => ops.linear(floats(3, 5), weight(), null),
      /input "x": expected float32 \[any, 4\], got float32 \[3, 5\]/,
    ],
    [
      "x of another rank",
      () => ops.linear(floats(4), weight(), null),
      /input "x": expected float32 \[any, 4\], got float32 \[4\]/,
    ],
    ["x of another dtype", () => ops.linear(device.upload(new Float32Array(4), [1, 4], "bfloat16"), weight(), null), /bfloat16/],
    [
      "LoRA of another layer",
      () => ops.linear(floats(3, 4), weight(), ops.loraWeight(floats(20), { ...layout, outputs: 7 }, false)),
      /4 -> 7/,
    ],
    ["an unprepared gradient", () => ops.linearGradient(floats(3, 6), weight(), null), /prepareBackward/],
    [
      "a gradient with LoRA for inference",
      () => {
        const prepared = weight();
        ops.prepareBackward(prepared);
        return ops.linearGradient(floats(3, 6), prepared, ops.loraWeight(floats(20), layout, false));
      },
      /not made for training/,
    ],
    ["parameters that are too short", () => ops.loraWeight(floats(19), layout, false), /ends at 20 of a vector of 19 values/],
    ["a negative offset", () => ops.loraWeight(floats(20), changed({ offsetA: -1 }), false), /part 0: an offset is negative/],
    ["a rank of zero", () => ops.loraWeight(floats(20), changed({ rank: 0 }), false), /rank must be in/],
    ["outputs outside the layer", () => ops.loraWeight(floats(20), changed({ outputEnd: 7 }), false), /outputs must be in order/],
    [
      "overlapping parts",
      () => ops.loraWeight(floats(40), { ...layout, parts: [part, { ...part, outputStart: 5 }] }, false),
      /part 1: its outputs must be in order/,
    ],
    [
      "an id outside the table",
      () => ops.embed(weight(), device.upload(Int32Array.of(0, 6), [2]), 1),
      /value 6 at index 1 is outside \[0, 6\)/,
    ],
    ["a negative id", () => ops.embed(weight(), device.upload(Int32Array.of(-1), [1]), 1), /value -1 at index 0/],
    ["ids of another dtype", () => ops.embed(weight(), floats(2), 1), /int32/],
    ["a gradient outside the vector", () => gradient(layout, { size: 19 }), /ends at 20 of a vector of 19/],
    ["rows that differ", () => gradient(layout, { x: [2, 4] }), /input "projected": expected float32 \[2, 2\]/],
    ["dy of another width", () => gradient(layout, { dy: [3, 5] }), /input "dy"/],
    ["projected of another rank", () => gradient(layout, { projected: [3, 3] }), /input "projected"/],
    ["a weight that is not rows", () => ops.linearWeight(5, [{ weight: new Float32Array(24) }]), /24 values, not rows of 5/],
    [
      "biases that do not fit",
      () => ops.linearWeight(4, [{ weight: new Float32Array(24), bias: new Float32Array(5) }]),
      /5 biases for 6 outputs/,
    ],
  ];

  let before = { count: 0, handles: 0 };
  const count = (): typeof before => ({ count: liveTensors().count, handles: device.handleCount() });
  beforeEach(({ task }) => {
    const named = cases.find(([name]) => task.name.includes(name))!;
    try {
      scope(named[1]);
    } catch {
      // Only the constants matter here; the test itself looks at the error.
    }
    before = count();
  });
  afterEach(() => expect(count()).toEqual(before));

  it.each(cases)("%s", (_name, act, message) => {
    let error: unknown;
    try {
      scope(act);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(TensorError);
    expect((error as TensorError).message).toMatch(message);
  });
});

describe("edge cases", () => {
  const ops = nativeLinear(device, "float32");

  it("gives an empty result for no rows", () => {
    scope(() => {
      const weight = ops.linearWeight(4, [{ weight: new Float32Array(24) }]);
      expect(ops.linear(device.upload(new Float32Array(0), [0, 4]), weight, null).y.shape).toEqual([0, 6]);
    });
  });

  it("adds to a gradient vector in place, and gives it away once", () => {
    const vector = ops.gradientVector(3);
    const taken = vector.take();
    expect([...device.download(taken)]).toEqual([0, 0, 0]);
    expect(() => vector.take()).toThrow(TensorError);
    vector.free();
    expect(taken.isLive).toBe(true);
    taken.free();
  });
});
