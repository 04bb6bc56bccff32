import fc from "fast-check";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Harm } from "../../src/data/prompt.js";
import { pairedMeanDifference } from "../../src/evaluate/bootstrap.js";
import type { Prediction } from "../../src/evaluate/predictions.js";
import { f1Statistic } from "../../src/evaluate/statistic.js";
import { cellsOf } from "../../src/experiments/distillation-cells.js";
import type { CellKey } from "../../src/experiments/distillation-summary.js";
import { CONDITIONS, type Condition } from "../../src/prompts/distillation.js";
import { createRandom } from "../../src/random.js";
import { intentText } from "../../src/report/distillation-answer.js";
import { effectFigure, effectTable, headline, measuredEffects } from "../../src/report/distillation-effects.js";
import {
  chooseByMeans,
  marginalMeans,
  pairsIn,
  winCounts,
  winnersOf,
  type GridCell,
} from "../../src/report/distillation-grid.js";
import { gridHeatmap } from "../../src/report/distillation-heatmap.js";
import { lengthFigure, lengthTable, lengthText, measuredLengths } from "../../src/report/distillation-lengths.js";
import { modelNames } from "../../src/report/distillation-names.js";
import {
  besideTable,
  cellTable,
  choiceText,
  distillationSetting,
  heatmaps,
  winText,
} from "../../src/report/distillation-report.js";
import { findDistillation, gridOf, readDistillation, type DistillationRecord } from "../../src/report/distillation-runs.js";
import { figureSvg } from "../../src/report/figure.js";
import { distilledModels } from "../../src/report/measured-models.js";
import { pointsOf } from "../../src/report/pareto-points.js";
import { readsOrRefuses } from "./damage.js";
import { writeGrid, type FakeCell, type FakeGrid } from "./distillation-folder.js";
import { said } from "./run-folder.js";

const config = {
  ...{
    teachers: ["qwen2.5-coder-0.5b-instruct", "<b>teacher"],
    students: ["smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct"],
  },
  ...{ conditions: CONDITIONS, seeds: [22], validationSet: "check", selectionSets: ["choose"], testSets: ["one", "two", "gone"] },
};
const leftOut = [{ set: "gone", reason: "it is not on this machine" }];

/** Wrong answers of a cell on set one: of no_intent two, F1 0.5; of synthetic one, F1 0.8; of human none. Set two is all right. */
const WRONG = { no_intent: [0, 1], synthetic_intent: [0], human_intent: [] };
const answer = (wrong: readonly number[], tokens: number): FakeCell => ({
  loss: 1.25,
  said: {
    ...{ check: said([]), choose: said([0]), two: said([], { newTokens: tokens }) },
    one: said(wrong, { newTokens: tokens, milliseconds: 30 }),
  },
});
const cell = ({ condition, student }: CellKey): FakeCell =>
  answer(WRONG[condition], (condition === "no_intent" ? 20 : 32) + (student.startsWith("smol") ? 0 : 8));

const make = (more: Partial<FakeGrid> = {}): DistillationRecord =>
  readDistillation(writeGrid({ config, cell, leftOut, ...more, ...(more.config && { config: { ...config, ...more.config } }) }));
const run = make();
/** One pair of models: quicker to write. */
const pair = { teachers: ["a"], students: ["tiny-random"] };
const without = (key: CellKey, set: string): FakeCell => {
  const full = cell(key);
  if ("state" in full) return full;
  return { ...full, said: Object.fromEntries(Object.entries(full.said).filter(([name]) => name !== set)) };
};
const text = (rows: readonly object[]): Record<string, string>[] => rows as Record<string, string>[];

