/** Hostile texts on their way to a terminal, to Markdown, to JSON and to names of files. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, sep } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { main } from "../../src/cli.js";
import { summaryText } from "../../src/commands/evaluate.js";
import { DataFormatError } from "../../src/data/errors.js";
import { loadOwnRows } from "../../src/data/own.js";
import { compareModels, comparisonText } from "../../src/evaluate/comparison.js";
import { openPredictions, readPredictions } from "../../src/evaluate/predictions.js";
import { groupTable, meanText, setText } from "../../src/evaluate/report-tables.js";
import { reportMean, reportSet } from "../../src/evaluate/set-report.js";
import { score } from "../../src/evaluate/metrics.js";
import { markdownTable, printable, scoreTable } from "../../src/evaluate/table.js";
import { ablationsTables, type AblationsSummary } from "../../src/experiments/ablations-summary.js";
import { cellFolder } from "../../src/experiments/distillation-cells.js";
import { planText as gridPlanText } from "../../src/experiments/distillation-plan.js";
import { distillationTables, type DistillationSummary } from "../../src/experiments/distillation-summary.js";
import { dpoTables, type DpoSummary } from "../../src/experiments/dpo-summary.js";
import { grpoTables, type GrpoSummary } from "../../src/experiments/grpo-summary.js";
import { tellRollouts } from "../../src/experiments/grpo-view.js";
import { showWork } from "../../src/experiments/progress.js";
import { planText } from "../../src/experiments/reproduce-plan.js";
import { resultsTable } from "../../src/experiments/reproduce-table.js";
import { predictionFile } from "../../src/experiments/run-folder.js";
import { summaryTables, type SftSummary } from "../../src/experiments/sft-summary.js";
import { spread } from "../../src/evaluate/spread.js";
import { hubFolder, parseHubId } from "../../src/model/catalogue/resolve.js";
import { describeFailure } from "../../src/report/render-notebooks.js";
import { jsonText, say } from "../../src/terminal.js";
import { traceFile } from "../../src/traces/folder.js";
import { said, writeExperiment } from "../report/run-folder.js";
import { CONTROLS, PAYLOADS, shown, TEXTS, words } from "./payloads.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "true-intents-hostile-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

it("there are many, each with a name and a text of its own", () => {
  expect(PAYLOADS.length).toBeGreaterThanOrEqual(40);
  for (const field of ["name", "text"] as const) expect(new Set(PAYLOADS.map((one) => one[field])).size).toBe(PAYLOADS.length);
});

/** What came to stdout and stderr, in order. */
async function captured(run: () => unknown): Promise<string> {
  const parts: string[] = [];
  const write = (chunk: unknown): boolean => parts.push(String(chunk)) > 0;
  const spies = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, "write").mockImplementation(write));
  // Vitest's console does not write to the streams.
  for (const method of ["log", "error"] as const)
    spies.push(vi.spyOn(console, method).mockImplementation((line: unknown) => void write(`${String(line)}\n`)) as never);
  try {
    await run();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return parts.join("");
}

/** Without what Markdown needs to take a text as text. */
const plain = (text: string): string =>
  words(
    text
      .replace(/&(amp;)+/g, "&")
      .replaceAll("&lt;", "<")
      .replaceAll("\\", ""),
  );

/** Every payload is there as text, by its code or with blanks for what acts, and nothing in the text acts on a terminal. */
function expectHarmless(text: string, payloads: readonly string[] = TEXTS): void {
  expect(CONTROLS.exec(text.replaceAll("\t", " "))?.[0]).toBeUndefined();
  const seen = plain(text);
  for (const payload of payloads) {
    const forms = [printable(payload), shown(payload)].map(plain);
    expect(
      forms.some((form) => seen.includes(form)),
      `${JSON.stringify(payload)} in ${seen.slice(0, 300)}`,
    ).toBe(true);
  }
}

/** Number of cells of a line as GitHub's Markdown splits it: a backslash takes the character after it along. */
function cellsOf(line: string): number {
  return [...line.matchAll(/\\.|\|/gs)].filter(([found]) => found === "|").length - 1;
}

const rows = said([0]).map(({ id, gold }) => ({ id, prompt: id, harm: gold, intent: null, source: "t" }));
const report = reportSet(rows, said([0]));
const comparison = compareModels(TEXTS.map((set) => ({ set, first: [said([0])], second: [said([1])] })).slice(0, 2));
const scores = score(said([0]));
const flat = {
  f1: spread([0.5]),
  auroc: spread([0.5]),
  accuracy: spread([0.5]),
  intentCosine: spread([0.5]),
  unparsed: spread([0]),
};
const bySet = Object.fromEntries(TEXTS.map((set) => [set, flat]));
const errors = Object.fromEntries(TEXTS.map((set) => [set, { rightFaithful: 1, rightUnfaithful: 0, wrongFaithful: 0, wrongUnfaithful: 0, unparsed: 0, unjudged: 0 }])); // prettier-ignore
const leftOut = TEXTS.map((set) => ({ set, reason: `no ${set}` }));
const cells = TEXTS.map((text, i) => ({ teacher: text, student: TEXTS.at(i - 1)!, condition: "no_intent" as const }));

