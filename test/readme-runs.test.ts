/**
 * Every command of the README's blocks, run as it stands and in its order, in a copy of the repository. Tiny random models lie under the
 * catalogue's names, and of our training rows only those are kept that other files of ours are about: the small size in minutes.
 */
import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadSample, type SamplePrompt } from "../src/data/sample.js";
import { writeTinyModel } from "../src/experiments/tiny-model.js";
import { blockCommandsIn } from "./readme-commands.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");
const commands = blockCommandsIn(readme);
/** The models that the README's commands load. */
const MODELS = ["gemma-3-270m", "smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct"];
const START = "node bin/true-intents.mjs start";
/** What is run instead where set-up, which the copy cannot have for itself, would be needed: its own step of `npm start`, and Jupyter. */
const WITHOUT_SETUP: ReadonlyMap<string, string> = new Map([
  ["npm start", START],
  ["npx true-intents report", "npx true-intents report --no-notebooks"],
]);

let folder: string;
let copy: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "readme-"));
  copy = join(folder, "copy");
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  for (const file of listed
    .toString()
    .split("\0")
    .filter((name) => name !== "" && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  writeFileSync(join(copy, SAMPLE), keptRows());
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  if (existsSync(join(root, "build"))) cpSync(join(root, "build"), join(copy, "build"), { recursive: true });
  for (const name of MODELS) tinyModelAs(name);
  mkdirSync(join(folder, "data", "xstest"), { recursive: true });
  writeFileSync(join(folder, "data", "xstest", "xstest_prompts.csv"), xstestLike());
  const rows = loadSample();
  for (const [name, from] of [
    ["my", 0],
    ["train", 40],
    ["dev", 120],
    ["test", 160],
  ] as const)
    writeFileSync(join(copy, `${name}.csv`), ownFile(rows.slice(from, from + (name === "train" ? 80 : 40)), name === "my"));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SAMPLE = "data/sample/prompts.jsonl";

/** Our own set's lines, but for the training rows that neither traces nor second annotations are of. */
function keptRows(): string {
  const others = ["data/traces/qwen2.5-coder-0.5b-instruct/sample-train.jsonl", "data/sample/second-annotation.jsonl"];
  const kept = new Set(others.flatMap((file) => rowsOf(file).map(({ row }) => row.id)));
  return rowsOf(SAMPLE)
    .map(({ line, row }) => (row.split !== "train" || kept.has(row.id) ? `${line}\n` : ""))
    .join("");
}

function rowsOf(file: string): { readonly line: string; readonly row: Pick<SamplePrompt, "id" | "split"> }[] {
  const lines = readFileSync(join(root, file), "utf8").trimEnd().split("\n");
  return lines.map((line) => ({ line, row: JSON.parse(line) as SamplePrompt }));
}

/** Weights that nobody trained, where TRUE_INTENTS_MODELS looks for a catalogued model, with the record of a whole copy. */
function tinyModelAs(name: string): void {
  const made = writeTinyModel(join(folder, "made"), frequentWords());
  const path = join(folder, "models", name);
  cpSync(made, path, { recursive: true });
  const digest = { algorithm: "sha256", hex: "0".repeat(64) };
  const files = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"].map((file) => ({
    ...{ name: file, bytes: statSync(join(path, file)).size, digest },
  }));
  writeFileSync(join(path, "source.json"), JSON.stringify({ source: "hub", from: "a test", licence: null, files }));
}

/** Of our own set: with them its rows have about as many tokens as under a real tokenizer. */
function frequentWords(): string[] {
  const counts = new Map<string, number>();
  for (const { prompt, intent } of loadSample())
    for (const [word] of `${prompt} ${intent}`.matchAll(/[A-Za-z]{2,}/g)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 1500)
    .map(([word]) => word);
}

/** Rows of our own set in the form of XSTest's file. */
function xstestLike(): string {
  const rows = loadSample().slice(-40);
  const lines = rows.map(({ prompt, harm }, i) => [
    i + 1,
    quoted(prompt),
    "homonyms",
    harm === "safe" ? "safe" : "unsafe",
    "",
    "",
  ]);
  return [["id", "prompt", "type", "label", "focus", "note"], ...lines].map((cells) => `${cells.join(",")}\n`).join("");
}

/** A user's own file: with the columns that are found by name, or with others that the flags of the README name. */
function ownFile(rows: readonly SamplePrompt[], otherNames: boolean): string {
  const head = otherNames ? ["text", "unsafe"] : ["prompt", "intent", "label"];
  const lines = rows.map(({ prompt, intent, harm }) =>
    otherNames ? [quoted(prompt), harm === "safe" ? 0 : 1] : [quoted(prompt), quoted(intent), harm],
  );
  return [head, ...lines].map((cells) => `${cells.join(",")}\n`).join("");
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

it("shows at least one command of each kind", () => {
  for (const start of ["npm start", "predict", "reproduce", "report", "data check", "evaluate", "run sft", "compare"])
    expect(
      commands.filter((line) => line.includes(start)),
      start,
    ).not.toEqual([]);
});

it("starts with the set-up", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
  expect(scripts["start"]).toBe(`node scripts/setup.mjs && ${START}`);
});

it.each(commands)("%s", { timeout: 600_000 }, async (line) => {
  const said = await typed(WITHOUT_SETUP.get(line) ?? line);
  for (const [part, words] of SAYS) if (line.includes(part)) expect(said).toMatch(words);
});

it("and its program", { timeout: 60_000 }, async () => {
  const [, program] = /```ts\n([\s\S]*?)```/.exec(readme)!;
  writeFileSync(join(copy, "program.ts"), program);
  await typed("npx tsx program.ts");
  expect(existsSync(join(copy, "my-adapter", "adapter_model.safetensors"))).toBe(true);
});

/** Of those whose end says how they went. */
const SAYS: readonly (readonly [part: string, words: RegExp])[] = [
  ["npm start", /\| always harmful +\|[\s\S]*Try it: npx true-intents predict/],
  ["predict", /Intent: [\s\S]*Verdict: [\s\S]*P\(harmful\): /],
  ["report", /results\/report\/index\.html/],
  ["data check", /my\.csv/],
  ["compare", /F1/],
];

/** What a command line prints. @throws if it ends with an error, with what it said */
async function typed(command: string): Promise<string> {
  const env = { ...process.env, TRUE_INTENTS_MODELS: join(folder, "models"), TRUE_INTENTS_DATA: join(folder, "data") };
  const { stdout } = await promisify(execFile)("bash", ["-c", command], { cwd: copy, env, maxBuffer: 64 << 20 });
  return stdout;
}
