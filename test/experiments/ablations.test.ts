/** The ablations on a tiny model and sets that the test writes: all arms, stopped and gone on with, in part, failing, and without a pool. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Harm } from "../../src/data/prompt.js";
import { readPredictions } from "../../src/evaluate/predictions.js";
import { chosenAblations } from "../../src/experiments/ablations-arms.js";
import {
  ablationsConfig,
  armConfig,
  checkAblationsConfig,
  type AblationsConfig,
} from "../../src/experiments/ablations-config.js";
import { labelsOfEngine, namesEngine } from "../../src/experiments/ablations-labels.js";
import { ablationsTables, type AblationsSummary } from "../../src/experiments/ablations-summary.js";
import { runAblations, showAblationsPlan } from "../../src/experiments/ablations.js";
import { ConfigError } from "../../src/experiments/config.js";
import { ABLATIONS_PRESETS } from "../../src/experiments/presets/ablations.js";
import { SFT_PRESETS } from "../../src/experiments/presets/sft.js";
import { predictionFile, RunFolderError } from "../../src/experiments/run-folder.js";
import { writeTinyModel } from "../../src/experiments/tiny-model.js";
import { contents } from "./folders.js";

process.env["OMP_NUM_THREADS"] = "1";

interface Row {
  readonly id: string;
  readonly prompt: string;
  readonly label: Harm;
  readonly intent?: string;
}

const rows = (count: number, from: number, more: Partial<Row> = {}): Row[] =>
  Array.from({ length: count }, (_, i) => {
    const label = i % 2 === 0 ? "harmful" : "safe";
    return { id: `${from + i}`, prompt: `${label === "safe" ? "draw" : "break"} thing ${from + i}`, label, ...more };
  });

let folder: string;
let config: AblationsConfig;
let summary: AblationsSummary;
let said = "";
const write = (name: string, content: readonly Row[]): string => {
  const file = join(folder, name);
  writeFileSync(file, content.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return file;
};

beforeAll(async () => {
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
  folder = mkdtempSync(join(tmpdir(), "ablations-"));
  const train = rows(8, 0, { intent: "To see" });
  const test = rows(4, 100);
  // Two labels are the other way round, one row has none; of the pool one row is trained on already, one asked about.
  const other = train
    .slice(1)
    .map((row, i): Row => ({ ...row, label: i < 2 ? (row.label === "safe" ? "harmful" : "safe") : row.label }));
  config = ablationsConfig({
    ...ABLATIONS_PRESETS.smoke,
    ...{ trainSet: write("train.jsonl", train), validationSet: write("validation.jsonl", rows(4, 50, { intent: "To see" })) },
    ...{ testSets: [write("test.jsonl", test)], selectionSets: [], otherLabels: write("other.jsonl", other) },
    ...{ pool: write("pool.jsonl", [...rows(12, 200), train[0], { ...test[0], id: "again" }]) },
    ...{ limit: 0, epochs: 1, batchSize: 4, shares: [0.5, 0.25], checkpointSeconds: 0 },
  });
  summary = await runAblations(config, join(folder, "whole"));
}, 240_000);
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

describe("the arms", () => {
  it("are trained on the rows that they should be", () => {
    const found = summary.arms.map(({ name, rows: size, epochs, state }) => [name, size?.train, size?.harmful, epochs, state]);
    expect(found).toEqual([
      ["annotated", 8, 4, 1, "done"],
      ["other-labels", 7, 3, 1, "done"],
      ["share-0.25", 2, 1, 1, "done"],
      ["share-0.5", 4, 2, 1, "done"],
      ["random", 8, 4, 1, "done"],
      ["mix", 16, 8, 1, "done"],
      ["pool", 12, 6, 1, "done"],
    ]);
    const labels = summary.arms.flatMap((arm) => (arm.labels === null ? [] : [[arm.name, arm.labels]]));
    expect(labels).toEqual([["other-labels", { changed: 2, missing: 1 }]]);
    expect(ablationsTables(summary)).toContain("2 of 7 labels differ from the set’s own, 1 rows have none and are left out");
    expect(said).toContain("pool.jsonl: 2 rows are left out, whose prompts are in the other sets");
  });

  it("are SFT experiments of their own, compared with the annotated rows", () => {
    const [test] = config.testSets;
    const { effects, testSets } = summary;
    expect(testSets).toEqual([test]);
    expect(effects.map(({ arm, mode }) => `${arm} ${mode}`)).toEqual(
      ["other-labels", "share-0.25", "share-0.5", "random", "mix", "pool"].map((name) => `${name} classification`),
    );
    const f1 = (name: string): number => summary.arms.find((arm) => arm.name === name)!.modes.classification!.mean.mean!;
    for (const { arm, comparison } of effects) {
      expect(comparison.sets[0].f1!.first).toBeCloseTo(f1("annotated"), 12);
      expect(comparison.sets[0].f1!.second).toBeCloseTo(f1(arm), 12);
    }
    const run = join(folder, "whole", "arms", "mix", "classification", "lr-0.01", "seed-22");
    expect(readPredictions(predictionFile(run, test))).toHaveLength(4);
    const text = ablationsTables(summary);
    expect(text).toMatch(/\| mix +\| mix +\| classification \| +16 \|/);
    expect(text).not.toContain("was left out");
  });

  it("go on after an interruption to the same bytes, and are only read when done", async () => {
    const out = join(folder, "stopped");
    const stop = new AbortController();
    const before = said.length;
    const running = runAblations(config, out, { signal: stop.signal });
    const watch = setInterval(() => {
      if (said.slice(before).includes("share-0.5 (")) stop.abort(new Error("enough"));
    }, 5);
    await expect(running).rejects.toThrow("enough");
    clearInterval(watch);
    expect(existsSync(join(out, "arms", "annotated", "summary.json"))).toBe(true);
    expect(existsSync(join(out, "arms", "pool"))).toBe(false);
    // What is known so far is in the summary, the differences too.
    const { arms, effects } = JSON.parse(readFileSync(join(out, "summary.json"), "utf8")) as AblationsSummary;
    const done = arms.filter(({ state }) => state === "done").map(({ name }) => name);
    expect(done.slice(0, 2)).toEqual(["annotated", "other-labels"]);
    expect(effects).toEqual(summary.effects.filter(({ arm }) => done.includes(arm)));
    const again = said.length;
    await runAblations(config, out);
    expect(said.slice(again)).not.toContain("annotated (");
    expect(said.slice(again)).toMatch(/of 7 arms done, \d left: about \d+ s/);
    expect(contents(out)).toEqual(contents(join(folder, "whole")));
    expect(await showAblationsPlan(config, out)).toContain("7 of 7 arms done, 0 left");
  }, 120_000);

  it("can be asked for in part, and begun anew in part", async () => {
    const out = join(folder, "part");
    const mix = await runAblations(config, out, { only: ["mix"] });
    expect(mix.arms.filter(({ state }) => state === "done").map(({ name }) => name)).toEqual(["annotated", "mix"]);
    expect(mix.arms.filter(({ state }) => state === "left")).toHaveLength(5);
    const marked = join(out, "arms", "mix", "note");
    const kept = join(out, "labels");
    writeFileSync(marked, "");
    writeFileSync(kept, "");
    await runAblations(config, out, { only: ["mix"], fresh: true });
    expect([existsSync(marked), existsSync(kept)]).toEqual([false, true]);
    await expect(runAblations({ ...config, epochs: 3 }, out)).rejects.toThrow(RunFolderError);
  }, 120_000);

  it("that are done stay in the summary while another is run", async () => {
    const out = join(folder, "growing");
    const whole = await runAblations({ ...config, shares: [0.5] }, out, { only: ["scale", "mix"] });
    rmSync(join(out, "arms", "share-0.5"), { recursive: true });
    const seen: AblationsSummary[] = [];
    const running = runAblations({ ...config, shares: [0.5] }, out, { only: ["scale"] });
    const watch = setInterval(() => {
      const now = JSON.parse(readFileSync(join(out, "summary.json"), "utf8")) as AblationsSummary;
      if (JSON.stringify(now) !== JSON.stringify(seen.at(-1))) seen.push(now);
    }, 1);
    await running;
    clearInterval(watch);
    for (const { arms, effects } of seen) {
      const done = arms.filter(({ state }) => state === "done");
      expect(done.every(({ rows: trained, modes }) => trained !== null && modes.classification !== undefined)).toBe(true);
      expect(effects.map(({ arm }) => arm)).toContain("mix");
    }
    expect(seen.at(-1)!.effects).toEqual(whole.effects);
  }, 120_000);

  it("are held to their data, and a changed set loses nothing", async () => {
    const out = join(folder, "pinned");
    const test = write("pinned-test.jsonl", rows(4, 100));
    const pinned = { ...config, shares: [], testSets: [test] };
    await runAblations(pinned, out, { only: ["mix"] });
    const before = contents(out);
    write("pinned-test.jsonl", rows(4, 104));
    await expect(runAblations(pinned, out, { only: ["mix"] })).rejects.toThrow(/rows of .*pinned-test\.jsonl have changed/);
    expect(contents(out)).toEqual(before);
  }, 120_000);

  it("that need as many rows of the pool are left out where it has fewer", async () => {
    const small = { ...config, pool: write("small-pool.jsonl", rows(6, 300)) };
    const plan = await showAblationsPlan(small, join(folder, "none"));
    for (const name of ["random", "mix"])
      expect(plan).toMatch(
        new RegExp(`left out: ${name}: .*small-pool\\.jsonl has 6 prompts that are in no other set, .*\\(8\\)`),
      );
    expect(plan).toMatch(/\| pool +\| scale +\| +6 \|/);
  });

  it("are trained with added seeds where they are asked for", async () => {
    const out = join(folder, "seeds");
    const labels = { ...config, shares: [], seeds: [22] } as const;
    await runAblations(labels, out, { only: ["source,mix"] });
    const more = { ...labels, seeds: [22, 42] } as const;
    const { arms } = await runAblations(more, out, { only: ["mix"] });
    expect(arms.filter(({ state }) => state === "done").map(({ name }) => name)).toEqual(["annotated", "mix"]);
    const seeds = (arm: string): string[] => readdirSync(join(out, "arms", arm, "classification", "lr-0.01"));
    expect([seeds("mix"), seeds("other-labels")]).toEqual([["seed-22", "seed-42"], ["seed-22"]]);
  }, 120_000);

  it("that cannot be had are left out with the reason, and the others are run", async () => {
    const without = {
      ...config,
      pool: "wildguardmix-train",
      otherLabels: join(folder, "stranger.jsonl"),
      modes: ["generation"] as const,
    };
    write("stranger.jsonl", rows(2, 900));
    const plan = await showAblationsPlan(without, join(folder, "none"));
    expect(plan).toContain("0 of 3 arms done, 3 left: 3 not measured yet");
    expect(plan).toMatch(/left out: other-labels: .*stranger\.jsonl has no label for any prompt of/);
    for (const name of ["random", "mix", "pool"])
      expect(plan).toMatch(new RegExp(`left out: ${name}: .*data get wildguardmix-train`));
    // The pool's rows state no intent.
    const generation = await showAblationsPlan({ ...config, modes: ["generation"] }, join(folder, "none"));
    expect(generation).toMatch(/left out: mix: its rows have no intents, which generation learns/);
    expect(generation).toMatch(/\| annotated +\| source, scale, mix \| +8 \| +1 \| generation +\|/);
    const both = await showAblationsPlan({ ...config, modes: ["generation", "classification"] }, join(folder, "none"));
    expect(both).toMatch(/\| annotated .*generation, classification/);
    expect(both).toMatch(/\| pool +\| scale +\| +12 \| +1 \| classification +\|/);
    expect(existsSync(join(folder, "none"))).toBe(false);
  });

  it("that fail say why, do not stop the others, and are tried again", async () => {
    const out = join(folder, "failing");
    await runAblations(config, out, { only: ["source"] });
    const damaged = join(out, "arms", "random", "classification", "lr-0.01", "seed-22");
    writeFileSync(join(damaged, "log.jsonl"), "{}\n");
    rmSync(join(out, "arms", "other-labels"), { recursive: true });
    const failed = await runAblations(config, out, { only: ["source"] });
    const states = failed.arms
      .filter(({ ablations }) => ablations.includes("source"))
      .map(({ name, state }) => `${name} ${state}`);
    expect(states).toEqual(["annotated done", "other-labels done", "random failed"]);
    expect(ablationsTables(failed)).toMatch(/random failed: .*seed-22: .*log\.jsonl/);
    rmSync(damaged, { recursive: true });
    const mended = await runAblations(config, out, { only: ["source"] });
    expect(mended.arms.find(({ name }) => name === "random")!.state).toBe("done");
  }, 120_000);
});

describe("a model's labels", () => {
  it("are asked for once, kept, and asked for again where they are damaged", async () => {
    const model = `local:${writeTinyModel(folder)}`;
    expect([namesEngine(model), namesEngine("http://localhost/v1#m"), namesEngine("llama.jsonl")]).toEqual([true, true, false]);
    const out = join(folder, "labelled");
    const set = {
      name: "train",
      rows: rows(6, 0).map(({ id, prompt, label }) => ({ id, prompt, intent: null, harm: label, source: "own" })),
    };
    const asking = { otherLabels: model, precision: "float32" } as const;
    const first = await labelsOfEngine(asking, set, out);
    const labels = set.rows.map(first);
    // The likelier of two words: there is always a label.
    expect(labels.every((label) => label === "harmful" || label === "safe")).toBe(true);
    // Not opened again: it could not be.
    const nothing = await labelsOfEngine({ ...asking, otherLabels: "local:/nowhere" }, set, out);
    expect(set.rows.map(nothing)).toEqual(labels);
    const file = predictionFile(join(out, "labels"), "train");
    writeFileSync(file, readFileSync(file, "utf8").split("\n").slice(0, 3).join("\n"));
    const again = await labelsOfEngine(asking, set, out);
    expect(set.rows.map(again)).toEqual(labels);
  }, 60_000);
});

describe("the settings", () => {
  it("are those of SFT and four more; rates as there", () => {
    const { small, paper } = ABLATIONS_PRESETS;
    expect(ablationsConfig(small, ["learningRates=1e-4"]).classificationLearningRates).toBeUndefined();
    expect(ablationsConfig(small, ["shares=0.1,0.9", "poolEpochs=2"])).toMatchObject({ shares: [0.1, 0.9], poolEpochs: 2 });
    expect(ablationsConfig(small, ["shares="]).shares).toEqual([]);
    const arm = armConfig(small, { trainSet: "x", modes: ["classification"], epochs: 1 });
    expect(Object.keys(arm).toSorted()).toEqual(Object.keys(SFT_PRESETS.small).toSorted());
    expect(paper).toMatchObject({
      trainSet: "aims-train",
      pool: "wildguardmix-train",
      learningRates: [2e-5],
      drawSeed: 42,
      r: 32,
    });
  });

  it.each([
    [["shares=1"], /shares is "1"; it must be numbers between 0 and 1/],
    [["share=0.5"], /did you mean shares\?/],
    [["pool="], /pool is ""/],
    [["poolEpochs=0"], /poolEpochs/],
  ])("refuse %j", (settings, message) => {
    expect(() => ablationsConfig(ABLATIONS_PRESETS.small, settings)).toThrow(message);
  });

  it("refuse a damaged config, and ablations that there are not", () => {
    expect(() => checkAblationsConfig({ ...ABLATIONS_PRESETS.small, shares: "0.5" }, "config.json")).toThrow(
      /config\.json: shares must be/,
    );
    expect(chosenAblations(["source,mix", "scale"])).toEqual(["source", "mix", "scale"]);
    expect(() => chosenAblations(["scales"])).toThrow(ConfigError);
    expect(() => chosenAblations(["sauce"])).toThrow(
      /--only is "sauce"; it must be some of source, scale, mix; did you mean source\?/,
    );
    expect(() => chosenAblations(["\u001b[31m"])).toThrow(/" \[31m"/);
  });
});
