/**
 * The model that `npm start` fine-tunes, and a smaller one that tests, benchmarks and the README's examples use, fetched by the project's own
 * downloader (src/model/catalogue).
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { missing } from "./report.mjs";
import { run } from "./run.mjs";

const names = ["gemma-3-270m", "smollm2-135m-instruct"];

/**
 * @param {import("./report.mjs").Context} context
 * @returns {Promise<import("./report.mjs").StepResult>}
 */
export async function smallModels({ root, cache }) {
  for (const name of names) {
    if (isWhole(join(cache, "models", name))) continue;
    const { ok } = await run(process.execPath, [join(root, "bin", "true-intents.mjs"), "model", "get", name], { show: true });
    if (!ok) {
      return missing(
        `${name} could not be fetched (the reasons above); models given by path work.`,
        "Check the network connection and run the set-up again.",
      );
    }
  }
  return { state: "ready", detail: names.join(", ") };
}

/** Whether the downloader's record is there and every file that it names has its length: a start need not ask more. */
function isWhole(/** @type {string} */ folder) {
  try {
    const { files } = JSON.parse(readFileSync(join(folder, "source.json"), "utf8"));
    return files.every(
      (/** @type {{ name: string, bytes: number }} */ file) => statSync(join(folder, file.name)).size === file.bytes,
    );
  } catch {
    return false;
  }
}
