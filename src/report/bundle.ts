/** A report as one folder that opens from disk, can be moved, and names no machine: a first page, the notebooks' pages, figures. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describeEnvironment } from "../experiments/environment.js";
import { findings } from "./bundle-findings.js";
import { exportFigures, paretoFigures } from "./bundle-figures.js";
import { GENERATOR, indexPage } from "./bundle-index.js";
import { bundlePages, type BundlePages, type PageOptions } from "./bundle-pages.js";
import { placesHere, withoutPlaces } from "./bundle-places.js";
import { measuredPoints, resultRows } from "./bundle-results.js";
import { environmentLines, readBundleRuns, type BundleRuns } from "./bundle-runs.js";

/** The folder for a report holds something else. Nothing was changed. */
export class ReportFolderError extends Error {
  override readonly name = "ReportFolderError";
}

export interface BundleOptions extends PageOptions {
  /** Leave the notebooks out: false. */
  readonly notebooks?: boolean;
  /** Write every figure as SVG and PNG, too. */
  readonly figures?: boolean;
  /** Where the runs are (default: results/). */
  readonly results?: string;
  /** How the report is made, for its reader. */
  readonly command?: string;
}

export interface Bundle {
  /** Path of the first page. */
  readonly index: string;
  readonly runs: BundleRuns;
  readonly pages: BundlePages;
  readonly figures: number;
}

/** What a report's folder holds. */
const ENTRIES = ["index.html", "notebooks", "figures"] as const;

/**
 * Writes the report into the folder `out`, in place of one that is there.
 * @throws ReportFolderError if the folder holds something else; NotebookError if there is no notebook's page and none can be made; DataFormatError
 * or RunFolderError for a damaged run; the signal's reason. The report that was there is then as it was.
 */
export async function writeBundle(out: string, options: BundleOptions = {}): Promise<Bundle> {
  checkFolder(out);
  const runs = readBundleRuns(options.results);
  const points = measuredPoints(runs);
  const places = placesHere(process.env, runs.modelPaths);
  const wanted = options.notebooks ?? true;
  const pages = wanted ? await bundlePages({ newest: runs.newest, places, ...options }) : { pages: [], notes: [] };
  options.signal?.throwIfAborted();
  const figures = await paretoFigures(runs, points, places);
  const exported = options.figures === true ? await exportFigures(figures, pages.pages) : null;
  const index = indexPage({
    ...{
      runs,
      findings: findings(runs.experiments),
      results: resultRows(runs, points),
      figures,
      notes: pages.notes,
      files: exported?.list ?? [],
    },
    pages: wanted ? pages.pages : null,
    environment: environmentLines(describeEnvironment(null)),
    command: options.command ?? "npx true-intents report",
  });
  const files = new Map<string, string | Buffer>([
    ["index.html", withoutPlaces(index, places)],
    ...pages.pages.map(({ name, html }) => [join("notebooks", `${name}.html`), html] as const),
    ...(exported?.files ?? []),
  ]);
  replaceFolder(out, files);
  return { index: join(out, "index.html"), runs, pages, figures: exported?.list.length ?? 0 };
}

/** @throws ReportFolderError for a folder with files and without a report */
function checkFolder(out: string): void {
  if (!existsSync(out) || readdirSync(out).length === 0) return;
  const index = join(out, "index.html");
  if (existsSync(index) && readFileSync(index, "utf8").includes(GENERATOR)) return;
  throw new ReportFolderError(`${out} holds files that are no report of ours; name another folder with --out`);
}

/** Writes all files beside, then puts them in the place of the report that is there. */
function replaceFolder(out: string, files: ReadonlyMap<string, string | Buffer>): void {
  const beside = `${out}.${process.pid}.tmp`;
  try {
    for (const [path, content] of files) {
      mkdirSync(dirname(join(beside, path)), { recursive: true });
      writeFileSync(join(beside, path), content);
    }
    mkdirSync(out, { recursive: true });
    // The first page last: by it the folder is known as a report.
    for (const entry of ENTRIES.toReversed()) {
      if (entry !== "index.html") rmSync(join(out, entry), { recursive: true, force: true });
      if (existsSync(join(beside, entry))) renameSync(join(beside, entry), join(out, entry));
    }
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}
