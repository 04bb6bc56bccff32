/** Rows that the benchmarks work on: AIMS and XSTest where the data folder has them (so that peers can run the same), else our sample. */
import { DataUnavailableError } from "../data/errors.js";
import { loadAims } from "../data/aims.js";
import type { LabelledPrompt } from "../data/prompt.js";
import { loadSample } from "../data/sample.js";
import { loadXstest } from "../data/xstest.js";

export interface BenchRows {
  readonly source: string;
  readonly rows: readonly LabelledPrompt[];
}

/** Rows with intents, for training. */
export function trainingRows(): BenchRows {
  return orSample("aims", () => loadAims().prompts);
}

/** Short everyday prompts, for generation and scoring. */
export function shortRows(): BenchRows {
  return orSample("xstest", loadXstest);
}

function orSample(source: string, load: () => readonly LabelledPrompt[]): BenchRows {
  try {
    return { source, rows: load() };
  } catch (error) {
    if (!(error instanceof DataUnavailableError)) throw error;
    return { source: "sample", rows: loadSample() };
  }
}
