/** Constants are shared and bounded in number; one that was just handed out is not freed under its reader. */
import { beforeAll, describe, expect, it } from "vitest";
import { nativeOps } from "../../src/tensor/native.js";
import { constant, floatConstant, nothing, renew } from "../../src/tensor/native-constants.js";
import { liveTensors } from "../../src/tensor/tensor.js";

beforeAll(() => void nativeOps("float32"));

/** More contents than are kept, none of which was asked for before. */
let next = 0;
const askForOthers = (count: number): void => {
  for (let i = 0; i < count; i++) constant(7, 7, 7, next++);
};

describe("constants", () => {
  it("of one content and type are one tensor, and do not count as alive", () => {
    const before = liveTensors();
    expect(constant(1, 2)).toBe(constant(1, 2));
    expect(new Set([constant(1, 2), constant(2, 1), floatConstant(1, 2), nothing("int32"), nothing("float32")]).size).toBe(5);
    expect(liveTensors()).toEqual(before);
  });

  it("are forgotten in the order of their last use", () => {
    const [first, second, remembered] = [constant(3, 1), constant(3, 2), constant(3, 3)];
    for (let round = 0; round < 5; round++) {
      askForOthers(2000);
      expect(constant(3, 1)).toBe(first);
      expect(renew(remembered)).toBe(true);
    }
    expect([first.isLive, second.isLive, remembered.isLive]).toEqual([true, false, true]);
    expect(renew(second)).toBe(false);
    expect(constant(3, 2)).not.toBe(second);
    expect(renew(second)).toBe(false);
  });

  it("live on while an op asks for some more, however many there were before", () => {
    const old = constant(4, 1);
    askForOthers(4095);
    expect(constant(4, 1)).toBe(old);
    askForOthers(1);
    expect(old.isLive).toBe(true);
  });
});
