import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { loadSample } from "../../src/data/sample.js";
import { promptKey } from "../../src/data/split.js";

const rows = loadSample();

function words(text: string): Set<string> {
  const key = promptKey(text);
  // Chinese and Japanese are written without spaces: characters stand for words.
  const parts = /[\u3040-\u30ff\u4e00-\u9fff]/u.test(key) ? Array.from(new Intl.Segmenter().segment(key), (s) => s.segment) : key.split(/[^\p{L}\p{N}\p{M}]+/u);
  return new Set(parts.filter((part) => part !== ""));
}

function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let common = 0;
  for (const word of a) if (b.has(word)) common++;
  return common / (a.size + b.size - common);
}

const share = (part: readonly unknown[], whole: readonly unknown[]): number => part.length / whole.length;

describe("the sample set", () => {
  it("is large, balanced, and of several languages", () => {
    expect(rows.length).toBeGreaterThanOrEqual(420);
    const harmful = rows.filter((row) => row.harm === "harmful");
    expect(share(harmful, rows)).toBeGreaterThan(0.47);
    expect(share(harmful, rows)).toBeLessThan(0.53);
    const foreign = rows.filter((row) => row.language !== "en");
    expect(share(foreign, rows)).toBeGreaterThan(0.1);
    expect(new Set(foreign.map((row) => row.language)).size).toBeGreaterThanOrEqual(10);
  });

  it("is split 8-1-1 with both labels in every split, and keeps contrasts together", () => {
    for (const [split, wanted] of [
      ["train", 0.8],
      ["validation", 0.1],
      ["test", 0.1],
    ] as const) {
      const part = rows.filter((row) => row.split === split);
      expect(Math.abs(share(part, rows) - wanted)).toBeLessThan(0.02);
      const harmful = part.filter((row) => row.harm === "harmful");
      expect(Math.abs(share(harmful, part) - 0.5)).toBeLessThan(0.06);
    }
    const splitOf = new Map<string, string>();
    for (const row of rows) expect(splitOf.get(row.group) ?? row.split).toBe((splitOf.set(row.group, row.split), row.split));
    expect(new Set(rows.map((row) => row.group)).size).toBeGreaterThan(150);
  });

  it("has both labels in every theme", () => {
    for (const theme of new Set(rows.map((row) => row.theme))) {
      const labels = new Set(rows.filter((row) => row.theme === theme).map((row) => row.harm));
      expect(labels.size, theme).toBe(2);
    }
  });

  it("has no prompt twice and none that shares 70% of its words with another", () => {
    const sets = rows.map((row) => words(row.prompt));
    expect(new Set(rows.map((row) => promptKey(row.prompt))).size).toBe(rows.length);
    const close: string[] = [];
    for (let i = 0; i < rows.length; i++) {
      for (let j = 0; j < i; j++) if (jaccard(sets[i], sets[j]) >= 0.7) close.push(`${rows[j].id} ${rows[i].id}`);
    }
    expect(close).toEqual([]);
  });

  it("states every intent as one sentence that is not the prompt itself", () => {
    for (const row of rows) {
      expect(row.intent, row.id).toMatch(/^To [^\n]+[^.\s]$/u);
      expect(promptKey(row.intent), row.id).not.toBe(promptKey(row.prompt));
    }
  });

  it("has the counts that its card gives", () => {
    const card = readFileSync(new URL("../../data/sample/README.md", import.meta.url), "utf8");
    const given = (name: string): number[] => {
      const line = card.split("\n").find((text) => text.startsWith(`| ${name} |`));
      expect(line, name).toBeDefined();
      return line!.split("|").slice(2, -1).map(Number);
    };
    const counts = (part: typeof rows): number[] => {
      const harmful = part.filter((row) => row.harm === "harmful").length;
      return [part.length, harmful, part.length - harmful];
    };
    expect(given("all")).toEqual(counts(rows));
    for (const key of ["split", "level", "language", "theme"] as const) {
      for (const value of new Set(rows.map((row) => row[key]))) {
        expect(given(value), value).toEqual(counts(rows.filter((row) => row[key] === value)));
      }
    }
  });
});
