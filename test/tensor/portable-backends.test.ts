import { describe, expect, it } from "vitest";
import { portableOps } from "../../src/tensor/portable.js";
import { tensorflowDevice } from "../../src/tensor/tensorflow.js";
import { tfjsDevice } from "../../src/tensor/tfjs-device.js";
import { cosine, randomCase, relativeError, runOps } from "./portable-cases.js";

describe("portable ops on other backends against float32 on TensorFlow", () => {
  const float32 = portableOps(tensorflowDevice());

  it("keeps the direction of every result in bfloat16", () => {
    const bfloat16 = portableOps(tensorflowDevice(), "bfloat16");
    for (let seed = 1000; seed < 1040; seed++) {
      const c = randomCase(seed);
      const exact = runOps(float32, c);
      const rounded = runOps(bfloat16, c);
      expect(Object.keys(rounded)).toEqual(Object.keys(exact));
      for (const [name, values] of Object.entries(exact)) {
        expect(cosine(rounded[name], values), `${name} of ${c.name}`).toBeGreaterThan(0.998);
      }
    }
  });

  it("does not round float32 results through bfloat16", () => {
    const bfloat16 = portableOps(tensorflowDevice(), "bfloat16");
    const y = runOps(bfloat16, randomCase(7))["linear.y in float32"];
    const bits = new Uint32Array(y.buffer);
    expect(bits.some((word) => (word & 0xffff) !== 0)).toBe(true);
  });

  it.each(["wasm", "javascript"] as const)("gives the same numbers on %s", async (placement) => {
    const ops = portableOps(await tfjsDevice(placement));
    expect(ops.device.placement).toBe(placement);
    for (let seed = 2000; seed < 2030; seed++) {
      const c = randomCase(seed, { scale: 0.5 });
      const expected = runOps(float32, c);
      const got = runOps(ops, c);
      expect(Object.keys(got)).toEqual(Object.keys(expected));
      for (const [name, values] of Object.entries(expected)) {
        expect(relativeError(got[name], values), `${name} of ${c.name}`).toBeLessThan(3e-5);
      }
    }
  });

  it("refuses bfloat16 on a tfjs device", async () => {
    const device = await tfjsDevice("javascript");
    expect(() => portableOps(device, "bfloat16")).toThrow(/precision must be float32 on the javascript backend/);
  });
});
