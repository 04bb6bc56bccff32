/** The commands evaluate and compare, as a user calls them, on a model of random weights and a file of the user's own. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adapterHash, type EvaluationSummary } from "../../src/experiments/evaluation.js";
import { predictionFile } from "../../src/experiments/run-folder.js";
import { checkpointFolder } from "../model/checkpoints.js";
import { run, type Outcome } from "./program.js";

let folder: string;
let own: string;
const out = (name: string): string => join(folder, name);
const prompts = Array.from({ length: 12 }, (_, i) => ({
  id: `p${i}`,
  prompt: i === 3 ? "<|end|>\u001b[2J | <script>alert(1)</script>" : `prompt number ${i}`,
  intent: "to ask something",
  label: i % 3 === 0 ? "harmful" : "safe",
  theme: i % 2 === 0 ? "even\u001b[31m|" : "odd",
}));
const writeOwn = (rows: readonly object[]): void => writeFileSync(own, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
const evaluate = (name: string, ...more: string[]): Promise<Outcome> =>
  run("evaluate", "--model", "tiny-random", "--sets", own, "--out", out(name), ...more);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "true-intents-"));
  own = join(folder, "own.jsonl");
  writeOwn(prompts);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("evaluate", () => {
  it("leaves config, environment, predictions and summary, and prints tables that hostile text does not break", async () => {
    const { code, stdout, stderr } = await evaluate(
      "a",
      "--format",
      "classification",
      "--by-theme",
      "--latency",
      "--batch-size",
      "5",
    );
    expect(stderr + stdout).not.toContain("\u001b");
    expect(code).toBe(0);
    for (const part of ["always harmful", "95% intervals", "even", "\\|", "single requests: median", "generated tokens a prompt"])
      expect(stdout).toContain(part);
    const summary = JSON.parse(readFileSync(join(out("a"), "summary.json"), "utf8")) as EvaluationSummary;
    const [[name, report]] = Object.entries(summary.sets);
    expect(report.scores).toMatchObject({ count: 12, harmfulCount: 4 });
    expect(report.byTheme.map((group) => group.scores.count)).toEqual([6, 6]);
    expect(summary.data[name]).toMatch(/^[0-9a-f]{64}$/);
    expect(summary.environment).toMatchObject({ adapter: null, ops: expect.any(String) as string });
    expect(summary.latency).toMatchObject({ requests: 12 });
    expect(JSON.parse(readFileSync(join(out("a"), "config.json"), "utf8"))).toMatchObject({
      kind: "evaluation",
      model: "tiny-random",
      adapterSha256: null,
      format: "classification",
    });
  });

  it("goes on with a folder: nothing is scored again, another format or changed rows are refused by name", async () => {
    const file = predictionFile(out("a"), own);
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    writeFileSync(file, `${lines.slice(0, 7).join("\n")}\n${lines[7].slice(0, 20)}`);
    const { stdout } = await evaluate("a", "--format", "classification", "--json");
    expect((JSON.parse(stdout) as EvaluationSummary).mean.sets).toHaveLength(1);
    const again = readFileSync(file, "utf8").trimEnd().split("\n");
    expect(again.slice(0, 7)).toEqual(lines.slice(0, 7));
    expect(again).toHaveLength(12);

    const other = await evaluate("a", "--format", "generation");
    expect(other).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/format was classification and is generation/) as string,
    });
    writeOwn(prompts.map((row, i) => (i === 5 ? { ...row, prompt: "changed" } : row)));
    const changed = await evaluate("a", "--format", "classification");
    expect(changed).toMatchObject({ code: 1, stderr: expect.stringMatching(/the rows of .*own\.jsonl have changed/) as string });
    writeOwn(prompts);
    appendFileSync(file, `${lines[0].replace('"p', '"q')}\n`);
    const foreign = await evaluate("a", "--format", "classification");
    expect(foreign).toMatchObject({ code: 1, stderr: expect.stringMatching(/is not in the set/) as string });
  });

  it.each([
    [["--format", "chat"], /--format is "chat"; it must be generation or classification/],
    [["--adapter", "/nowhere"], /no adapter_config\.json in \/nowhere/],
    [["--batch-size", "0"], /--batch-size is "0"/],
    [["--sets", "own.jsonl,,"], /names separated by commas|there is no/],
    [["--sets", "xtest"], /Did you mean "xstest"/],
  ])("refuses %j", async (args, message) => {
    const { code, stderr } = await run("evaluate", "--model", "tiny-random", "--out", out("refused"), "--sets", own, ...args);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });

  it("takes an adapter for the same whatever its place", () => {
    const adapter = join(checkpointFolder("llama"), "adapter");
    expect(adapterHash(adapter)).toMatch(/^[0-9a-f]{64}$/);
    expect(adapterHash(adapter)).not.toBe(adapterHash(join(checkpointFolder("qwen2"), "adapter")));
  });
});

describe("compare", () => {
  it("sets two evaluations beside each other", async () => {
    await evaluate("b", "--format", "classification");
    await evaluate("c", "--format", "generation");
    const { code, stdout } = await run("compare", out("b"), out("c"));
    expect(code).toBe(0);
    expect(stdout).toMatch(/F1 A .*B - A .*McNemar p/);
    expect(stdout).toMatch(/no difference in F1 can be told from chance|B's F1 is (higher|lower) by/);
    const json = JSON.parse((await run("compare", out("b"), out("c"), "--json")).stdout) as { sets: { prompts: number }[] };
    expect(json.sets[0].prompts).toBe(12);
  });

  it("refuses one folder, a folder without predictions, and a set that is not there", async () => {
    expect(await run("compare", out("b"))).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/needs two folders/) as string,
    });
    expect(await run("compare", out("b"), folder)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/holds no predictions/) as string,
    });
    expect(await run("compare", out("b"), out("c"), "--sets", "xstest")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has no predictions for "xstest"/) as string,
    });
  });
});
