import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonError, parseJson } from "../../../src/model/weights/json.js";

const parse = (text: string): unknown => parseJson(Buffer.from(text));

describe("parseJson", () => {
  it("agrees with JSON.parse on every JSON value", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(0, 2), (text, indent) => {
        // A generated object never repeats a key.
        const spaced = JSON.stringify(JSON.parse(text), null, indent);
        expect(parse(spaced)).toEqual(JSON.parse(spaced));
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it.each([
    ['{"a":1,"a":2}', "a"],
    ['{"b":{"a":1 , "a" :2}}', "a"],
    ['[{"x":"}"},{"k":[],"k":{}}]', "k"],
    ['{"\\"":1,"\\u0022":2}', '\\"'],
    ['{"__proto__":1,"__proto__":2}', "__proto__"],
  ])("finds the repeated key in %s", (text, key) => {
    expect(() => parse(text)).toThrow(JsonError);
    expect(() => parse(text)).toThrow(`gives the key "${key}" twice`);
  });

  it.each(['{"a":"a","b":"a"}', '[{"a":1},{"a":2}]', '{"a":{"a":{"a":1}}}', '{"a":["b","b","a"]}'])("accepts %s", (text) => {
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  it("refuses deep nesting before it is parsed, and invalid UTF-8", () => {
    expect(() => parse("[".repeat(1_000_000))).toThrow(/nests deeper than 64/);
    expect(() => parse(`"${"[".repeat(1000)}"`)).not.toThrow();
    expect(() => parseJson(Buffer.from([0x22, 0xc3, 0x28, 0x22]))).toThrow(/UTF-8/);
  });
});
