import fc from "fast-check";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { LabelledPrompt } from "../../src/data/prompt.js";
import type { Prediction } from "../../src/evaluate/predictions.js";
import { DISPLAY, PUBLISH, showText, type MimeBundle, type NotebookGlobals } from "../../src/report/display.js";
import { dpoCurves, fallText, trainingTable } from "../../src/report/dpo-curves.js";
import {
  againstSft,
  beatsText,
  differenceFigure,
  differenceTable,
  dpoScores,
  dpoSetting,
  errorFigures,
  errorTable,
  type AgainstSft,
} from "../../src/report/dpo-report.js";
import { findDpo, readDpo, type DpoRecord } from "../../src/report/dpo-runs.js";
import { figureSvg } from "../../src/report/figure.js";
import { showMeasured } from "../../src/report/show-measured.js";
import { readsOrRefuses } from "./damage.js";
import { fakeLog, minedSample, writeDpo, type FakeDpoRun } from "./dpo-folder.js";
import { said } from "./run-folder.js";

/** The rows of `said`: three harmful, three safe. */
const rows = Array.from({ length: 6 }, (_, i): LabelledPrompt => ({
  ...{ id: `p${i}`, prompt: `prompt ${i}`, harm: i < 3 ? "harmful" : "safe", intent: `To learn about thing ${i}` },
  source: "test",
}));
const faithful = (predictions: readonly Prediction[], unfaithful: readonly number[] = []): Prediction[] =>
  predictions.map((row, i) => ({ ...row, intent: unfaithful.includes(i) ? "To do harm (unfaithful)" : rows[i].intent }));

const sets = [
  { name: "check", rows },
  { name: "one", rows },
  { name: "two", rows: rows.map((row) => ({ ...row, intent: null })) },
];
const config = { trainSet: "mine.csv", selectionSets: ["check"], testSets: ["one", "two", "gone"], epochs: 2 };
const samples = [
  minedSample(rows[0], 0, "label_error", "To go elsewhere"),
  minedSample(rows[3], 0, "judge_bad", "To be elsewhere"),
];

const trained = (condition: FakeDpoRun["condition"], seed: number, wrong: readonly number[], more: Partial<FakeDpoRun> = {}) => ({
  ...{ condition, seed },
  predictions: { check: faithful(said([0])), one: faithful(said(wrong), [5]), two: said(wrong) },
  ...(condition !== "sft" && { log: fakeLog(4, [0.5, 0.75]) }),
  ...more,
});

/** F1 of SFT 0.5 and 0.8, of LE-DPO 0.8 and 1; IF-DPO with one seed, as SFT. */
const experiment = readDpo(
  await writeDpo({
    ...{ sets, config, samples: { 22: samples, 42: samples } },
    runs: [
      trained("sft", 22, [0, 1]),
      trained("wrong_only", 22, [0], { log: fakeLog(4, [0.5, 0.75], 0.05) }),
      trained("judge_bad_only", 22, [0, 1]),
      trained("sft", 42, [0]),
      trained("wrong_only", 42, []),
    ],
    skipped: [{ condition: "judge_bad_only", seed: 42, reason: "no such errors <were> found" }],
    leftOut: [{ set: "gone", reason: "it is not on this machine" }],
  }),
);

const compared = againstSft(experiment);

