/** The ablation page: reading what the ablations left, differences and the scale curve counted by hand, damage, the published parts. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataFormatError } from "../../src/data/errors.js";
import { RunFolderError } from "../../src/experiments/run-folder.js";
import {
  publishedGainFigure,
  publishedMix,
  publishedScaleFigure,
  publishedSourceGains,
  publishedSources,
} from "../../src/report/ablation-published.js";
import {
  ablationSetting,
  againstAnnotated,
  armCurves,
  armScores,
  armTable,
  armText,
  scaleFigure,
} from "../../src/report/ablation-report.js";
import { findAblations, readAblations } from "../../src/report/ablation-runs.js";
import { differenceFigure } from "../../src/report/differences.js";
import { DISPLAY, type Displayable } from "../../src/report/display.js";
import { figureSvg, type PlotlyFigure } from "../../src/report/figure.js";
import { loadPublished } from "../../src/report/published.js";
import { readsOrRefuses } from "./damage.js";
import { said, writeExperiment } from "./run-folder.js";

/** Wrong answers of each arm: F1 1, 4/5 (one missed), 2/3 (one missed, one false alarm). */
const ARMS = {
  annotated: { ablations: ["source", "scale", "mix"], rows: 80, wrong: [0] },
  "other-labels": { ablations: ["source"], rows: 78, wrong: [0, 3] },
  "share-0.25": { ablations: ["scale"], rows: 20, wrong: [0, 3] },
  pool: { ablations: ["scale"], rows: 400, wrong: [] },
  mix: { ablations: ["mix"], rows: 160, wrong: [] },
} as const;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ablation-report-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** @param hostile a name in what the run says of itself */
function write(at = mkdtempSync(join(folder, "run-")), hostile = "own"): string {
  mkdirSync(join(at, "arms"), { recursive: true });
  const arms = Object.entries(ARMS).map(([name, { ablations, rows, wrong }]) => {
    const predictions = { "sample-test": said(wrong), xstest: said(wrong) };
    const run = { mode: "classification", learningRate: 1e-3, seed: 22, chosen: true, predictions } as const;
    writeExperiment([run], ["sample-test", "xstest"], join(at, "arms", name));
    return {
      name,
      ablations,
      what: `rows of ${hostile}`,
      epochs: 2,
      state: "done",
      reason: null,
      rows: { train: rows, harmful: rows / 2 },
      labels: name === "other-labels" ? { changed: 9, missing: 2 } : null,
      folder: `arms/${name}`,
    };
  });
  const failed = { ...arms[0], name: "random", state: "failed", reason: "no room", rows: null, folder: "arms/random" };
  const names = { kind: "ablations", model: "tiny-random", seeds: [22], trainSet: hostile, otherLabels: "o", pool: "p" };
  const leftOut = [{ set: "pool", reason: "not here" }];
  writeFileSync(
    join(at, "summary.json"),
    JSON.stringify({ ...names, testSets: ["sample-test", "xstest"], arms: [...arms, failed], leftOut }),
  );
  return at;
}

const tracesOf = (figure: PlotlyFigure) => figure.data as { name: string; x: number[]; y: number[] }[];

