/** Executes notebooks headless and writes what they show: an executed .ipynb and one offline HTML page each. */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { closest } from "../closest.js";
import { notebookEnvironment } from "./notebook-environment.js";
import { plotlyFile } from "./plotly.js";
import { visibleText } from "./text.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const NOTEBOOKS = join(root, "notebooks");

/** A notebook does not exist, or nothing here can execute it; the message says what to do. */
export class NotebookError extends Error {
  override readonly name = "NotebookError";
}

export interface NotebookFailure {
  /** The code cell, counted from 1; null if the kernel did not come up. */
  readonly cell: number | null;
  /** Name and message of the error. */
  readonly error: string;
  readonly traceback: readonly string[];
}

export interface RenderedNotebook {
  /** The notebook's file name without its ending. */
  readonly name: string;
  /** Absolute paths; both are written also when a cell failed. */
  readonly notebook: string;
  readonly html: string;
  readonly seconds: number;
  readonly failure: NotebookFailure | null;
}

export interface RenderOptions {
  /** Ends the running notebook, and with it the whole call. */
  readonly signal?: AbortSignal;
  /** Where the notebooks are (default: notebooks/). */
  readonly folder?: string;
  /** Where the results go (default: results/notebooks/). */
  readonly output?: string;
  /** Called as a code cell begins, counted from 1. */
  readonly onCell?: (name: string, cell: number, cells: number) => void;
}

/**
 * Executes the named notebooks, all of them if none is named, one after the other; one that fails does not keep the others back.
 * @param names file names, with or without ".ipynb"
 * @throws NotebookError for an unknown name, before any is executed, and if set-up has not made .venv.
 * @throws the signal's reason once it aborts.
 */
export async function renderNotebooks(names: readonly string[], options: RenderOptions = {}): Promise<RenderedNotebook[]> {
  const folder = options.folder ?? NOTEBOOKS;
  const output = options.output ?? join(root, "results", "notebooks");
  const chosen = choose(names, folder);
  const { python, kernel, jupyterPath } = notebookEnvironment(root);
  if (python === null || kernel !== "ready") {
    const what =
      python === null ? "the notebooks' Python environment, .venv, is missing or incomplete" : `the kernel tslab is ${kernel}`;
    throw new NotebookError(`${what}. Run: npm run setup`);
  }
  const rendered: RenderedNotebook[] = [];
  for (const name of chosen) {
    options.signal?.throwIfAborted();
    const started = performance.now();
    const failure = await render({ python, jupyterPath, path: join(folder, `${name}.ipynb`), output }, options);
    options.signal?.throwIfAborted();
    const [notebook, html] = [join(output, `${name}.ipynb`), join(output, `${name}.html`)];
    rendered.push({ name, notebook, html, seconds: (performance.now() - started) / 1000, failure });
  }
  return rendered;
}

/** One sentence about a failure, without control characters. */
export function describeFailure({ name, failure }: RenderedNotebook): string {
  if (failure === null) return `${name} is whole`;
  return visibleText(`${name}, ${failure.cell === null ? "before the first cell" : `cell ${failure.cell}`}: ${failure.error}`);
}

/** Names of the notebooks in a folder, in their order. */
export function notebookNames(folder = NOTEBOOKS): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".ipynb"))
    .map((file) => basename(file, ".ipynb"))
    .sort();
}

function choose(names: readonly string[], folder: string): string[] {
  const all = notebookNames(folder);
  if (names.length === 0) return all;
  const wanted = names.map((name) => basename(name, ".ipynb"));
  for (const name of wanted) {
    if (all.includes(name)) continue;
    const similar = closest(name, all);
    const hint = similar === null ? `There are: ${all.join(", ")}` : `Did you mean "${similar}"?`;
    throw new NotebookError(`there is no notebook "${name}". ${hint}`);
  }
  return [...new Set(wanted)];
}

const eventSchema = z.union([
  z.object({ cell: z.number(), cells: z.number() }),
  z.object({
    failure: z.object({
      cell: z.number().nullable(),
      name: z.string(),
      value: z.string(),
      traceback: z.array(z.string()),
    }),
  }),
]);

interface Task {
  readonly python: string;
  readonly jupyterPath: string;
  /** The notebook. */
  readonly path: string;
  readonly output: string;
}

/** Runs scripts/notebooks/render.py, which ends, and its kernel with it, as soon as its stdin is closed. */
async function render({ python, jupyterPath, path, output }: Task, options: RenderOptions): Promise<NotebookFailure | null> {
  const { signal, onCell } = options;
  const runtime = join(root, "build", "jupyter");
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  const script = join(root, "scripts", "notebooks", "render.py");
  const env = { ...process.env, JUPYTER_PATH: jupyterPath, JUPYTER_RUNTIME_DIR: runtime };
  // A group of its own: Ctrl-C in a terminal comes to us alone, and we pass it on.
  const child = spawn(python, [script, path, output, plotlyFile], { detached: true, env });
  const stop = (): void => void child.stdin.end();
  signal?.addEventListener("abort", stop, { once: true });
  let failure: NotebookFailure | null = null;
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-4000)));
  try {
    const ended = new Promise<number | null>((resolve, reject) => child.on("close", resolve).on("error", reject));
    for await (const line of createInterface({ input: child.stdout })) {
      const event = eventSchema.parse(JSON.parse(line));
      if ("cells" in event) onCell?.(basename(path, ".ipynb"), event.cell, event.cells);
      else failure = toFailure(event.failure);
    }
    const code = await ended;
    if (code === 0 || failure !== null || signal?.aborted === true) return failure;
    const lines = visibleText(said).trim().split("\n");
    return { cell: null, error: `rendering failed: ${lines.at(-1) ?? ""}`, traceback: lines };
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

function toFailure(failure: { cell: number | null; name: string; value: string; traceback: string[] }): NotebookFailure {
  const { cell, name, value, traceback } = failure;
  return { cell, error: value === "" ? name : `${name}: ${value}`, traceback: traceback.map(visibleText) };
}
