/** What two finished experiments' folders must have in common to the byte, and a tiny experiment to make them with. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, relative } from "node:path";
import { SFT_PRESETS } from "../../src/experiments/presets/sft.js";
import type { SftConfig } from "../../src/experiments/sft-config.js";

/** Two modes, two rates, two seeds; a checkpoint after every step. */
export const TINY: SftConfig = {
  ...SFT_PRESETS.smoke,
  ...{ limit: 8, batchSize: 4, epochs: 2, patience: 1, keep: "best", checkpointSeconds: 0 },
};

/** Path below the folder -> content; wall times and what names the moment are taken out, nothing else. */
export function contents(folder: string): Map<string, string> {
  const files = new Map<string, string>();
  const walk = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const file = join(path, entry.name);
      if (entry.isSymbolicLink()) files.set(relative(folder, file), `link to ${readlinkSync(file)}`);
      else if (entry.isDirectory()) walk(file);
      else files.set(relative(folder, file), withoutTimes(file));
    }
  };
  walk(folder);
  return files;
}

const TIMES = new Set(
  "timing milliseconds tokensPerSecond pairsPerSecond rolloutsPerSecond trainedRolloutsPerSecond seconds evaluationSeconds date commit".split(
    " ",
  ),
);

function withoutTimes(file: string): string {
  const strip = (text: string): unknown =>
    JSON.parse(text, (key, value: unknown) => (TIMES.has(key) ? undefined : value)) as unknown;
  // Answers are kept as they come.
  if (file.endsWith("answers.jsonl")) return readFileSync(file, "utf8").split("\n").sort().join("\n");
  if (file.endsWith(".jsonl"))
    return readFileSync(file, "utf8")
      .split("\n")
      .map((line) => (line === "" ? "" : JSON.stringify(strip(line))))
      .join("\n");
  // The log's hash covers its times.
  if (file.endsWith("manifest.json")) return readFileSync(file, "utf8").replace(/"log.jsonl": "[0-9a-f]+"/, '"log.jsonl": …');
  if (/(summary|environment|mining)\.json$/.test(file)) return JSON.stringify(strip(readFileSync(file, "utf8")));
  return readFileSync(file).toString("latin1");
}
