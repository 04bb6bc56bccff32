import { describe, expect, it } from "vitest";
import { liveTensors, scope, TensorError } from "../../src/tensor/tensor.js";
import { attribute, TensorflowError, tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { toBfloat16 } from "../native/random.js";

const device = tensorflowDevice();
const matmul = [attribute.dtype("T", "bfloat16"), attribute.bool("transpose_a", false), attribute.bool("transpose_b", false)];

describe("the TensorFlow device", () => {
  it("rounds float32 to bfloat16 on upload and widens it on download", () => {
    const data = Float32Array.of(1, 1.00390625, -3.14159, 1e-30, 65504, 0);
    scope(() => {
      const tensor = device.upload(data, [2, 3], "bfloat16");
      expect(tensor).toMatchObject({ dtype: "bfloat16", shape: [2, 3], byteLength: 12 });
      expect(device.download(tensor)).toEqual(data.map(toBfloat16));
    });
  });

  it("copies what is uploaded", () => {
    scope(() => {
      const data = Float32Array.from({ length: 64 }, (_, i) => i);
      const tensor = device.upload(data, [64]);
      data.fill(-1);
      expect(device.download(tensor)[7]).toBe(7);
    });
  });

  it("reports a wrong argument as TensorError with op and shapes, an unknown op as TensorflowError, and keeps nothing", () => {
    const before = { ...liveTensors(), handles: device.handleCount() };
    scope(() => {
      const a = device.upload(new Float32Array(4), [2, 2], "bfloat16");
      const b = device.upload(new Float32Array(3), [3, 1], "bfloat16");
      expect(() => device.execute("MatMul", matmul, [a, b], 1)).toThrow(TensorError);
      expect(() => device.execute("MatMul", matmul, [a, b], 1)).toThrow(/^MatMul: .*bfloat16\[2, 2\], bfloat16\[3, 1\]/);
      expect(() => device.execute("NoSuchOp", [], [a], 1)).toThrow(TensorflowError);
      const boolean = [attribute.dtype("T", "bfloat16")];
      expect(() => device.execute("Less", boolean, [a, a], 1)).toThrow(/dtype 10/);
    });
    expect({ ...liveTensors(), handles: device.handleCount() }).toEqual(before);
  });

  it("refuses data that do not fill the shape, fractional dimensions and a freed tensor", () => {
    expect(() => device.upload(new Float32Array(5), [2, 3])).toThrow("5 values do not fill shape [2, 3]");
    expect(() => device.upload(new Float32Array(3), [1.5, 2])).toThrow(TensorError);
    expect(() => device.upload(Int32Array.of(1), [1], "bfloat16")).toThrow("int32 data cannot be uploaded as bfloat16");
    const tensor = device.upload(Int32Array.of(1), [1]);
    tensor.free();
    expect(() => device.download(tensor)).toThrow(/freed/);
  });
});