describe("finding the experiment", () => {
  it("takes the user's own, then the recorded one, and else says how to make it without failing", async () => {
    const results = mkdtempSync(join(tmpdir(), "results-"));
    const find = () => findDpo("dpo-small", "true-intents run dpo", results);
    expect(find().run).toBeNull();
    expect(find().origin).toMatch(/no run of your own yet.*true-intents run dpo.*paper's numbers alone/s);
    const make = (folder: string) => writeDpo({ sets, config, samples: {}, runs: [trained("sft", 22, [])] }, folder);
    mkdirSync(join(results, "recorded", "dpo-small"), { recursive: true });
    await make(join(results, "recorded", "dpo-small"));
    expect(find().origin).toMatch(/recorded run/);
    mkdirSync(join(results, "runs", "dpo-small"), { recursive: true });
    await make(join(results, "runs", "dpo-small"));
    expect(find().origin).toMatch(/your own run/);
    expect(find().run?.runs.length).toBe(1);
  });

  it("reads runs, logs and what is missing", () => {
    expect(experiment.testSets).toEqual(["one", "two"]);
    expect(experiment.runs.map(({ condition, seed, pairs, log }) => [condition, seed, pairs, log?.steps.length])).toEqual([
      ["sft", 22, null, undefined],
      ["wrong_only", 22, 1, 8],
      ["judge_bad_only", 22, 1, 8],
      ["sft", 42, null, undefined],
      ["wrong_only", 42, 1, 8],
    ]);
    const setting = dpoSetting(experiment);
    expect(setting).toContain("trained: LE-DPO (label_error); IF-DPO (judge_bad)");
    expect(setting).toContain("not trained: IF-DPO, seed 42 (no such errors <were> found)");
    expect(setting).toContain("left out: gone");
    expect(String(showText(setting)[DISPLAY]()["text/html"])).not.toContain("<were>");
  });

  it("says where a test set chose the epoch, too", async () => {
    const both = { ...config, testSets: ["check", "two"] };
    const run = readDpo(await writeDpo({ sets, config: both, samples: {}, runs: [trained("sft", 22, [])] }));
    expect(dpoSetting(run)).toContain("tested on: check (which chose the epoch, too), two");
  });

  it("answers damage of any kind with a typed error", async () => {
    const folder = await writeDpo({
      sets,
      config,
      samples: { 22: samples },
      runs: [trained("sft", 22, []), trained("wrong_only", 22, [])],
    });
    const files = ["summary.json", "config.json", "runs/seed-22/wrong_only/log.jsonl", "runs/seed-22/sft/predictions/one.jsonl"];
    const paths = files.map((name) => join(folder, name));
    readsOrRefuses(paths, () => readDpo(folder));
    const summary = readFileSync(paths[0], "utf8");
    writeFileSync(paths[0], summary.replace("runs/seed-22/sft", "runs/seed-22/../../../x"));
    expect(() => readDpo(folder)).toThrow(/summary\.json.*folder/);
    writeFileSync(paths[0], summary);
    rmSync(paths[2]);
    expect(() => readDpo(folder)).toThrow(/log\.jsonl.*copy the run's folder whole/);
  });
});

describe("scores", () => {
  it("are means and deviations over seeds, computed by hand", () => {
    const table = dpoScores(experiment) as Record<string, string | number>[];
    const of = (set: string, model: string) => table.find((row) => row["set"] === set && row["model"] === model)!;
    // Deviations of two values: half their distance times the square root of two.
    expect(of("one", "SFT")).toMatchObject({ seeds: 2, F1: "0.650 ± 0.212", unparsed: 0 });
    expect(of("one", "LE-DPO")["F1"]).toBe("0.900 ± 0.141");
    expect(of("one", "IF-DPO")).toMatchObject({ seeds: 1, F1: "0.500" });
    // Five of six stated intents are the gold ones, the last is another text.
    expect(of("one", "SFT")["intent cosine"]).toBe("0.833 ± 0.000");
    expect(of("two", "SFT")["intent cosine"]).toBe("–");
    expect(table.map((row) => row["set"])).not.toContain("check");
  });

  it("count verdicts by intents before and after", () => {
    const table = errorTable(experiment) as Record<string, string>[];
    expect(table.map(({ set, model }) => `${set} ${model}`)).toEqual(["one SFT", "one LE-DPO", "one IF-DPO"]);
    // Row 5 is unfaithful and always right; wrong are two and one rows of the two seeds, then one and none.
    expect(table[0]).toMatchObject({ "right, faithful": "3.5", "right, unfaithful": "1.0", "wrong, faithful": "1.5" });
    expect(table[1]).toMatchObject({ "right, faithful": "4.5", "wrong, faithful": "0.5", "wrong, unfaithful": "0.0" });
    const [figure] = errorFigures(experiment);
    const data = figure.data as { name: string; x: number[]; y: string[] }[];
    expect(data.map(({ name }) => name)).toEqual(["right, faithful", "right, unfaithful", "wrong, faithful"]);
    expect(data[0].x).toEqual([3.5 / 6, 4.5 / 6, 3 / 6]);
    expect(data[0].y).toEqual(["SFT", "LE-DPO", "IF-DPO"]);
  });
});

describe("differences to SFT", () => {
  it("are the condition less SFT, over the seeds that both have", () => {
    expect(compared.map(({ condition, seeds }) => [condition, seeds])).toEqual([
      ["wrong_only", [22, 42]],
      ["judge_bad_only", [22]],
    ]);
    const table = differenceTable(compared) as Record<string, string>[];
    expect(table.map(({ set }) => set)).toEqual(["one", "two", "mean of the sets", "one", "two", "mean of the sets"]);
    expect(table[0]).toMatchObject({ "F1 SFT": "0.650", "F1 DPO": "0.900", "F1 difference": "+0.250" });
    expect(table[3]).toMatchObject({
      "F1 SFT": "0.500",
      "F1 DPO": "0.500",
      "F1 difference": "0.000",
      "95% interval": "0.000 to 0.000",
    });
  });

  it("are drawn with their intervals and a line at 0", async () => {
    const [figure] = differenceFigure(compared);
    const data = figure.data as { name: string; x: number[]; error_x: { array: number[]; arrayminus: number[] } }[];
    expect(data.map(({ name }) => name)).toEqual(["LE-DPO", "IF-DPO"]);
    expect(data[0].x[0]).toBeCloseTo(0.25);
    const { high, low } = compared[0].comparison.sets[0].f1!.difference;
    expect([data[0].x[0] - data[0].error_x.arrayminus[0], data[0].x[0] + data[0].error_x.array[0]]).toEqual([
      expect.closeTo(low),
      expect.closeTo(high),
    ]);
    const { shapes } = figure.layout as { shapes: { x0: number; x1: number; yref?: string }[] };
    expect(shapes.filter(({ x0, x1, yref }) => x0 === 0 && x1 === 0 && yref === "paper").length).toBe(1);
    expect(await figureSvg(figure)).toContain("IF-DPO");
  });

  it("have the paper's single runs beside them on a benchmark", async () => {
    const folder = await writeDpo({
      ...{
        sets: [{ name: "xstest", rows }],
        samples: {},
        config: { ...config, selectionSets: ["xstest-validation"], testSets: ["xstest"] },
      },
      runs: (["sft", "wrong_only"] as const).map((condition) => ({
        ...trained(condition, 22, []),
        predictions: { xstest: said([]) },
      })),
    });
    const [figure] = differenceFigure(againstSft(readDpo(folder)));
    const data = figure.data as { name: string; x: number[] }[];
    expect(data.map(({ name }) => name)).toEqual(["LE-DPO", "LE-DPO, published (one run)", "IF-DPO, published (one run)"]);
    expect(data[1].x[0]).toBeCloseTo(0.8841 - 0.908);
  });
});

describe("the sentence on whether it helps", () => {
  const single = async (sft: readonly number[], dpo: readonly number[]): Promise<string> => {
    const runs = [trained("sft", 22, sft), trained("wrong_only", 22, dpo)];
    const run = readDpo(
      await writeDpo({
        ...{ sets, config: { ...config, testSets: ["one"] }, samples: { 22: samples }, runs },
        skipped: [{ condition: "judge_bad_only", seed: 22, reason: "no such errors were found" }],
      }),
    );
    return beatsText(run, againstSft(run));
  };
  const all = [0, 1, 2, 3, 4, 5];

  it("says better, worse, or that no difference is shown", async () => {
    const better = await single(all, []);
    expect(better).toContain("At this scale LE-DPO beats SFT.");
    expect(better).toContain("LE-DPO, F1 over one, one seed: better (+1.000, 95% interval +1.000 to +1.000).");
    expect(better).toContain("IF-DPO was not compared: no such errors were found.");
    expect(better).toContain("With one seed the intervals are about prompts alone");
    expect(await single([], all)).toContain("At this scale LE-DPO is worse than SFT.");
    const same = await single([0], [1]);
    expect(same).toContain("No difference to SFT is shown for LE-DPO at this scale.");
    expect(same).not.toMatch(/beats|worse/);
  });

  it("goes by the mean over the sets, and names the sets", () => {
    const text = beatsText(experiment, compared);
    expect(text.split("\n")[0]).toBe("No difference to SFT is shown for LE-DPO and IF-DPO at this scale.");
    expect(text).toMatch(/IF-DPO, F1 over the mean of one and two, one seed: no difference shown \(0\.000,/);
    expect(text).toMatch(/By set: one: no difference shown .*; two: no difference shown/);
  });

  it("never claims what the interval does not say", () => {
    const bound = fc.double({ min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(bound, bound, (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const difference = {
          ...{ estimate: (low + high) / 2, sides: [], low, high, level: 0.95 },
          resamples: 1,
          undefinedResamples: 0,
          seeds: [3, 3],
        };
        const f1 = { first: 0.5, second: 0.5 + difference.estimate, difference };
        const comparison = { sets: [{ set: "one", prompts: 6, f1, auroc: null, mcnemar: null }], mean: null };
        const one: AgainstSft = { condition: "wrong_only", name: "LE-DPO", seeds: [1, 2, 3], comparison };
        const text = beatsText(experiment, [one]);
        expect(text.includes("LE-DPO beats SFT")).toBe(low > 0);
        expect(text.includes("LE-DPO is worse")).toBe(high < 0);
        expect(text.includes("No difference to SFT is shown for LE-DPO")).toBe(low <= 0 && high >= 0);
      }),
    );
  });
});

describe("training", () => {
  interface Trace {
    readonly name: string;
    readonly mode: string;
    readonly xaxis: string;
    readonly x: readonly number[];
    readonly y: readonly number[];
    readonly marker: { readonly symbol: readonly string[] };
  }

  it("has a figure a condition with a colour a seed, beginning with SFT's F1 and marking the kept epoch", async () => {
    const figures = dpoCurves(experiment);
    expect(figures.length).toBe(2);
    const traces = figures[0].data as Trace[];
    const validation = traces.filter(({ xaxis }) => xaxis === "x6");
    // SFT errs on one harmful prompt of the selection set: F1 0.8.
    expect(validation.map(({ x, y }) => [x, y])).toEqual([
      [
        [0, 1, 2],
        [0.8, 0.5, 0.75],
      ],
      [
        [0, 1, 2],
        [0.8, 0.5, 0.75],
      ],
    ]);
    expect(validation[0].marker.symbol).toEqual(["circle", "circle", "diamond"]);
    const svg = await figureSvg(figures[0]);
    for (const text of ["LE-DPO: training", "reward margin", "seed 42", "less likely than under SFT"])
      expect(svg).toContain(text);
    expect(await figureSvg(figures[1])).not.toContain("less likely than under SFT");
  });

  it("warns where the chosen answers fall, and only there", async () => {
    const crosses = (dpoCurves(experiment)[0].data as Trace[]).filter(({ xaxis, mode }) => xaxis === "x5" && mode === "markers");
    // Seed 22 loses 0.05 a step and falls by more than 0.1 from the fourth step; seed 42 does not fall.
    expect(crosses[0].x).toEqual([4, 5, 6, 7, 8]);
    expect(fallText(experiment)).toMatch(/^Warning.*\nLE-DPO, seed 22: 4 of 4 steps$/s);
    const calm = readDpo(
      await writeDpo({ sets, config, samples: {}, runs: [trained("sft", 22, []), trained("wrong_only", 22, [])] }),
    );
    expect(fallText(calm)).toMatch(/^In no run's last epoch/);
  });

  it("is summed up by run", () => {
    const [first] = trainingTable(experiment) as Record<string, unknown>[];
    // Eight steps of four pairs in half a second each; chosen answers lose 0.05 a step, the last epoch has steps 4 to 7.
    expect(first).toMatchObject({
      ...{ condition: "LE-DPO", seed: 22, pairs: 1, steps: 8, "epoch kept": 2 },
      "pairs a second": "8.0",
    });
    expect(first["chosen log-prob. less SFT's"]).toBe("-0.275");
    expect(first["validation F1"]).toBe("0.750");
  });
});

describe("showing parts in a notebook", () => {
  const notebook = globalThis as NotebookGlobals;
  const caught = async (run: DpoRecord | null, parts: Parameters<typeof showMeasured>[1]): Promise<MimeBundle[]> => {
    const bundles: MimeBundle[] = [];
    notebook[PUBLISH] = (bundle) => void bundles.push(bundle);
    await showMeasured({ origin: "", run }, parts);
    return bundles;
  };
  afterEach(() => {
    Reflect.deleteProperty(notebook, PUBLISH);
  });

  it("shows tables and figures in order, and a sentence where there is nothing", async () => {
    const shown = await caught(experiment, () => [showText("first"), ...differenceFigure(compared)]);
    expect(shown.map((bundle) => "image/svg+xml" in bundle)).toEqual([false, true]);
    expect((await caught(null, () => [showText("never")])).map((bundle) => bundle["text/plain"])).toEqual([
      expect.stringContaining("there is no experiment of this kind"),
    ]);
    expect((await caught(experiment, () => []))[0]["text/plain"]).toContain("Nothing of this kind");
  });

  it("has nothing to draw of an experiment in which no condition could be trained", async () => {
    const skipped = (["wrong_only", "judge_bad_only"] as const).map((condition) => ({ condition, seed: 22, reason: "too few" }));
    const run = readDpo(await writeDpo({ sets, config, samples: { 22: samples }, runs: [trained("sft", 22, [])], skipped }));
    expect([dpoCurves(run), differenceFigure(againstSft(run)), trainingTable(run)]).toEqual([[], [], []]);
    expect(beatsText(run, [])).toBe("LE-DPO was not compared: too few.\nIF-DPO was not compared: too few.");
    expect(fallText(run)).toBe("No condition was trained.");
    expect(dpoSetting(run)).toContain("trained: nothing");
  });
});