describe("in a terminal", () => {
  const texts: Readonly<Record<string, () => string | Promise<string>>> = {
    "names in a table": () => markdownTable(["", ...TEXTS], TEXTS.map((text) => [text, ...TEXTS.map(() => "1")])), // prettier-ignore
    "models in a table of scores": () => scoreTable(TEXTS.map((name) => ({ name, scores }))),
    "sets and models of an evaluation": () => TEXTS.map((text) => setText(text, text, report)).join("\n\n"),
    "sets of a mean": () => meanText({ ...reportMean([]), sets: TEXTS }),
    themes: () => groupTable(TEXTS.map((name) => ({ name, scores }))),
    "an evaluation's summary": () =>
      summaryText(
        {
          model: "m",
          sets: Object.fromEntries(TEXTS.map((set) => [set, { ...report, byTheme: [{ name: set, scores }] }])),
          mean: reportMean([]),
          latency: null,
          notes: TEXTS,
        },
        true,
      ),
    "a comparison": () => {
      const sets = TEXTS.map((set) => ({ ...comparison.sets[0], set }));
      return comparisonText({ ...comparison, sets }, TEXTS.join(" "), TEXTS.join(" "));
    },
    "the tables of run sft": () =>
      summaryTables({
        model: "m",
        seeds: [1, 2],
        modes: { generation: { learningRate: 1, why: TEXTS.join(" "), sweep: [], runs: [], overSeeds: bySet } },
        constants: Object.fromEntries(TEXTS.map((set) => [set, report.constants])),
        leftOut,
        allRuns: [],
        seconds: 1,
      } satisfies SftSummary),
    "the tables of run dpo": () =>
      dpoTables({
        ...{ overSeeds: { sft: bySet }, againstSft: { wrong_only: comparison }, runs: [{ condition: "sft", errors }] },
        ...{ mining: {}, seeds: [1], skipped: TEXTS.map((reason) => ({ condition: "wrong_only", seed: 1, reason })), leftOut },
      } as unknown as DpoSummary),
    "the tables of run grpo": () =>
      grpoTables({
        ...{ overSeeds: { start: bySet }, againstStart: {}, intentAgainstLabel: comparison, seeds: [1], leftOut },
        runs: [{ condition: "start", training: null, errors }],
      } as unknown as GrpoSummary),
    "the tables of run distillation": () =>
      distillationTables({
        ...{ testSets: TEXTS, leftOut: [], seeds: [1] },
        cells: cells.flatMap((cell) => [
          { ...cell, state: "failed", reason: cell.teacher, runs: [], sweep: [] },
          { ...cell, state: "done", learningRate: 1, runs: [], sweep: [] },
        ]),
        effects: [{ ...cells[0], comparison }],
      } as unknown as DistillationSummary),
    "the tables of run ablations": () =>
      ablationsTables({
        ...{ testSets: TEXTS, effects: [], leftOut },
        arms: TEXTS.map((name) => ({
          ...{ name, ablations: [name], what: name, state: "failed", reason: name, rows: null, epochs: 1 },
          modes: { generation: { f1: Object.fromEntries(TEXTS.map((set) => [set, spread([0.5])])), mean: spread([0.5]) } },
        })),
      } as unknown as AblationsSummary),
    "the plan of a grid": () => gridPlanText(cells.map((cell) => ({ ...cell, chosen: true, state: "failed", reason: cell.teacher, seconds: null }))), // prettier-ignore
    "the plan of a reproduction": () =>
      planText(TEXTS.map((text) => ({ name: "sft", what: text, state: "failed", reason: text, parts: [] }))),
    "the table of a reproduction": () => {
      const run = { mode: "generation", learningRate: 0.001, chosen: true, seed: 1 } as const;
      const sft = writeExperiment([{ ...run, predictions: { xstest: said([0]) } }], ["xstest"], join(folder, "sft"));
      const file = join(sft, "summary.json");
      writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, "utf8")) as object), model: TEXTS.join(" ") }));
      return resultsTable({ sft, dpo: "none", distillation: "none", grpo: "none" });
    },
    "a failed notebook": () =>
      describeFailure({ name: TEXTS.join(" "), notebook: "", html: "", seconds: 1, failure: { cell: 1, error: TEXTS.join(" "), traceback: [] } }), // prettier-ignore
    "lines about the work": () => captured(() => TEXTS.forEach(say)),
    rollouts: () =>
      captured(() => {
        for (const text of TEXTS.filter((one) => one.length < 100))
          tellRollouts(text, 0, [
            { id: "a", prompt: text, gold: { harm: "safe", intent: text }, reward: 1, verdict: null, text } as never,
          ]);
        say(TEXTS.filter((one) => one.length >= 100).join(" "));
      }),
    "progress, line by line": () =>
      captured(() => {
        for (const text of TEXTS) showWork(text, 1).update(1, text);
      }),
  };
  it.each(Object.entries(texts))("%s: they are shown, and do nothing", async (_, text) => {
    expectHarmless(await text());
  });

  it("on a progress bar they are shown, and move nothing", async () => {
    const draw = (label: string): Promise<string> =>
      captured(() => {
        const work = showWork(label, 2);
        work.update(1, label);
        work.stop();
      });
    const before = Object.getOwnPropertyDescriptor(process.stderr, "isTTY");
    const columns = Object.getOwnPropertyDescriptor(process.stderr, "columns");
    Object.defineProperty(process.stderr, "isTTY", { value: true, configurable: true });
    Object.defineProperty(process.stderr, "columns", { value: 10_000, configurable: true });
    try {
      const controls = (text: string): Set<string> =>
        new Set(
          Array.from(text.matchAll(/\u001b\[[\d;?]*[A-Za-z]|[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu), ([one]) => one),
        );
      const own = controls(await draw("work"));
      expect(own.size).toBeGreaterThan(0);
      for (const text of TEXTS) {
        const drawn = await draw(text);
        expect([...controls(drawn)].filter((control) => !own.has(control))).toEqual([]);
        expect(words(drawn)).toContain(words(printable(text)));
      }
    } finally {
      for (const [name, descriptor] of [
        ["isTTY", before],
        ["columns", columns],
      ] as const) {
        // prettier-ignore
        if (descriptor === undefined) Reflect.deleteProperty(process.stderr, name);
        else Object.defineProperty(process.stderr, name, descriptor);
      }
    }
  });

  it("a wrong command line and a wrong file are told without acting them out", async () => {
    const code = process.exitCode;
    const signals = (["SIGINT", "SIGTERM"] as const).map((name) => [name, process.listeners(name)] as const);
    const closed = process.stdout.listeners("error");
    try {
      const file = join(folder, "labels.jsonl");
      writeFileSync(file, TEXTS.map((label, i) => `${JSON.stringify({ id: i, prompt: "p", label })}\n`).join(""));
      const all = TEXTS.join(" ");
      for (const args of [[all], ["run", all], ["predict", `--${all}`], ["compare", all, "b"], ["run", "sft", "--preset", all]]) {
        const told = await captured(() => main(args));
        expect(CONTROLS.exec(told.replaceAll("\t", " "))?.[0], args[0]).toBeUndefined();
        expect(told).toContain("<script>hit()</script>");
        expect(process.exitCode).toBeGreaterThan(0);
      }
      const checked = await captured(() => main(["data", "check", file]));
      expectHarmless(checked, [TEXTS[0]]);
      expect(checked).toContain("is not a label");
    } finally {
      process.exitCode = code;
      for (const [name, listeners] of signals)
        for (const one of process.listeners(name)) if (!listeners.includes(one)) process.off(name, one);
      for (const one of process.stdout.listeners("error")) if (!closed.includes(one)) process.stdout.off("error", one as () => void); // prettier-ignore
    }
  });
});

