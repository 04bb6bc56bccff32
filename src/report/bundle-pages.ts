/** The notebooks' pages for a report: those that are there and up to date, and the others executed. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { checkRow } from "../data/rows.js";
import { readJson } from "../experiments/run-folder.js";
import { pageWithoutPlaces, placesHere, withoutPlaces, type Place } from "./bundle-places.js";
import { NotebookError, renderNotebooks, type RenderOptions } from "./render-notebooks.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A picture that a notebook shows. */
export interface PageFigure {
  readonly caption: string;
  readonly svg: string;
}

export interface BundlePage {
  /** The notebook's file name without its ending. */
  readonly name: string;
  readonly title: string;
  /** The page, with a way back to the report's first one. */
  readonly html: string;
  readonly figures: readonly PageFigure[];
  /** The error of the cell that failed; null if the notebook is whole. */
  readonly failure: string | null;
  /** When it was executed. */
  readonly executed: Date;
}

export interface PageOptions extends RenderOptions {
  /** Execute what is missing, or older than its notebook or than {@link PageOptions.newest}; default true. */
  readonly render?: boolean;
  /** When the newest of the runs that the pages show was finished, in milliseconds since 1970; default 0. */
  readonly newest?: number;
  /** What the pages do not show of this machine; default {@link placesHere}. */
  readonly places?: readonly Place[];
}

export interface BundlePages {
  readonly pages: readonly BundlePage[];
  /** What a reader has to know: pages that are missing or older than the runs, and why. */
  readonly notes: readonly string[];
}

/**
 * The pages of every notebook in `folder`, from `output`.
 * @throws NotebookError if there is none and none can be made; the signal's reason
 */
export async function bundlePages(options: PageOptions = {}): Promise<BundlePages> {
  const { render = true, newest = 0, folder = join(root, "notebooks"), output = join(root, "results", "notebooks") } = options;
  const names = readdirSync(folder).flatMap((file) => (file.endsWith(".ipynb") ? [basename(file, ".ipynb")] : []));
  const state = (name: string): "missing" | "old" | "ready" => {
    const files = [join(output, `${name}.html`), join(output, `${name}.ipynb`)];
    if (!files.every((file) => existsSync(file))) return "missing";
    const source = statSync(join(folder, `${name}.ipynb`)).mtimeMs;
    return statSync(files[0]).mtimeMs < Math.max(source, newest) ? "old" : "ready";
  };
  const due = names.sort().filter((name) => state(name) !== "ready");
  let problem: NotebookError | null = null;
  try {
    if (render && due.length > 0) await renderNotebooks(due, { ...options, folder, output });
  } catch (error) {
    if (!(error instanceof NotebookError)) throw error;
    problem = error;
  }
  const there = names.filter((name) => state(name) !== "missing");
  if (there.length === 0) {
    const why = problem?.message ?? "no notebook has been executed yet. Run: npx true-intents notebooks";
    throw new NotebookError(`there is no page to put into the report: ${why}. Or leave the notebooks out: --no-notebooks`);
  }
  const because = problem === null ? "" : ` (${problem.message})`;
  const noted = (which: "missing" | "old", what: string): string[] => {
    const found = names.filter((name) => state(name) === which);
    return found.length === 0 ? [] : [`${what}: ${found.join(", ")}${because}`];
  };
  const notes = [
    ...noted("missing", "Notebooks that are not in this report"),
    ...noted("old", "Notebooks that were executed before their last change, or before the newest run"),
  ];
  return { pages: there.map((name) => readPage(name, output, options.places ?? placesHere())), notes };
}

const text = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === "string" ? value : value.join("")));
const output = z.looseObject({
  output_type: z.string(),
  ename: z.string().optional(),
  evalue: z.string().optional(),
  data: z.looseObject({ "image/svg+xml": text.optional(), "text/plain": text.optional() }).optional(),
});
const schema = z.looseObject({
  cells: z.array(z.looseObject({ cell_type: z.string(), source: text, outputs: z.array(output).default([]) })),
});

/** Reads what renderNotebooks wrote. @throws DataFormatError or RunFolderError for what is no notebook */
function readPage(name: string, folder: string, places: readonly Place[]): BundlePage {
  const file = join(folder, `${name}.ipynb`);
  const { cells } = checkRow(schema, readJson(file), file, 0);
  const outputs = cells.flatMap((cell) => cell.outputs);
  const failed = outputs.find(({ output_type }) => output_type === "error");
  const heading = cells.flatMap(({ cell_type, source }) => (cell_type === "markdown" ? (/^#\s+(.+)$/m.exec(source) ?? []) : []));
  const page = join(folder, `${name}.html`);
  return {
    name,
    title: (heading.at(1) ?? name).replace(/[*`]/g, "").trim(),
    html: pageWithoutPlaces(withWayBack(readFileSync(page, "utf8"), page), places),
    figures: outputs.flatMap(({ data }) => {
      const svg = data?.["image/svg+xml"];
      const caption = (data?.["text/plain"] ?? "").replace(/^Figure: /, "");
      return svg === undefined ? [] : [{ caption: withoutPlaces(caption, places), svg: withoutPlaces(svg, places) }];
    }),
    failure: failed === undefined ? null : withoutPlaces(`${failed.ename ?? "Error"}: ${failed.evalue ?? ""}`, places),
    executed: statSync(page).mtime,
  };
}

const BEGINNING = "<body>\n<main>";
const WAY_BACK = `<body>
<style>
.skip { position: absolute; left: -100vw; padding: 0.5rem 1rem; background: var(--paper); }
.skip:focus { left: 0; top: 0; }
nav { max-width: 60rem; margin: 0 auto; padding: 1rem 1rem 0; box-sizing: border-box; }
@media print { .skip, nav { display: none; } }
</style>
<a class="skip" href="#content">Skip to the content</a>
<nav aria-label="Report"><a href="../index.html">← All results</a></nav>
<main id="content" tabindex="-1">`;

/** @throws NotebookError for a page that is not of the report's template */
function withWayBack(html: string, file: string): string {
  if (!html.includes(BEGINNING)) throw new NotebookError(`${file} is no page of ours; remove it, or execute its notebook again`);
  return html.replace(BEGINNING, () => WAY_BACK);
}
