/** Looks at everything that the project needs and gathers it into one report. */
import { fileURLToPath } from "node:url";
import { KEY_VARIABLE } from "../engines/open.js";
import { engineFacts } from "./engine.js";
import { findGaps, setupProblems } from "./gaps.js";
import { cacheFacts, dataFacts, modelFacts } from "./inventory.js";
import { machineFacts, toolVersions } from "./machine.js";
import { notebookEnvironment } from "../report/notebook-environment.js";
import type { DoctorReport } from "./report.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Starts the engine (under a second) and reads the disk; changes nothing and uses no network. */
export async function examine(): Promise<DoctorReport> {
  const [engine, machine, tools, cache, models] = await Promise.all([
    engineFacts(),
    machineFacts(),
    toolVersions(),
    cacheFacts(),
    modelFacts(),
  ]);
  const settings = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      name.startsWith("TRUE_INTENTS_") && value ? [[name, name === KEY_VARIABLE ? "(set)" : value]] : [],
    ),
  );
  const { python, lab, kernel } = notebookEnvironment(root);
  const facts = {
    version: 1,
    engine,
    machine,
    tools,
    cache,
    models,
    data: dataFacts(),
    notebooks: { packages: python !== null, lab, kernel },
    settings,
  } as const;
  return { ...facts, gaps: findGaps(facts, setupProblems(root)) };
}
