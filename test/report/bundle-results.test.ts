/** The headline table's numbers, by hand; and that every published row is where it belongs. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { measuredPoints, resultRows, setTitle, type Results } from "../../src/report/bundle-results.js";
import { readBundleRuns, type BundleRuns } from "../../src/report/bundle-runs.js";
import { loadPublished } from "../../src/report/published.js";
import { said, writeExperiment } from "./run-folder.js";

let results: string;
let runs: BundleRuns;
let table: Results;
beforeAll(() => {
  results = mkdtempSync(join(tmpdir(), "results-"));
  const folder = join(results, "recorded", "sft-small");
  mkdirSync(folder, { recursive: true });
  const run = { mode: "generation", learningRate: 0.001, chosen: true } as const;
  // Three harmful prompts of six. Seed 1 misses one; seed 2 misses one and calls a safe one harmful.
  writeExperiment(
    [
      { ...run, seed: 1, predictions: { xstest: said([0]), mine: said([]) } },
      { ...run, seed: 2, predictions: { xstest: said([0, 5]), mine: said([]) } },
    ],
    ["xstest", "mine"],
    folder,
  );
  const environment = { commit: "abc", cpu: "A chip", threads: 4, memoryGiB: 8, data: { xstest: "f00" }, hostname: "secret" };
  writeFileSync(join(folder, "environment.json"), JSON.stringify(environment));
  const timed = {
    ...{ model: "tiny-random SFT, generation", adapterSha256: "0", requests: 30, medianMilliseconds: 400 },
    ...{ medianInterval: null, p95Milliseconds: 600, tokensPerPrompt: 18 },
  };
  writeFileSync(join(folder, "requests.json"), JSON.stringify([timed]));
  runs = readBundleRuns(results);
  table = resultRows(runs, measuredPoints(runs));
});
afterAll(() => rmSync(results, { recursive: true }));

describe("rows measured here", () => {
  it("have F1, interval and AUROC by set, their mean, and both times", () => {
    const [{ title, rows }] = table.groups;
    expect(title).toBe("Measured here");
    expect(rows.map(({ model }) => model)).toEqual(["tiny-random SFT, generation", "always harmful"]);
    const [row, floor] = rows;
    // Three harmful prompts of six: all are found, and half of what is found is harmful.
    expect(floor.scores.get("xstest")).toEqual({ value: 2 / 3, range: null, auroc: 0.5 });
    expect(floor.mean!.value).toBeCloseTo(2 / 3, 12);
    expect(row).toMatchObject({ model: "tiny-random SFT, generation", seeds: 2, request: { value: 400, range: null } });
    // 4/5 and 4/6: twice the hits over twice the hits, misses and false alarms.
    const [first, second] = [4 / 5, 4 / 6];
    const xstest = row.scores.get("xstest")!;
    expect(xstest.value).toBeCloseTo((first + second) / 2, 12);
    expect(xstest.range!.low).toBeLessThan(xstest.value);
    expect(xstest.range!.high).toBeGreaterThan(xstest.value);
    expect(row.scores.get("mine")).toMatchObject({ value: 1, auroc: 1 });
    expect(row.mean!.value).toBeCloseTo((xstest.value + 1) / 2, 12);
    expect(row.mean!.auroc).toBeCloseTo((xstest.auroc! + 1) / 2, 12);
    expect(row.milliseconds).toMatchObject({ value: 10 });
  });

  it("come with what they come from, and with nothing else that the files hold", () => {
    expect(runs.facts).toHaveLength(1);
    expect(runs.facts[0]).toMatchObject({ folder: "results/recorded/sft-small", own: false, data: [["xstest", "f00"]] });
    expect(runs.facts[0].environment).toEqual([
      ["Commit", "abc"],
      ["Machine", "A chip, 4 threads, 8 GiB of memory"],
    ]);
    expect(runs.facts[0].command).toMatch(/^npx true-intents run sft --preset smoke .*--set testSets=xstest,mine,missing-set/);
    expect(JSON.stringify(runs.facts)).not.toContain("secret");
    expect(runs.missing.map((line) => line.split(":")[0])).toEqual([
      "Preference training (DPO)",
      "Distillation",
      "Reinforcement learning (GRPO)",
      "Ablations of the training data",
    ]);
    expect(runs.newest).toBeGreaterThan(0);
  });
});

describe("the newest of the runs", () => {
  it("is the one finished or timed last, evaluations and single requests too: pages older than it are old", () => {
    const at = join(results, "recorded", "sft-small");
    const files = [join(at, "summary.json"), join(at, "requests.json")];
    const evaluated = join(results, "runs", "evaluated");
    mkdirSync(join(evaluated, "predictions"), { recursive: true });
    writeFileSync(join(evaluated, "predictions", "xstest.jsonl"), `${JSON.stringify(said([])[0])}\n`);
    writeFileSync(join(evaluated, "config.json"), JSON.stringify({ kind: "evaluation" }));
    files.push(join(evaluated, "summary.json"));
    writeFileSync(files[2], JSON.stringify({ model: "m", adapter: null, format: "classification" }));
    try {
      for (const latest of files) {
        for (const file of files) utimesSync(file, 1000, file === latest ? 3000 : 2000);
        expect(readBundleRuns(results).newest, latest).toBe(3_000_000);
      }
    } finally {
      rmSync(join(results, "runs"), { recursive: true });
    }
  });
});

describe("published rows", () => {
  const published = (): Results["groups"] => table.groups.filter(({ title }) => title.startsWith("Published"));

  it("are all of the main table's, with every benchmark", () => {
    const { rows } = loadPublished("benchmark-main");
    const shown = published().flatMap((group) => group.rows.filter(({ scores }) => scores.size > 0));
    expect(shown.map(({ mean }) => mean!.value)).toEqual(rows.map(({ mean }) => mean));
    for (const [i, { f1 }] of rows.entries())
      for (const [set, value] of Object.entries(f1)) expect(shown[i].scores.get(set)!.value).toBe(value);
  });

  it("have each time of the latency table once, beside the same model's F1", () => {
    const { rows } = loadPublished("latency");
    const timed = published().flatMap((group) => group.rows.filter(({ milliseconds }) => milliseconds !== null));
    expect(timed.map(({ milliseconds }) => milliseconds!.value).sort((a, b) => a - b)).toEqual(
      rows.map(({ millisecondsPerPrompt }) => millisecondsPerPrompt).sort((a, b) => a - b),
    );
    for (const { milliseconds, mean } of timed) {
      const row = rows.find(({ millisecondsPerPrompt }) => millisecondsPerPrompt === milliseconds!.value)!;
      // The two tables are of two versions: their means differ in the third decimal at most.
      expect(Math.abs(mean!.value - row.f1)).toBeLessThan(0.0015);
    }
  });
});

it("has the sets tested on first, then the other benchmarks, under the paper's names", () => {
  expect(table.sets).toEqual(["xstest", "mine", "wildguardmix", "aegis-2.0", "toxic-chat", "openai-moderation"]);
  expect([setTitle("xstest"), setTitle("sample-test"), setTitle("/home/ann/rows.csv")]).toEqual([
    "XSTest",
    "sample-test",
    "rows.csv",
  ]);
});

it("has the paper's rows alone where there is no run at all", () => {
  const none = readBundleRuns(join(results, "nowhere"));
  expect([none.models, none.facts, none.newest]).toEqual([[], [], 0]);
  expect(resultRows(none, measuredPoints(none)).groups.every(({ title }) => title.startsWith("Published"))).toBe(true);
});
