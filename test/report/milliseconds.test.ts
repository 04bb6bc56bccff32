import { expect, it } from "vitest";
import { millisecondsText } from "../../src/report/milliseconds.js";

it.each([
  [1021.4, "1021"],
  [999.6, "1000"],
  [586.2, "586"],
  [12.345, "12.3"],
  [0, "0.00"],
  [null, "–"],
])("writes %s as %s", (value, text) => expect(millisecondsText(value)).toBe(text));
