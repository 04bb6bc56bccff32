/** Names that anyone chose, as one part of a path. */
import { basename, join, normalize } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { fileName, uniqueFileName } from "../src/file-name.js";

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.string({ unit: fc.constantFrom("a", "b", ".", "/", "\\", " ", "_"), minLength: 110, maxLength: 130 }),
);

it.each([fileName, uniqueFileName])("lead nowhere else, and are short enough for any file system", (name) => {
  fc.assert(
    fc.property(anyText, (text) => {
      const made = name(text);
      expect(made).toMatch(/^[\w.-]+$/);
      expect(normalize(join("below", made))).toBe(join("below", made));
      expect(basename(join("below", made))).toBe(made);
      expect(made.length).toBeLessThan(140);
    }),
  );
});

it("are the text itself where it is a name, and end as a long text does", () => {
  expect([fileName("gemma-3-270m"), uniqueFileName("gemma-3-270m")]).toEqual(["gemma-3-270m", "gemma-3-270m"]);
  expect(fileName("org/model")).toBe("org_model");
  expect(fileName(`${"a/".repeat(100)}model.gguf`)).toMatch(/^[0-9a-f]{8}-.*_model\.gguf$/);
});

it.each([1, 60, 119, 120, 121, 200])("of two texts of %d characters are two names", (length) => {
  const texts = ["/", " ", "_", "\\", "é"].map((first) => first.padEnd(length, "a"));
  expect(new Set(texts.map(uniqueFileName)).size).toBe(texts.length);
});

it("are two of any two texts that are no names", () => {
  fc.assert(
    fc.property(anyText, anyText, (a, b) => {
      fc.pre(a !== b && !/^[\w.-]+$/.test(a) && !/^[\w.-]+$/.test(b));
      expect(uniqueFileName(a)).not.toBe(uniqueFileName(b));
    }),
  );
});