describe("ablations on disk", () => {
  it("are read with every arm, and told in words", () => {
    const run = readAblations(write());
    expect(run.testSets).toEqual(["sample-test", "xstest"]);
    expect(run.arms.map(({ name, experiment }) => [name, experiment !== null])).toEqual([
      ...Object.keys(ARMS).map((name) => [name, true]),
      ["random", false],
    ]);
    const text = ablationSetting(run);
    expect(text).toContain("share-0.25 (rows of own): 20 rows, 10 of them harmful, 2 epochs");
    expect(text).toContain("; 9 of 78 labels differ from the set’s own, 2 rows have none and are left out");
    expect(text).toContain("random (rows of own); failed: no room");
    expect(text).toContain("left out: pool (not here)");
  });

  it("are compared with the annotated rows, arm by arm", () => {
    const run = readAblations(write());
    const compared = againstAnnotated(run, "source");
    expect(compared.map(({ name }) => name)).toEqual(["other-labels"]);
    const [{ comparison }] = compared;
    expect(comparison.mean!.f1!.difference.estimate).toBeCloseTo(2 / 3 - 4 / 5, 12);
    expect(armTable(compared)[0]).toMatchObject({ "F1 annotated": "0.800", "F1 arm": "0.667", "F1 difference": "-0.133" });
    expect(armText(compared)).toMatch(/^other-labels, F1 over the mean of sample-test and xstest, one seed: no difference shown/);
    expect(armText([])).toContain("Nothing to compare");
    expect(againstAnnotated(run, "scale").map(({ name }) => name)).toEqual(["share-0.25", "pool"]);
    expect(armScores(run, "mix")).toMatchObject([
      { mode: "classification", set: "sample-test", model: "annotated", F1: "0.800" },
      { model: "mix", F1: "1.000" },
      { set: "xstest", model: "annotated" },
      { set: "xstest", model: "mix" },
    ]);
    // The published gain on the set that both have.
    const [figure] = differenceFigure(compared, "t", publishedSourceGains("source"));
    const published = tracesOf(figure).filter(({ name }) => name.endsWith("published (one run)"));
    const row = loadPublished("label-source").rows.find(({ set }) => set === "xstest")!.f1;
    expect(published.map(({ x }) => x)).toEqual([
      [row.hardWildguardLabels - row.hardHumanLabels],
      [row.randomWildguardLabels - row.hardHumanLabels],
    ]);
  });

  it("give a curve over training rows, with intervals and the constant answer", async () => {
    const run = readAblations(write(undefined, "</text><script>"));
    const [figure] = scaleFigure(run);
    const [line, pool] = tracesOf(figure) as (ReturnType<typeof tracesOf>[number] & { error_y: { array: number[] } })[];
    expect([line.x, pool.x]).toEqual([[20, 80], [400]]);
    expect(line.y.map((f1) => f1.toFixed(3))).toEqual(["0.667", "0.800"]);
    expect(pool.y).toEqual([1]);
    expect(line.error_y.array.every((above) => above > 0)).toBe(true);
    expect(JSON.stringify(figure.layout)).toContain('"tickvals":[80,20,400]');
    const svg = await figureSvg(figure);
    expect(svg).not.toContain("<script");
    expect(armCurves(run)).toHaveLength(5);
  });

  it("say nothing where there is nothing", () => {
    const at = write();
    const file = join(at, "summary.json");
    const summary = JSON.parse(readFileSync(file, "utf8")) as { arms: { state: string; rows: unknown }[] };
    for (const arm of summary.arms) Object.assign(arm, { state: "left", rows: null });
    writeFileSync(file, JSON.stringify(summary));
    const run = readAblations(at);
    expect([run.testSets, scaleFigure(run), armScores(run, "mix"), againstAnnotated(run, "mix"), armCurves(run)]).toEqual([
      [],
      [],
      [],
      [],
      [],
    ]);
    expect(ablationSetting(run)).toContain("trained as nothing");
  });

  it("are looked for among the user's runs, and without any it says how to make them", () => {
    const command = "npx true-intents run ablations --preset small";
    const { run, origin } = findAblations("ablations-small", command, folder);
    expect(run).toBeNull();
    expect(origin).toMatch(/There is no run of your own yet.*To make your own: npx true-intents run ablations --preset small/s);
    write(join(folder, "runs", "ablations-small"));
    expect(findAblations("ablations-small", command, folder).origin).toContain("your own run");
  });

  it("are refused where they are another experiment, lack an arm or lead elsewhere", () => {
    const at = write();
    const file = join(at, "summary.json");
    const whole = readFileSync(file, "utf8");
    const refuses = (content: string, message: RegExp): void => {
      writeFileSync(file, content);
      expect(() => readAblations(at)).toThrow(message);
      expect(() => readAblations(at)).toThrow(/summary\.json/);
      writeFileSync(file, whole);
    };
    refuses(whole.replace('"kind":"ablations"', '"kind":"baseline"'), /kind/);
    refuses(whole.replace("arms/pool", "arms/../../pool"), /folder/);
    refuses(whole.replace('"name":"pool"', '"name":"mix"'), /two have one name/);
    refuses(whole.replace('{"train":400,"harmful":200}', "null"), /pool is done and has no rows/);
    rmSync(join(at, "arms", "mix", "summary.json"));
    expect(() => readAblations(at)).toThrow(RunFolderError);
    expect(() => readAblations(writeExperiment([], []))).toThrow(DataFormatError);
  });

  it("answer damage of any kind with a typed error", () => {
    const at = write();
    const run = join("arms", "pool", "classification", "lr-0.001", "seed-22");
    const files = [
      "summary.json",
      join("arms", "mix", "summary.json"),
      join(run, "log.jsonl"),
      join(run, "predictions", "xstest.jsonl"),
    ];
    readsOrRefuses(
      files.map((file) => join(at, file)),
      () => readAblations(at),
      80,
    );
  });
});

describe("the published ablations", () => {
  const html = (value: Displayable): string => String(value[DISPLAY]()["text/html"]);

  it("mark the best training set of each line", () => {
    const best = [...html(publishedSources()).matchAll(/<strong>([\d.]+)<\/strong>/g)].map(([, text]) => text);
    expect(best).toEqual(["0.760", "0.895", "0.951", "0.726", "0.832", "0.788", "0.828", "0.816"]);
  });

  it("have the mix with both kinds of intents, whose numbers three files agree on", () => {
    const mixed = loadPublished("broader-mix").rows;
    const sources = loadPublished("label-source").rows;
    const aims = sources.find(({ set }) => set === "aims-test")!.f1;
    expect(mixed.find(({ annotatedIntents }) => annotatedIntents === "synthetic")!.aimsTestF1).toBeCloseTo(
      aims.annotatedPlusRandom,
      3,
    );
    const synthetic = loadPublished("benchmark-main").notRendered.find(({ model }) => model.startsWith("mixed set"))!;
    for (const { set, f1 } of sources) if (set !== "aims-test") expect(synthetic.f1[set]).toBeCloseTo(f1.annotatedPlusRandom, 4);
    const table = publishedMix()[DISPLAY]()["text/plain"];
    expect(table).toMatch(/annotated, human intents \+ pool +\| +_?\**0\.889.*0\.826\*\* \| +0\.715 \|/);
    expect(table).toMatch(/annotated, synthetic intents \+ pool .* \*\*0\.760\*\* \|/);
  });

  it("are drawn: gains around 0, sizes against means", async () => {
    expect(publishedSourceGains().map(({ name }) => name)).toHaveLength(4);
    expect(publishedSourceGains("mix").map(({ name }) => name)).toEqual([
      "annotated + random WG, synthetic intents, published (one run)",
    ]);
    expect(await figureSvg(publishedGainFigure())).toContain("AIMS test");
    const svg = await figureSvg(publishedScaleFigure());
    for (const { name } of loadPublished("label-source").columns) expect(svg).toContain(name);
  });
});
