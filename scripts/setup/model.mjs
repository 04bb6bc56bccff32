/** The model that `npm start` fine-tunes, fetched by the project's own downloader (src/model/catalogue). */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { missing } from "./report.mjs";
import { run } from "./run.mjs";

const name = "smollm2-135m-instruct";

/**
 * @param {import("./report.mjs").Context} context
 * @returns {Promise<import("./report.mjs").StepResult>}
 */
export async function defaultModel({ root, cache }) {
  const folder = join(cache, "models", name);
  if (!isWhole(folder)) {
    const { ok } = await run(process.execPath, [join(root, "bin", "true-intents.mjs"), "model", "get", name], { show: true });
    if (!ok) {
      return missing(
        `${name} could not be fetched (the reasons above); models given by path work.`,
        "Check the network connection and run the set-up again.",
      );
    }
  }
  return { state: "ready", detail: name };
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