describe("in Markdown", () => {
  it("a table keeps its cells, whatever is in them", () => {
    const table = markdownTable(
      ["", ...TEXTS],
      TEXTS.map((text, i) => [text, ...TEXTS.map((other, j) => (i === 0 || i === j ? `${other}${text}` : "1"))]),
    );
    const lines = table.split("\n");
    expect(lines).toHaveLength(TEXTS.length + 2);
    expect(new Set(lines.map(cellsOf))).toEqual(new Set([TEXTS.length + 1]));
  });

  it("bars, tags, entities and links are escaped, also behind backslashes, and nothing else", () => {
    const cell = (text: string): string => /^\| (.*?) +\|$/.exec(markdownTable([text], []).split("\n")[0])![1];
    expect(cell("a | b")).toBe("a \\| b");
    expect(cell("a \\| b \\\\| c")).toBe("a \\\\\\| b \\\\\\\\\\| c");
    expect(cell("<b> </i> <!-- < 0.05 \\<b> a<1")).toBe("&lt;b> &lt;/i> &lt;!-- < 0.05 \\&lt;b> a<1");
    expect(cell("&lt; &#60; & b")).toBe("&amp;lt; &amp;#60; & b");
    expect(cell("![x](y) f(x) [1] (2)")).toBe("![x]\\(y) f(x) [1] (2)");
  });
});