describe("finding and reading a grid", () => {
  it("takes the user's own, then the recorded one, and else says how to make it without failing", () => {
    const results = mkdtempSync(join(tmpdir(), "results-"));
    const find = () => findDistillation("distillation-small", "true-intents run distillation", results);
    expect(find().run).toBeNull();
    expect(find().origin).toMatch(/no run of your own yet.*true-intents run distillation.*paper's numbers alone/s);
    for (const [place, words] of [
      ["recorded", /recorded run/],
      ["runs", /your own run/],
    ] as const) {
      mkdirSync(join(results, place, "distillation-small"), { recursive: true });
      writeGrid({ config: { ...config, ...pair }, cell, leftOut }, join(results, place, "distillation-small"));
      expect(find().origin).toMatch(words);
    }
    expect(find().run?.cells.length).toBe(3);
  });

  it("says what was run, by short names", () => {
    const setting = distillationSetting(run);
    expect(setting).toContain("teachers: Qwen2.5 Coder 0.5B (qwen2.5-coder-0.5b-instruct), <b>teacher");
    expect(setting).toContain("SmolLM2 135M (smollm2-135m-instruct)");
    expect(setting).toContain("12 cells: 12 done; seeds 22");
    expect(setting).toContain("chosen by F1 on: choose");
    // Three of six harmful: always harmful scores 2 · 3 / (2 · 3 + 3).
    expect(setting).toContain("tested on: one, two (always answering harmful: mean F1 0.667)");
    expect(setting).toContain("left out: gone (it is not on this machine)");
  });

  it("goes by the validation set where the selection sets were not evaluated", () => {
    const bare = make({ config: pair, cell: (key) => without(key, "choose") });
    expect(bare.validationSets).toEqual(["check"]);
    expect(gridOf(bare, "validationF1").map(({ value }) => value)).toEqual([1, 1, 1]);
    expect(gridOf(run, "validationF1")[0].value).toBeCloseTo(0.8);
  });

  it("leaves a set out of all means that some cell did not see, and says so", () => {
    const partial = make({ config: pair, cell: (key) => (key.condition === "human_intent" ? without(key, "one") : cell(key)) });
    expect([partial.testSets, partial.unseenSets]).toEqual([["two"], ["one"]]);
    expect(distillationSetting(partial)).toContain("in no mean: one");
  });

  it("answers damage of any kind with a typed error", () => {
    const folder = writeGrid({ config: { ...config, ...pair }, cell });
    const name = "cells/a/tiny-random/no_intent/lr-0.003/seed-22/predictions/one.jsonl";
    const paths = [join(folder, "summary.json"), join(folder, name)];
    readsOrRefuses(paths, () => readDistillation(folder));
    const summary = readFileSync(paths[0], "utf8");
    for (const outside of ["../../x", "/etc", "cells/../../x", "cells/.."]) {
      writeFileSync(paths[0], summary.replaceAll(/"folder": "[^"]+"/g, `"folder": "${outside}"`));
      expect(() => readDistillation(folder)).toThrow(/summary\.json.*folder/);
    }
  });
});

describe("cells", () => {
  it("have means over seeds, counted by hand", () => {
    const rows = text(cellTable(run));
    expect(rows.length).toBe(12);
    // Set one 0.5, set two 1.
    expect(rows[0]).toMatchObject({ condition: "no intent", state: "done", "test F1": "0.750", unparsed: "0.0%" });
    // Of set one's three harmful prompts no_intent calls one harmful, of set two's all three: four of twelve.
    expect(rows[0]).toMatchObject({ "called harmful": "33.3%" });
    expect(rows[0]).toMatchObject({ "tokens a prompt": "20.0", "ms a prompt": "20.0", loss: "1.250", traces: 40 });
    expect(rows[1]["test F1"]).toBe("0.900");
    expect(rows[2]["test F1"]).toBe("1.000");
    const seeds = make({
      config: { ...pair, seeds: [22, 42] },
      cell: (key, seed) => (seed === 22 ? cell(key) : answer([], 20)),
    });
    // Means 0.75 and 1: their half distance times the square root of two.
    expect(text(cellTable(seeds))[0]["test F1"]).toBe("0.875 ± 0.177");
  });

  it("say why they failed, and are grey in the heatmap", async () => {
    const failed = make({
      cell: (key) =>
        key.condition === "human_intent" && key.teacher !== "<b>teacher"
          ? { state: "failed", reason: "<i>no</i> memory" }
          : cell(key),
    });
    expect(text(cellTable(failed))[2]).toMatchObject({ state: "failed: <i>no</i> memory", "test F1": "–", unparsed: "–" });
    expect(distillationSetting(failed)).toContain("12 cells: 10 done, 2 failed");
    const [figure] = heatmaps(failed, ["testF1"]);
    const { shapes } = figure.layout as { readonly shapes: readonly { readonly fillcolor?: string }[] };
    expect(shapes.filter(({ fillcolor }) => fillcolor === "#e3e6ea").length).toBe(2);
    const svg = await figureSvg(figure);
    expect(svg).not.toMatch(/<b>|<i>/);
    expect(choiceText(gridOf(failed, "validationF1"))).toContain("Some cells have no value");
    expect(winText(gridOf(failed, "testF1"))).toContain("up to 2");
  });

  it("stand beside the paper's, with the one set that both have", () => {
    expect(text(besideTable(run)).slice(0, 13)[0]).toMatchObject({
      from: "measured here",
      "F1 on XSTest": "–",
      "mean F1": "0.750",
    });
    const renamed = make({
      config: { ...pair, testSets: ["xstest"] },
      cell: (key) => ({ loss: 1, said: { check: said([]), choose: said([]), xstest: said(WRONG[key.condition]) } }),
    });
    expect(text(besideTable(renamed))[1]).toMatchObject({ "F1 on XSTest": "0.800", "mean over": "xstest" });
    expect(besideTable(renamed).length).toBe(39);
  });
});

describe("what an intent changes", () => {
  it("is the same-prompt difference, alone and over all pairs", () => {
    const effects = measuredEffects(run);
    expect(effects.length).toBe(3 * 5);
    const rows = text(effectTable(effects));
    expect(rows[0]).toMatchObject({
      intent: "synthetic intent",
      "F1 without": "0.750",
      "F1 with": "0.900",
      "F1 difference": "+0.150",
      // Of twelve answers six are right to be harmful; no_intent misses two of them, synthetic_intent one.
      "called harmful": "33% → 42%",
    });
    expect(rows[14]).toMatchObject({ "teacher → student": "all pairs", intent: "mean of both", "F1 difference": "+0.200" });
    // All pairs are alike, and all draw the same prompts: their mean has the interval of one.
    const [one, all] = [effects[0].f1!.difference, effects[4].f1!.difference];
    for (const part of ["estimate", "low", "high"] as const) expect(all[part]).toBeCloseTo(one[part], 12);
    const sets = ["one", "two"].map((set) => {
      const of = (condition: string): readonly Prediction[] =>
        run.cells.find((each) => each.condition === condition)!.runs[0].predictions.get(set)!;
      return { a: [of("synthetic_intent")], b: [of("no_intent")] };
    });
    expect(one.low).toBeCloseTo(pairedMeanDifference(sets, f1Statistic())!.low, 12);
    expect(headline(effects)).toBe(effects[14]);
  });

  /** A grid of one pair with what its students say of a harmful or a safe prompt, and its answer to the page's question. */
  const answered = (
    say: (condition: Condition, gold: Harm) => Pick<Prediction, "harm" | "harmfulProbability">,
    seeds = [22],
  ): string => {
    const record = make({
      config: { ...pair, seeds, testSets: ["one"] },
      cell: ({ condition }) => {
        const rows = Array.from({ length: 200 }, (_, i): Prediction => {
          const gold = i % 2 === 0 ? "harmful" : "safe";
          return { id: `p${i}`, gold, ...say(condition, gold), intent: null, newTokens: 9, milliseconds: 9 };
        });
        return { loss: 1, said: { check: said([]), choose: said([]), one: rows } };
      },
    });
    return intentText(record, measuredEffects(record));
  };

  /** Students that are right with these chances. */
  const asked = (plain: number, intent: number, seeds = [22]): string => {
    const random = createRandom(9, "skill");
    return answered((condition, gold) => {
      const right = random.uniform() < (condition === "no_intent" ? plain : intent);
      const harmful = right === (gold === "harmful");
      return { harm: harmful ? "harmful" : "safe", harmfulProbability: harmful ? 0.8 : 0.1 };
    }, seeds);
  };

  /** Students that know nothing, as their probability shows, and say harmful with these chances. */
  const guessed = (plain: number, intent: number, probability: number | null): string => {
    const random = createRandom(10, "guesses");
    return answered((condition) => ({
      harm: random.uniform() < (condition === "no_intent" ? plain : intent) ? "harmful" : "safe",
      harmfulProbability: probability,
    }));
  };

  it("is told in plain words by the interval", () => {
    expect(asked(0.6, 0.9)).toMatch(/^Yes: .*beats reasoning alone \(F1 over one; mean of both, one pair, a → tiny-random\)/);
    expect(asked(0.9, 0.6)).toMatch(/^No: .*worse than reasoning alone/);
    const open = asked(0.7, 0.7);
    expect(open).toMatch(/^Not shown: .*cannot be told apart/);
    expect(open).toMatch(/95% interval -0\.\d+ to \+0\.\d+/);
    expect(open).toContain("One seed a cell: the intervals are about the prompts");
    expect(asked(0.6, 0.9, [22, 42])).toContain("2 seeds a cell");
    // Half of the rows are harmful: always answering so has an F1 of 2/3.
    expect(asked(0.3, 0.5)).toContain("No cell scores above always answering harmful (mean F1 0.667)");
    expect(asked(0.6, 0.9)).toContain(" cells score above always answering harmful (mean F1 0.667).");
  });

  it("is not yes where the students merely say harmful more often", () => {
    const more = guessed(0.2, 0.7, 0.5);
    expect(more).toMatch(
      /^Not shown: F1 is higher with an intent, but the students say harmful more often \(\d+% → \d+%\), AUROC shows no such difference, and most cells are not above always answering harmful/,
    );
    expect(more).toMatch(
      /mean of both: F1 better \(\+0\.\d+, .*\); AUROC no difference shown \(.*\); called harmful \d+% → \d+%\./,
    );
    expect(guessed(0.2, 0.7, null)).toMatch(/^Not shown: .*AUROC is not known/);
    expect(guessed(0.7, 0.2, 0.5)).toMatch(/^Not shown: F1 is lower with an intent, but the students say harmful less often/);
  });

  it("goes by F1 alone where most cells are above always answering harmful", () => {
    const random = createRandom(11, "verdicts");
    const better = answered((condition, gold) => {
      const right = random.uniform() < (condition === "no_intent" ? 0.75 : 0.95);
      return { harm: right === (gold === "harmful") ? "harmful" : "safe", harmfulProbability: 0.5 };
    });
    expect(better).toMatch(/^Yes: /);
    expect(better).toContain("AUROC no difference shown");
  });

  it("is not told where there is nothing to compare", () => {
    const lone = make({ config: { ...pair, conditions: ["human_intent"] } });
    expect(measuredEffects(lone)).toEqual([]);
    expect(intentText(lone, [])).toMatch(/^This cannot be told/);
    expect(winText(gridOf(lone, "testF1"))).toMatch(/^No teacher and student/);
    expect(effectFigure([])).toEqual([]);
    const untested = make({ config: { ...pair, testSets: ["gone"] } });
    expect(measuredEffects(untested)).toEqual([]);
    expect(distillationSetting(untested)).toContain("tested on: nothing that every cell saw");
    const left = make({ cell: () => ({ state: "left", reason: null }) });
    expect(measuredEffects(left)).toEqual([]);
    expect(heatmaps(left, ["testF1", "validationF1", "unparsed", "loss"])).toEqual([]);
    expect(choiceText(gridOf(left, "testF1"))).toBe("No cell has a value: nothing can be chosen.");
    expect(lengthText(measuredLengths(left))).toContain("cannot be compared");
    expect(pointsOf(distilledModels(left))).toEqual([]);
  });

  it("has a figure with a row a pair, and says how little few pairs can show", async () => {
    const svg = await figureSvg(effectFigure(measuredEffects(run))[0]);
    expect(svg).toContain("all pairs");
    expect(svg).not.toContain("<b>");
    expect(winText(gridOf(run, "testF1"))).toContain(
      "human intent beats no intent in 4 of 4 pairs (exact sign test, two-sided: p = 0.125)",
    );
    expect(winText(gridOf(run, "testF1"))).toContain("even if all agreed, p would be 0.125");
  });
});

describe("what an intent costs", () => {
  it("is tokens and time a prompt over the test sets", async () => {
    const points = measuredLengths(run);
    expect(points.length).toBe(12);
    expect(lengthText(points)).toBe(
      "Means over the 4 pairs of teacher and student with all conditions\n" +
        "no intent: 24.0 tokens and 20.0 ms a prompt, 0.0% unparsed\n" +
        "synthetic intent: 36.0 tokens and 20.0 ms a prompt, 0.0% unparsed\n" +
        "human intent: 36.0 tokens and 20.0 ms a prompt, 0.0% unparsed",
    );
    expect(text(lengthTable(points))[1]).toMatchObject({ F1: "0.900", "tokens a prompt": "32.0", unparsed: "0.0%" });
    const svg = await figureSvg(lengthFigure(points, "t", "F1")[0]);
    expect(svg).toContain("synthetic intent");
    expect(svg).not.toContain("<b>");
  });

  it("goes to the Pareto figure as a point a cell, with what could not be read", () => {
    const unread = make({
      config: { ...pair, students: ["smollm2-135m-instruct"] },
      cell: (key) => {
        const full = cell(key);
        if ("state" in full || key.condition !== "human_intent") return full;
        const one = full.said["one"].map((row, i) => (i === 0 ? { ...row, harm: "unparsed" as const } : row));
        return { ...full, said: { ...full.said, one } };
      },
    });
    const points = pointsOf(distilledModels(unread));
    expect(points.length).toBe(3);
    expect(points[0]).toMatchObject({
      ...{ model: "SmolLM2 135M distilled from a, no intent", group: "distilled here", sets: "one, two" },
      ...{ score: 0.75, tokensPerPrompt: 20, millisecondsPerPrompt: 20, unparsed: 0 },
    });
    expect(points[2].unparsed).toBeCloseTo(1 / 12);
    expect(points[0].interval!.low).toBeLessThan(0.75);
  });
});

describe("the grid's arithmetic", () => {
  const value = fc.option(fc.integer({ min: 0, max: 20 }).map((n) => n / 20));
  const grids = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })).chain(([teachers, students]) => {
    const names = (letter: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${letter}${i}`);
    const keys = cellsOf({
      ...({} as Parameters<typeof cellsOf>[0]),
      teachers: names("t", teachers),
      students: names("s", students),
      conditions: CONDITIONS,
    });
    return fc
      .array(value, { minLength: keys.length, maxLength: keys.length })
      .map((values) => keys.map((key, i): GridCell => ({ ...key, value: values[i] })));
  });

  it("counts every pair once, and chooses what no other choice at that step beats", () => {
    fc.assert(
      fc.property(grids, (cells) => {
        for (const { pairs, incomplete, wins, losses, ties } of winCounts(cells)) {
          expect(pairs + incomplete).toBe(pairsIn(cells).length);
          expect(wins + losses + ties).toBe(pairs);
        }
        const [synthetic, human, , best] = winCounts(cells);
        if (best.incomplete === 0) expect(best.wins).toBeGreaterThanOrEqual(Math.max(synthetic.wins, human.wins));
        for (const { means, chosen } of chooseByMeans(cells)) {
          const known = means.flatMap(({ mean }) => mean ?? []);
          if (known.length === 0) expect(chosen).toBeNull();
          else expect(means.find(({ name }) => name === chosen)!.mean).toBe(Math.max(...known));
        }
        const means = marginalMeans(cells, "teacher").flatMap(({ mean, cells: count }) => (mean === null ? [] : [mean * count]));
        const sum = cells.reduce((total, cell) => total + (cell.value ?? 0), 0);
        expect(means.reduce((total, part) => total + part, 0)).toBeCloseTo(sum, 10);
        for (const figure of gridHeatmap(cells, { title: "t", label: "l" })) {
          const { shapes } = figure.layout as { readonly shapes: readonly object[] };
          const gold = pairsIn(cells).reduce((count, pair) => count + winnersOf(pair).length, 0);
          expect(shapes.length).toBe(cells.length + gold);
        }
      }),
    );
  });

  it("takes what rounding leaves of equal numbers for a tie, and borders nobody where all are equal", () => {
    const cells = CONDITIONS.map((condition, i): GridCell => ({
      teacher: "t",
      student: "s",
      condition,
      value: [0.2, 0.1, 0.3][i],
    }));
    expect(winCounts(cells).find(({ name }) => name === "mean of both")).toMatchObject({ wins: 0, losses: 0, ties: 1, p: 1 });
    expect(winnersOf({ teacher: "t", student: "s", values: { no_intent: 0.5, human_intent: 0.5 } })).toEqual([]);
    expect(winnersOf({ teacher: "t", student: "s", values: { no_intent: 0.5 } })).toEqual([]);
    const some = { teacher: "t", student: "s", values: { no_intent: 0.5, human_intent: 0.5, synthetic_intent: 0.7 } };
    expect(winnersOf(some, "low")).toEqual(["no_intent", "human_intent"]);
  });
});

describe("names of models", () => {
  it("are the catalogue's titles as the paper shortens them, and their own where two would be alike", () => {
    const names = [
      "google/gemma-3-12b-it",
      "meta-llama/Llama-3.1-8B-Instruct",
      "Qwen/Qwen3-8B",
      "local:smollm2-135m-instruct",
      "my/own",
    ];
    expect([...modelNames(names).values()]).toEqual(["Gemma 3 12B", "Llama 3.1 8B", "Qwen3 8B", "SmolLM2 135M", "my/own"]);
    const alike = ["smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"];
    expect([...modelNames(alike).values()]).toEqual(alike);
  });
});
