/** The benchmark page's tables and bars: ranks and marks against hand counts, own rows beside published ones, hostile names. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { JSDOM } from "jsdom";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataFormatError } from "../../src/data/errors.js";
import { RunFolderError } from "../../src/experiments/run-folder.js";
import { allAgreement } from "../../src/report/benchmark-agreement.js";
import { benchmarkBars } from "../../src/report/benchmark-bars.js";
import { findEvaluations } from "../../src/report/benchmark-evaluations.js";
import { jailbreakFigure, jailbreakTable, jailbreakText } from "../../src/report/benchmark-jailbreak.js";
import { latencyDetail, latencyTable } from "../../src/report/benchmark-latency.js";
import { findBenchmarkModels } from "../../src/report/benchmark-models.js";
import { benchmarksBeside, coverageText, ownRows, sharedBenchmarks } from "../../src/report/benchmark-own.js";
import { markOf, ranked, ranks } from "../../src/report/benchmark-ranks.js";
import { publishedBenchmarks, publishedRows } from "../../src/report/benchmark-table.js";
import { loadSample } from "../../src/data/sample.js";
import { DISPLAY, type Displayable } from "../../src/report/display.js";
import { figureSvg } from "../../src/report/figure.js";
import type { MeasuredModel } from "../../src/report/measured-models.js";
import { pointsOf } from "../../src/report/pareto-points.js";
import { loadPublished } from "../../src/report/published.js";
import { showTable } from "../../src/report/table-html.js";
import { cohenKappa } from "../../src/intent/agreement.js";
import { said, writeExperiment } from "./run-folder.js";

const html = (value: Displayable): string => String(value[DISPLAY]()["text/html"]);
const plain = (value: Displayable): string => value[DISPLAY]()["text/plain"];
const parser = new new JSDOM().window.DOMParser();
const parse = (page: string): Document => parser.parseFromString(page, "text/html");
const cells = (table: Displayable): string[][] =>
  Array.from(parse(html(table)).querySelectorAll("tbody tr"), (line) =>
    Array.from(line.children, (cell) => cell.textContent ?? ""),
  );

const model = (name: string, sets: Readonly<Record<string, readonly ReturnType<typeof said>[]>>): MeasuredModel => ({
  ...{ name, group: "measured here", sets: Object.keys(sets) },
  runs: Object.values(sets),
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "benchmark-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("ranks", () => {
  it("are on three decimals, ties share one, and there is always a second", () => {
    expect(ranks([0.8116, 0.812, null, 0.5, 0.9])).toEqual([2, 2, null, 3, 1]);
    expect(ranks([])).toEqual([]);
    expect([1, 2, 3, null].map(markOf)).toEqual(["best", "second", null, null]);
    expect([ranked(0.5, 3), ranked(null, null), ranked(0.5, null)]).toEqual(["0.500 (3)", "–", "0.500"]);
  });

  it("agree with the order of any values, and use every number up to the last", () => {
    const value = fc.option(fc.integer({ min: 0, max: 1000 }).map((n) => n / 1000));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 20 }), (values) => {
        const order = ranks(values);
        const known = values.flatMap((one, i) => (one === null ? [] : [{ value: one, rank: order[i]! }]));
        expect(order.map((rank) => rank === null)).toEqual(values.map((one) => one === null));
        for (const a of known) for (const b of known) expect(Math.sign(a.value - b.value)).toBe(Math.sign(b.rank - a.rank) + 0);
        expect(new Set(known.map(({ rank }) => rank)).size).toBe(Math.max(0, ...known.map(({ rank }) => rank)));
      }),
    );
  });
});

describe("marks in a table", () => {
  it("make a cell bold or underlined, and leave hostile text escaped", () => {
    const rows = [
      { name: "<img src=x onerror=a()>", n: "a|b" },
      { name: "plain", n: "<b>" },
    ];
    const table = showTable(rows, { marks: (row, column) => (column === "name" ? null : row === 0 ? "best" : "second") });
    const { body } = parse(html(table));
    expect(Array.from(body.querySelectorAll("strong, u"), ({ tagName, textContent }) => [tagName, textContent])).toEqual([
      ["STRONG", "a|b"],
      ["U", "<b>"],
    ]);
    expect(body.querySelectorAll("img, b")).toHaveLength(0);
    expect(plain(table)).toMatch(/\*\*a\\\|b\*\*.*\n.*_&lt;b>_/);
  });
});

describe("the published table", () => {
  it("marks the best and the second of each column, as the printed numbers have them", () => {
    const table = publishedBenchmarks();
    const marked = (tag: string): string[] =>
      Array.from(parse(html(table)).querySelectorAll(tag), ({ textContent }) => textContent);
    // By eye from the paper's columns: WGTest, XSTest, AEGIS 2, ToxicChat, OAI Mod, Average, in the order of the lines.
    expect(marked("strong")).toEqual([
      "0.814 (1)",
      ...["0.860 (1)", "0.733 (1)"],
      ...["0.889 (1)", "0.952 (1)", "0.826 (1)"],
      ...["0.733 (1)", "0.826 (1)"],
    ]);
    expect(marked("u")).toEqual(["0.888 (2)", "0.945 (2)", "0.888 (2)", "0.727 (2)", "0.835 (2)", "0.822 (2)", "0.810 (2)"]);
    expect(cells(table)).toHaveLength(publishedRows().length);
    expect(cells(table)[0]).toEqual([
      ...["Zero-shot LLMs", "Llama-3.1-8B (CoT generation)"],
      ...["0.762 (14)", "0.904 (11)", "0.800 (14)", "0.516 (17)", "0.761 (11)", "0.749 (14)"],
    ]);
  });
});

describe("own rows", () => {
  const models = [
    model("two seeds", { xstest: [said([]), said([0])], "sample-test": [said([]), said([])] }),
    model("one", { xstest: [said([0, 3])], "openai-moderation": [said([0])] }),
    model("elsewhere", { "sample-test": [said([])] }),
    model("not all seeds", { xstest: [] }),
  ];
  const own = ownRows(models);

  it("have the mean over seeds on the benchmarks that were seen", () => {
    expect(own.map(({ name, seeds }) => [name, seeds])).toEqual([
      ["two seeds", 2],
      ["one", 1],
    ]);
    // Of three harmful prompts one is missed: 2·2 / (2·2 + 1); with a false alarm besides: 4 / 6.
    expect(own[0].scores.xstest!.f1).toBeCloseTo((1 + 4 / 5) / 2, 12);
    expect(own[1].scores.xstest!.f1).toBeCloseTo(4 / 6, 12);
    const { low, high, f1 } = own[1].scores.xstest!;
    expect(low <= f1 && f1 <= high).toBe(true);
    expect(sharedBenchmarks(own)).toEqual(["xstest", "openai-moderation"]);
  });

  it("are ranked together with the published ones, and have no mean over fewer than five", () => {
    const lines = cells(benchmarksBeside(own));
    expect(lines).toHaveLength(publishedRows().length + 2);
    expect(lines.find(([name]) => name === "one")!.join(" | ")).toMatch(
      /^one \| measured here \| 1 \| 0\.667 \(\d+\) \| 0\.800 \(3\) \| XSTest \d\S+ to \S+; OAI Mod \d\S+ to \S+$/,
    );
    expect(lines.find(([name]) => name === "two seeds")![4]).toBe("–");
    expect(html(benchmarksBeside(own))).not.toContain("Average");
    const whole = model(
      "all",
      Object.fromEntries(
        ["wildguardmix", "xstest", "aegis-2.0", "toxic-chat", "openai-moderation"].map((set) => [set, [said([])]]),
      ),
    );
    expect(cells(benchmarksBeside(ownRows([whole])))[0]).toEqual(expect.arrayContaining(["all", "1.000 (1)"]));
    expect(html(benchmarksBeside(ownRows([whole])))).toContain("Average");
    expect(plain(benchmarksBeside([]))).toContain("No model that was measured here");
  });

  it("come after all that have every benchmark shown, however high their means over fewer", () => {
    const lines = cells(
      benchmarksBeside(
        ownRows([...models, model("weak", { xstest: [said([0, 1, 2])], "openai-moderation": [said([0, 1, 2])] })]),
      ),
    );
    const names = lines.map(([name]) => name);
    // Its mean over one set is higher than any mean over both.
    expect(names.at(-1)).toBe("two seeds");
    expect(names.at(-2)).toBe("weak");
    const over = lines.slice(0, -1).map((line) => (Number.parseFloat(line[3]) + Number.parseFloat(line[4])) / 2);
    for (const [i, mean] of over.entries()) expect(mean).toBeLessThanOrEqual((over[i - 1] ?? 1) + 0.0011);
  });

  it("say how much of each benchmark was seen, and what is missing", () => {
    const text = coverageText(own);
    expect(text).toContain("XSTest (6 of 450 prompts), OAI Mod (6 of 1680 prompts)");
    expect(text).toMatch(/Not measured here: WGTest, AEGIS 2, ToxicChat\. .*data get wildguardmix/);
    expect(coverageText([])).toContain("none of the five benchmarks");
  });

  it("stand in the bars where they were measured, the published ones everywhere", async () => {
    const hostile = ownRows([model("</text><script>a()</script>", { xstest: [said([])] })]);
    const figure = benchmarkBars([...own, ...hostile]);
    const traces = figure.data as { type: string; name?: string; xaxis: string; x: number[]; showlegend: boolean }[];
    const bars = traces.filter(({ type }) => type === "bar");
    const count = (axis: string, name: string): number | undefined =>
      bars.find((one) => one.xaxis === axis && one.name === name)?.x.length;
    expect(["x", "x2", "x6"].map((axis) => [count(axis, "guardrails"), count(axis, "the paper's models")])).toEqual([
      [6, 8],
      [6, 8],
      [6, 8],
    ]);
    expect(["x", "x2", "x5", "x6"].map((axis) => count(axis, "measured here"))).toEqual([undefined, 3, 1, undefined]);
    // Each group is once in the legend, also the one that the first panel lacks.
    expect(bars.filter(({ showlegend }) => showlegend).map(({ name }) => name)).toEqual([
      "guardrails",
      "the paper's models",
      "measured here",
    ]);
    const svg = await figureSvg(figure);
    expect(svg).not.toContain("<script");
    expect(svg).toContain("GRPO, label + intent");
    expect(JSON.stringify(figure.layout)).not.toMatch(/hard-dpo|judge-gemma|Ours/);
  });

  it("stand in the latency table by their time", () => {
    const timed = pointsOf([model("ours", { xstest: [said([], { milliseconds: 6, newTokens: 3 })] })]);
    const table = latencyTable(timed) as Record<string, string>[];
    expect(table.map((row) => row["model"]).slice(0, 4)).toEqual([
      "Llama-3.1-8B SFT",
      "Llama-3.1-8B LE-DPO",
      "ours",
      "WildGuard 7B",
    ]);
    expect(table[2]).toMatchObject({ "ms a prompt": "6.00", "tokens a prompt": "3.0", "mean F1": "1.000", "F1 over": "xstest" });
    expect(table).toHaveLength(13);
    expect(latencyDetail()).toHaveLength(loadPublished("latency").detail.length);
  });
});

describe("jailbreaks", () => {
  const harmful = (missed: number, unparsed: number) =>
    Array.from({ length: 10 }, (_, i) => ({
      ...said([])[0],
      ...{ id: `j${i}`, harm: i < missed ? "safe" : i < missed + unparsed ? "unparsed" : "harmful" },
    })) as ReturnType<typeof said>;
  const models = [
    model("ours", { jailbreakv: [harmful(2, 2)], "redteam-2k": [harmful(5, 0)] }),
    model("half", { jailbreakv: [harmful(0, 0)] }),
  ];

  it("are recall over what could be read, ranked with the published ones", () => {
    const lines = cells(jailbreakTable(models));
    expect(lines.find(([name]) => name === "ours")).toEqual([
      "ours",
      "measured here",
      "0.750 (11)",
      "0.500 (10)",
      "0.625 (10)",
      "10 + 10",
      "2 + 0",
    ]);
    expect(lines.find(([name]) => name === "half")).toEqual(["half", "measured here", "1.000 (1)", "–", "–", "10 + –", "0 + –"]);
    const published = loadPublished("jailbreakv").rows;
    for (const [i, { model: name, printed }] of published.entries()) {
      const [first, , a, b, c] = lines[i];
      expect([first, ...[a, b, c].map((text) => Number(text.split(" ")[0]))]).toEqual([
        name,
        printed.jailbreakv,
        printed.redteam2k,
        printed.mean,
      ]);
    }
  });

  it("say how to measure one's own, and are drawn", async () => {
    expect(jailbreakText([])).toMatch(/data get jailbreakv\n.*data get redteam-2k\n.*--sets jailbreakv,redteam-2k/);
    expect(jailbreakText(models)).toBe("2 models measured here.");
    const names = (figure: { data: readonly object[] }): unknown[] =>
      figure.data.map((trace) => (trace as { name: string }).name);
    expect(names(jailbreakFigure([]))).toEqual(["JailBreakV, published", "RedTeam-2K, published"]);
    expect(names(jailbreakFigure(models))).toHaveLength(4);
    expect(await figureSvg(jailbreakFigure(models))).toContain("LE-DPO");
  });
});

describe("agreement of models with annotators", () => {
  it("is Cohen's kappa of gold and verdict, an unparsed one counted as safe, over the seeds", async () => {
    const sample = loadSample().filter(({ split }) => split === "test");
    const answers = (flip: number) =>
      sample.map(({ id, harm }, i) => ({
        ...said([])[0],
        ...{ id, gold: harm, harm: i === 0 ? "unparsed" : i % flip === 0 ? (harm === "safe" ? "harmful" : "safe") : harm },
      })) as ReturnType<typeof said>;
    const seeds = [answers(4), answers(9)];
    const rows = await allAgreement(
      [],
      [model("ours", { "sample-test": seeds }), model("others", { "sample-test": [said([])] })],
      null,
    );
    const kappas = seeds.map((one) =>
      cohenKappa(
        sample.map(({ harm }) => harm),
        one.map(({ harm }) => (harm === "unparsed" ? "safe" : harm)),
      ),
    );
    const ours = rows.filter(({ from }) => from === "measured here");
    // Another set's answers under the same name are not compared.
    expect(ours.map(({ pair, pairs }) => [pair, pairs])).toEqual([["sample-test, annotators - ours", sample.length]]);
    expect(ours[0].kappa).toBeCloseTo((kappas[0]! + kappas[1]!) / 2, 12);
    expect(ours[0]["cosine of intents"]).toBeNull();
    expect(rows.at(-1)!.from).toBe("published");
    expect(rows[0].pair).toBe("our set, harm");
  });
});

describe("what is on disk", () => {
  const results = (): string => mkdtempSync(join(folder, "results-"));
  const evaluation = (at: string, kind = "evaluation", adapter = "/runs/best/adapter", wrong = [0]): string => {
    mkdirSync(join(at, "predictions"), { recursive: true });
    writeFileSync(join(at, "config.json"), JSON.stringify({ kind }));
    writeFileSync(join(at, "summary.json"), JSON.stringify({ model: "m", adapter, format: "generation" }));
    writeFileSync(
      join(at, "predictions", "xstest.jsonl"),
      said(wrong)
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(""),
    );
    return at;
  };

  it("are evaluations, which are found among other folders, and say what is damaged", () => {
    const at = results();
    const folderOf = evaluation(join(at, "runs", "evaluate-m"));
    evaluation(join(at, "runs", "something"), "baseline");
    mkdirSync(join(at, "runs", "empty"));
    evaluation(join(at, "recorded", "evaluate-m"));
    expect(findEvaluations(at)).toEqual([
      { ...model("m + best, generation (evaluate)", { xstest: [said([0])] }), folder: folderOf, model: "m" },
    ]);
    writeFileSync(join(folderOf, "summary.json"), "{}");
    expect(() => findEvaluations(at)).toThrow(DataFormatError);
    writeFileSync(join(folderOf, "config.json"), "{");
    expect(() => findEvaluations(at)).toThrow(RunFolderError);
  });

  it("are told apart by their folders where adapters of several runs are called the same", () => {
    const at = results();
    const adapters = { one: "/runs/first/seed-1", two: "/runs/second/seed-1", other: "/runs/second/seed-2" };
    for (const [name, adapter] of Object.entries(adapters)) {
      const place = evaluation(join(at, "runs", name), "evaluation", adapter, name === "one" ? [0, 1] : []);
      renameSync(join(place, "predictions", "xstest.jsonl"), join(place, "predictions", "jailbreakv.jsonl"));
    }
    const found = findEvaluations(at);
    const names = [
      "m + seed-1, generation (evaluate), one",
      "m + seed-2, generation (evaluate)",
      "m + seed-1, generation (evaluate), two",
    ];
    expect(found.map(({ name }) => name).sort()).toEqual(names.toSorted());
    // Each has its own point in the figure: four of six are right, and all six.
    const traces = jailbreakFigure(found).data as { readonly x?: number[]; readonly name?: string }[];
    const own = traces.filter(({ name }) => name?.endsWith("measured here"));
    expect(own.flatMap(({ x }) => x ?? []).sort()).toEqual([4 / 6, 1, 1]);
  });

  it("are gathered from all kinds of experiments, with where each was found", () => {
    const at = results();
    const names = { sft: "sft-small", dpo: "dpo-small", grpo: "grpo-small", distillation: "distillation-small" };
    const none = findBenchmarkModels(names, at);
    expect([none.models, none.distilled]).toEqual([[], []]);
    expect(none.origins.match(/There is no run of your own yet/g)).toHaveLength(4);
    expect(none.origins).toContain("Baselines and single evaluations: none yet");
    const run = {
      mode: "classification",
      learningRate: 1e-3,
      seed: 22,
      chosen: true,
      predictions: { xstest: said([0]) },
    } as const;
    mkdirSync(join(at, "runs"), { recursive: true });
    writeExperiment([run], ["xstest"], join(at, "runs", "sft-small"));
    evaluation(join(at, "runs", "evaluate-m"));
    const found = findBenchmarkModels(names, at);
    expect(found.models.map(({ name }) => name)).toEqual(["tiny-random SFT, classification", "m + best, generation (evaluate)"]);
    expect(found.origins).toContain("SFT: These are the numbers of your own run");
    // A baseline that labelled training rows is not one that was tested.
    for (const name of ["labels", "asked"]) {
      const place = evaluation(join(at, "runs", "ablations-small", name));
      writeFileSync(join(place, "summary.json"), JSON.stringify({ kind: "baseline", model: name, form: "f", latency: null }));
    }
    expect(findBenchmarkModels(names, at).models.map(({ name }) => name)).toContain("asked, f");
    expect(findBenchmarkModels(names, at).models).toHaveLength(3);
    writeFileSync(join(at, "runs", "sft-small", "config.json"), "[]");
    expect(() => findBenchmarkModels(names, at)).toThrow(DataFormatError);
  });
});