describe("in JSON", () => {
  const value = { list: TEXTS, ...Object.fromEntries(TEXTS.map((text, i) => [text, i])) };

  it("what is printed reads as what it was, and acts on no terminal", () => {
    for (const indent of [undefined, 2]) {
      const text = jsonText(value, indent);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(CONTROLS.test(text)).toBe(false);
    }
  });

  it("predictions come back as they were, a line each", () => {
    const file = join(folder, "predictions.jsonl");
    const predictions = TEXTS.map((text) => ({ ...said([])[0], id: text, prompt: text, intent: text }));
    const writer = openPredictions(file);
    for (const prediction of predictions) writer.append(prediction);
    writer.close();
    expect(readPredictions(file)).toEqual(predictions);
    expect(readFileSync(file, "utf8").split("\n")).toHaveLength(TEXTS.length + 1);
  });
});

describe("as names of files", () => {
  it("no two sets share a file of predictions, and none leaves its folder", () => {
    const names = [...TEXTS, "data/own.jsonl", "data_own.jsonl", "свои.jsonl", "чужие.jsonl", "x".repeat(400), ".", "..", ""];
    const files = names.map((name) => predictionFile(folder, name));
    expect(new Set(files).size).toBe(names.length);
    for (const file of files) {
      expect(dirname(file)).toBe(join(folder, "predictions"));
      expect(Buffer.byteLength(basename(file))).toBeLessThan(150);
      openPredictions(file).close();
    }
    expect(readdirSync(join(folder, "predictions"))).toHaveLength(names.length);
    // Names that can be ones of files are.
    expect(basename(predictionFile(folder, "sample-test"))).toBe("sample-test.jsonl");
  });

  it("models lead to no other folder than their own", () => {
    for (const name of [...TEXTS, ".", "..", "", "x".repeat(400)]) {
      const root = join(folder, "grid");
      for (const path of [
        join(root, cellFolder({ teacher: name, student: name, condition: "no_intent" })),
        traceFile(root, `local:${name}`, name),
        traceFile(root, `http://localhost:1/v1#${name}`, name),
      ]) {
        const below = relative(root, path);
        expect(below.split(sep)[0] === ".." || below.includes("\0"), below).toBe(false);
        expect(below.split(sep).length, below).toBe(path.endsWith(".jsonl") ? 2 : 4);
        mkdirSync(path, { recursive: true });
      }
      const id = parseHubId(name);
      if (id !== null) expect(dirname(hubFolder(id.repo, id.revision, id.file))).toBe(dirname(hubFolder("a/b", null, null)));
    }
    expect(existsSync(join(folder, "no_intent"))).toBe(false);
    expect(parseHubId("../..")).toBeNull();
  });
});

describe("in a file of the user's own", () => {
  it("columns may have any name, and cells are taken as they are", async () => {
    const prompts = TEXTS.map((text) => `p ${text} p`);
    const file = join(folder, "own.jsonl");
    for (const name of TEXTS) {
      const columns = { prompt: name, label: `label ${name}` };
      // As JSON has it: an assignment to __proto__ would make no column.
      const line = (prompt: string): string =>
        `{${JSON.stringify(columns.prompt)}:${JSON.stringify(prompt)},${JSON.stringify(columns.label)}:"safe"}\n`;
      writeFileSync(file, prompts.map(line).join(""));
      const { rows: read } = await loadOwnRows(file, columns);
      expect(read.map(({ prompt }) => prompt)).toEqual(prompts);
    }
  });

  it("CSV keeps formulas, quotes and line breaks as text", async () => {
    const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    const file = join(folder, "own.csv");
    const texts = TEXTS.map((text) => `p ${text} p`.toWellFormed());
    const names = TEXTS.map((text) => quoted(`${text} `.toWellFormed()));
    const header = ["__proto__", "constructor", ...names].join(",");
    writeFileSync(file, `${header}\n${texts.map((text) => [quoted(text), "safe", ...names].join(",")).join("\n")}\n`);
    const { rows: read } = await loadOwnRows(file, { prompt: "__proto__", label: "constructor" });
    expect(read.map(({ prompt }) => prompt)).toEqual(texts);
  });

  it("a column that is not there, and a label that is none, are told without control characters", async () => {
    const file = join(folder, "wrong.jsonl");
    for (const text of TEXTS) {
      writeFileSync(file, `${JSON.stringify({ prompt: "p", label: `${text}?` })}\n`);
      await expect(loadOwnRows(file)).rejects.toThrow(DataFormatError);
      await expect(loadOwnRows(file)).rejects.not.toThrow(/\p{Cc}/u);
      await expect(loadOwnRows(file, { prompt: `no ${text}` })).rejects.toThrow(/there is no such column/);
    }
  });
});
