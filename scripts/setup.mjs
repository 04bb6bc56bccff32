#!/usr/bin/env node
/**
 * Sets the project up: npm packages, TensorFlow's native library and our own kernels, two small models, Jupyter.
 *
 * Plain JavaScript without dependencies, because it runs before any is installed. Every step is idempotent, checks what it
 * fetched and replaces files only when they are whole, so it can be interrupted at any point and run again. Only the npm
 * packages are needed for anything at all: whatever else is missing is named in a sentence, and the suite runs with the rest.
 *
 * The result is written to build/setup.json, which `true-intents doctor` reads.
 */
import { join } from "node:path";
import { installBinding } from "./setup/binding.mjs";
import { jupyter } from "./setup/jupyter.mjs";
import { withLock } from "./setup/lock.mjs";
import { smallModels } from "./setup/model.mjs";
import { nativeKernels } from "./setup/native.mjs";
import { npmPackages } from "./setup/packages.mjs";
import { cacheFolder, projectRoot } from "./setup/paths.mjs";
import { interruptible, SetupError } from "./setup/run.mjs";
import { firstLine, printStep, writeReport } from "./setup/report.mjs";
import { tensorflowLibrary } from "./setup/tensorflow.mjs";

const usage = `Usage: node scripts/setup.mjs [--for start|test]

Installs what the project needs and says what is missing. --for test leaves JupyterLab out.

  TRUE_INTENTS_CACHE  where the native library and the models are kept (default: ~/.cache/true-intents)
  PYTHON, CXX         the Python and the C++ compiler to use`;

/** @typedef {import("./setup/report.mjs").StepResult} StepResult */
/** @typedef {import("./setup/report.mjs").Context} Context */
/** @typedef {(context: Context, results: Readonly<Record<string, StepResult>>) => Promise<StepResult>} Step */

/** @type {readonly (readonly [string, Step])[]} */
const steps = [
  ["npm packages", npmPackages],
  ["TensorFlow library", tensorflowLibrary],
  ["TensorFlow binding", installBinding],
  ["fused kernels", nativeKernels],
  ["models", smallModels],
  ["Jupyter", jupyter],
];

/** @returns {"start" | "test" | "help" | null} what to set up for; null if the arguments are wrong. */
function parseArguments(/** @type {readonly string[]} */ args) {
  if (args.includes("--help") || args.includes("-h")) return "help";
  if (args.length === 0) return "start";
  const [, purpose] = /^--for[= ](.*)$/.exec(args.join(" ")) ?? [];
  return purpose === "start" || purpose === "test" ? purpose : null;
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new SetupError(`Node.js ${process.versions.node} is too old: the project needs 20.19 or newer.`);
}

async function setUp(/** @type {"start" | "test"} */ purpose) {
  requireNode();
  const context = { root: projectRoot, cache: cacheFolder(), purpose, log: (/** @type {string} */ line) => console.log(line) };
  /** @type {Record<string, StepResult>} */
  const results = {};
  for (const [name, step] of steps) {
    results[name] = await step(context, results);
    printStep(name, results[name], context.log);
  }
  writeReport(context.root, { purpose, steps: results });
}

async function main() {
  const purpose = parseArguments(process.argv.slice(2));
  if (purpose === null || purpose === "help") {
    console.log(usage);
    process.exitCode = purpose === null ? 2 : 0;
    return;
  }
  interruptible();
  try {
    await withLock(join(projectRoot, "build", "setup.lock"), "this project", console.log, () => setUp(purpose));
  } catch (error) {
    console.error(error instanceof SetupError ? `set-up: ${error.message}` : `set-up failed: ${firstLine(error)}`);
    if (process.env.DEBUG) console.error(error);
    process.exitCode = 1;
  }
}

await main();
