/** The notebooks as files: thin cells without outputs. That they run is tested where notebooks are rendered. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const folder = fileURLToPath(new URL("../../notebooks/", import.meta.url));
const names = readdirSync(folder).filter((name) => name.endsWith(".ipynb"));

interface Cell {
  readonly cell_type: string;
  readonly id: string;
  readonly source: readonly string[];
  readonly outputs?: readonly unknown[];
  readonly execution_count?: unknown;
}

interface Notebook {
  readonly nbformat: number;
  readonly metadata: { readonly kernelspec: { readonly name: string; readonly language: string } };
  readonly cells: readonly Cell[];
}

it("are all there", () => {
  expect(names).toEqual(
    expect.arrayContaining([
      "00-data.ipynb",
      "01-sft.ipynb",
      "02-dpo.ipynb",
      "03-distillation.ipynb",
      "04-grpo.ipynb",
      "05-pareto.ipynb",
      "06-benchmark.ipynb",
      "07-ablations.ipynb",
    ]),
  );
});

describe.each(names)("%s", (name) => {
  const notebook = JSON.parse(readFileSync(folder + name, "utf8")) as Notebook;
  const code = notebook.cells.filter(({ cell_type }) => cell_type === "code");

  it("runs on this repository's kernel and has no outputs", () => {
    expect(notebook.nbformat).toBe(4);
    expect(notebook.metadata.kernelspec).toMatchObject({ name: "tslab", language: "typescript" });
    for (const { outputs, execution_count } of code) expect([outputs, execution_count]).toEqual([[], null]);
    expect(new Set(notebook.cells.map(({ id }) => id)).size).toBe(notebook.cells.length);
  });

  it("begins with a heading and explains more than it computes", () => {
    expect(notebook.cells[0].cell_type).toBe("markdown");
    expect(notebook.cells[0].source[0]).toMatch(/^# /);
    expect(notebook.cells.length - code.length).toBeGreaterThanOrEqual(code.length / 2);
  });

  it("holds no logic: imports from src, calls, and a value to show", () => {
    for (const { source } of code) {
      expect(source.length).toBeLessThanOrEqual(12);
      const text = source.join("");
      for (const [, path] of text.matchAll(/from "([^"]+)"/g)) expect(path).toMatch(/^\.\/src\/[a-z/-]+\.js$/);
      expect(text).not.toMatch(/\b(function|for|while|class|reduce|try)\b/);
      expect(text).not.toMatch(/\b\d+\.\d{2,}/);
    }
  });
});
