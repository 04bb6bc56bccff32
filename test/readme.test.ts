/** The READMEs tell the truth about names: commands, options, settings, scripts, variables and links that they show are there. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkArguments, resolveCommand } from "../src/cli/arguments.js";
import { commands } from "../src/commands/index.js";
import { distillationConfig } from "../src/experiments/distillation-config.js";
import { dpoConfig } from "../src/experiments/dpo-config.js";
import { grpoConfig } from "../src/experiments/grpo-config.js";
import { DISTILLATION_PRESETS } from "../src/experiments/presets/distillation.js";
import { DPO_PRESETS } from "../src/experiments/presets/dpo.js";
import { GRPO_PRESETS } from "../src/experiments/presets/grpo.js";
import { SFT_PRESETS } from "../src/experiments/presets/sft.js";
import { TRACES_PRESETS } from "../src/experiments/presets/traces.js";
import { sftConfig } from "../src/experiments/sft-config.js";
import { tracesConfig } from "../src/experiments/traces-config.js";
import { commandsIn } from "./readme-commands.js";

const root = fileURLToPath(new URL("..", import.meta.url));
/** What a user reads. */
const guides = ["README.md", "docs/experiments.md", "docs/commands.md", "docs/performance.md"];
const files = [
  ...guides,
  "data/sample/README.md",
  "data/traces/README.md",
  "results/recorded/README.md",
  "results/published/README.md",
];
const text = (file: string): string => readFileSync(join(root, file), "utf8");
const guide = guides.map(text).join("\n");

const SETTINGS: Readonly<Record<string, (settings: readonly string[]) => unknown>> = {
  sft: (settings) => sftConfig(SFT_PRESETS.small, settings),
  dpo: (settings) => dpoConfig(DPO_PRESETS.small, settings),
  traces: (settings) => tracesConfig(TRACES_PRESETS.small, settings),
  distillation: (settings) => distillationConfig(DISTILLATION_PRESETS.small, settings),
  grpo: (settings) => grpoConfig(GRPO_PRESETS.small, settings),
};

/** A synopsis as command lines: brackets are left away, of alternatives each is taken, `…` is anything. */
function spelledOut(line: string): string[][] {
  const plain = line
    .replaceAll("\\|", "|")
    .replace(/[[\]()]/g, " ")
    .replaceAll("|--", " --");
  let lines: string[][] = [[]];
  for (const [word] of plain.matchAll(/"[^"]*"|\S+/g)) {
    if (word === "|") continue;
    const ways = word.startsWith('"') ? [word.slice(1, -1)] : word.split("|");
    lines = lines.flatMap((words) => ways.map((way) => [...words, way]));
  }
  return lines;
}

/** Names in capitals that stand for words of the reader, of which some subcommands take none. */
const isPlaceholder = (word: string, before: string | undefined): boolean =>
  /^([A-Z]+…?|…)$/.test(word) && !before?.startsWith("--");

describe("every command shown", () => {
  const shown = files.flatMap((file) => commandsIn(text(file)).map((line) => ({ file, line })));

  it("is of the program or of package.json", () => {
    const { scripts } = JSON.parse(text("package.json")) as { scripts: Record<string, string> };
    const own = shown.filter(({ line }) => line.startsWith("npm "));
    expect(own.length).toBeGreaterThan(4);
    for (const { line } of own) {
      const [, verb, script] = line.split(" ");
      if (verb === "install") continue;
      expect(Object.keys(scripts), line).toContain(verb === "run" ? script : verb);
    }
    for (const { line } of shown.filter(({ line }) => line.startsWith("npx "))) expect(line).toMatch(/^npx (true-intents|tsx) /);
  });

  it.each(shown.filter(({ line }) => line.startsWith("npx true-intents ")))("$file: $line", async ({ line }) => {
    for (const [, , name, ...words] of spelledOut(line)) {
      const rest = words.filter((word, i) => !isPlaceholder(word, words[i - 1]));
      if (name === "bench" && rest.length === 0) continue;
      expect(Object.keys(commands)).toContain(name);
      const { leaf, path, leafArguments } = await resolveCommand(await commands[name].load(), name, rest);
      await checkArguments(leaf, path.join(" "), leafArguments);
      const settings = leafArguments.filter((_, i) => leafArguments[i - 1] === "--set" && leafArguments[i] !== "key=value");
      if (settings.length > 0) expect(() => SETTINGS[path[1]](settings)).not.toThrow();
    }
  });

  it("leaves no command out", () => {
    for (const name of Object.keys(commands).filter((name) => name !== "start"))
      expect(guide, `no guide shows ${name}`).toContain(`npx true-intents ${name}`);
  });
});

it.each(files)("%s: links lead to what is there", (file) => {
  const links = [...text(file).matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)].map(([, link]) => link);
  for (const link of links.filter((link) => !/^https?:/.test(link)))
    expect(existsSync(join(root, dirname(file), link)), `${file} links to ${link}`).toBe(true);
});

it("settings in tables are settings", () => {
  const presets = [DPO_PRESETS, GRPO_PRESETS, DISTILLATION_PRESETS, SFT_PRESETS].map(({ small }) => small);
  const table = [...guide.matchAll(/^\| `([a-zA-Z]+=[^|]+)` +\|/gm)].flatMap(([, cell]) => cell.split("`, `"));
  expect(table.length).toBeGreaterThan(5);
  for (const setting of table) {
    const [key] = setting.split("=");
    expect(
      presets.some((preset) => Object.hasOwn(preset, key)),
      setting,
    ).toBe(true);
  }
});

it("environment variables shown are read somewhere", () => {
  const folders = ["src", "notebooks"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(root, folder, name)),
  );
  const code = folders.filter((name) => /\.(ts|ipynb)$/.test(name)).map((name) => readFileSync(name, "utf8"));
  const shown = new Set([...guide.matchAll(/\bTRUE_INTENTS_[A-Z_]+/g)].map(([name]) => name));
  expect(shown.size).toBeGreaterThan(8);
  expect([...shown].filter((name) => !code.some((source) => source.includes(name)))).toEqual([]);
});

it("every notebook has its line", () => {
  const notebooks = readdirSync(join(root, "notebooks")).filter((name) => name.endsWith(".ipynb"));
  for (const name of notebooks) expect(text("README.md"), name).toContain(relative(root, join(root, "notebooks", name)));
});
