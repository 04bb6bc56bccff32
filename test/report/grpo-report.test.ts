import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  againstGrpoStart,
  grpoErrors,
  grpoScores,
  grpoSetting,
  intentAgainstLabel,
  intentTable,
  intentText,
  startFigure,
  startTable,
} from "../../src/report/grpo-report.js";
import { findGrpo, readGrpo, rewardsOf, selectionSeen, testsSeen, type GrpoRecord } from "../../src/report/grpo-runs.js";
import { readsOrRefuses } from "./damage.js";
import { writeGrpo } from "./grpo-folder.js";
import { config, made, rows, sets } from "./grpo-made.js";
import { said } from "./run-folder.js";

/** F1 of the start 0.5 and 0.8, of label + intent 0.8 and 1, of the label alone 0.5 and 0.8. */
let experiment: GrpoRecord;
beforeAll(async () => {
  experiment = readGrpo(
    await writeGrpo({
      ...{ sets, config },
      runs: [
        ...[made("start", 22, [0, 1]), made("label_intent", 22, [0]), made("label_only", 22, [0, 1])],
        ...[made("start", 42, [0]), made("label_intent", 42, []), made("label_only", 42, [0])],
      ],
      leftOut: [{ set: "gone", reason: "it is <not> on this machine" }],
    }),
  );
});

describe("finding the experiment", () => {
  it("takes the user's own, then the recorded one, and else says how to make it without failing", async () => {
    const results = mkdtempSync(join(tmpdir(), "results-"));
    const find = () => findGrpo("grpo-small", "true-intents run grpo", results);
    expect(find().run).toBeNull();
    expect(find().origin).toMatch(/no run of your own yet.*true-intents run grpo.*paper's numbers alone/s);
    const make = async (folder: string) => {
      mkdirSync(folder, { recursive: true });
      await writeGrpo({ sets, config, runs: [made("start", 22, []), made("label_only", 22, [])] }, folder);
    };
    await make(join(results, "recorded", "grpo-small"));
    expect(find().origin).toMatch(/recorded run/);
    await make(join(results, "runs", "grpo-small"));
    expect(find().origin).toMatch(/your own run/);
    expect(find().run?.runs.length).toBe(2);
  });

  it("reads runs, logs and what is missing", () => {
    expect(experiment.testSets).toEqual(["one", "two"]);
    expect([testsSeen(experiment), selectionSeen(experiment)]).toEqual([["one", "two"], ["check"]]);
    expect(rewardsOf(experiment)).toEqual(["label_intent", "label_only"]);
    expect(experiment.runs.map(({ condition, seed, log }) => [condition, seed, log?.steps.length])).toEqual([
      ...[22, 42].flatMap((seed) => [
        ["start", seed, undefined],
        ["label_intent", seed, 10],
        ["label_only", seed, 10],
      ]),
    ]);
    const setting = grpoSetting(experiment);
    expect(setting).toContain("seeds 22, 42, each from the SFT adapter of the same seed; the SFT format on raw prompts");
    expect(setting).toContain("trained: GRPO, label + intent; GRPO, label alone");
    expect(setting).toContain("4 prompts of mine.csv, 4 each, temperature 0.6");
    expect(setting).toContain("left out: gone (it is <not> on this machine)");
  });

  it("reads one that starts from the model as it is, whose start is one for all seeds", async () => {
    const runs = [made("start", 22, [0]), made("label_intent", 22, []), made("start", 42, [0]), made("label_intent", 42, [])];
    const run = readGrpo(await writeGrpo({ sets, config: { ...config, start: "instruct" }, runs }));
    expect(grpoSetting(run)).toContain("each from the model as it is, with a fresh adapter");
    expect((grpoScores(run) as { model: string }[]).map(({ model }) => model).slice(0, 2)).toEqual([
      "the model as it was",
      "GRPO, label + intent",
    ]);
  });

  it("says where a test set chose the adapter, too, and does not call it validation", async () => {
    const runs = [made("start", 22, []), made("label_only", 22, [])];
    const run = readGrpo(await writeGrpo({ sets, config: { ...config, testSets: ["check", "two"] }, runs }));
    expect(grpoSetting(run)).toContain("tested on: check (which chose the adapter, too), two");
    expect(selectionSeen(run)).toEqual([]);
  });

  it("answers damage of any kind with a typed error", async () => {
    const folder = await writeGrpo({ sets, config, runs: [made("start", 22, []), made("label_intent", 22, [])] });
    const files = [
      "summary.json",
      "config.json",
      "runs/seed-22/label_intent/log.jsonl",
      "runs/seed-22/start/predictions/one.jsonl",
    ];
    const paths = files.map((name) => join(folder, name));
    readsOrRefuses(paths, () => readGrpo(folder), 100);
    const summary = readFileSync(paths[0], "utf8");
    writeFileSync(paths[0], summary.replace("runs/seed-22/start", "runs/seed-22/../../../x"));
    expect(() => readGrpo(folder)).toThrow(/summary\.json.*folder/);
    writeFileSync(paths[0], summary);
    writeFileSync(paths[2], "");
    expect(() => readGrpo(folder)).toThrow(/log\.jsonl.*holds no step/);
    rmSync(paths[2]);
    expect(() => readGrpo(folder)).toThrow(/log\.jsonl.*copy the run's folder whole/);
  });
});

describe("scores", () => {
  it("are means and deviations over seeds, computed by hand", () => {
    const table = grpoScores(experiment) as Record<string, string | number>[];
    const of = (set: string, model: string) => table.find((row) => row["set"] === set && row["model"] === model)!;
    // Deviations of two values: half their distance times the square root of two.
    expect(of("one", "SFT")).toMatchObject({ seeds: 2, F1: "0.650 ± 0.212", unparsed: 0, "intent cosine": "1.000 ± 0.000" });
    expect(of("two", "GRPO, label + intent")).toMatchObject({ F1: "0.900 ± 0.141", "intent cosine": "–" });
    expect(table.map((row) => row["set"])).not.toContain("check");
  });

  it("count verdicts by intents", () => {
    const { table, figures } = grpoErrors(experiment);
    // Wrong are two and one rows of the start's two seeds, one and none of label + intent's; all intents are faithful.
    expect(table[0]).toMatchObject({ set: "one", model: "SFT", "right, faithful": "4.5", "wrong, faithful": "1.5" });
    expect(table[1]).toMatchObject({ model: "GRPO, label + intent", "right, faithful": "5.5", "wrong, faithful": "0.5" });
    expect(figures.length).toBe(1);
  });
});

describe("differences", () => {
  it("to the start are the reward's gain over the seeds that both have", () => {
    const gains = againstGrpoStart(experiment);
    const table = startTable(experiment, gains) as Record<string, string>[];
    expect(table.map(({ model, set }) => `${model}: ${set}`)).toEqual(
      ["GRPO, label + intent", "GRPO, label alone"].flatMap((name) =>
        ["one", "two", "mean of the sets"].map((set) => `${name}: ${set}`),
      ),
    );
    expect(table[0]).toMatchObject({ seeds: 2, "F1 SFT": "0.650", "F1 GRPO": "0.900", "F1 difference": "+0.250" });
    expect(table[3]).toMatchObject({ "F1 difference": "0.000", set: "one" });
  });

  it("of the two rewards are label + intent less label alone", () => {
    const compared = intentAgainstLabel(experiment);
    const [one] = intentTable(compared) as Record<string, string>[];
    expect(one).toMatchObject({ "F1 label alone": "0.650", "F1 label + intent": "0.900", "F1 difference": "+0.250" });
    expect(intentText(experiment, compared)).toMatch(
      /^Label \+ intent less label alone, F1 over the mean of one and two, 2 seeds: /,
    );
  });

  it("are none of one reward alone, with the setting that makes both", async () => {
    const run = readGrpo(await writeGrpo({ sets, config, runs: [made("start", 22, []), made("label_only", 22, [])] }));
    expect(intentAgainstLabel(run)).toEqual([]);
    expect(intentText(run, [])).toBe(
      "Not compared: this run trained GRPO, label alone. To have both: --set rewards=label_intent,label_only",
    );
  });

  it("have the paper's single runs beside them on a benchmark, if they are to SFT as well", async () => {
    const names = async (start: "sft" | "instruct") => {
      const run = readGrpo(
        await writeGrpo({
          ...{ sets: [{ name: "xstest", rows }], config: { ...config, start, selectionSets: ["check"], testSets: ["xstest"] } },
          runs: (["start", "label_intent"] as const).map((condition) => ({
            ...made(condition, 22, []),
            predictions: { xstest: said([]) },
          })),
        }),
      );
      const [figure] = startFigure(run, againstGrpoStart(run));
      return (figure.data as { name: string; x: number[] }[]).map(({ name, x }) => ({ name, x: x[0] }));
    };
    const data = await names("sft");
    expect(data.map(({ name }) => name)).toEqual([
      "GRPO, label + intent",
      "GRPO, label + intent, published (one run)",
      "GRPO, label alone, published (one run)",
    ]);
    expect([data[1].x, data[2].x]).toEqual([expect.closeTo(0.916 - 0.908), expect.closeTo(0.892 - 0.908)]);
    expect((await names("instruct")).map(({ name }) => name)).toEqual(["GRPO, label + intent"]);
  });

  it("are none without test sets", async () => {
    const run = readGrpo(
      await writeGrpo({ sets, config: { ...config, testSets: [] }, runs: [made("start", 22, []), made("label_only", 22, [])] }),
    );
    expect([againstGrpoStart(run), grpoScores(run), startFigure(run, [])]).toEqual([[], [], []]);
    expect(grpoSetting(run)).toContain("tested on: nothing");
  });
});
