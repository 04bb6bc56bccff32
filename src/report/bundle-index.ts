/** The first page of a report: one HTML file without scripts that loads nothing. Everything in it is escaped. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Finding } from "./bundle-findings.js";
import type { FigureFiles, NamedFigure } from "./bundle-figures.js";
import type { BundlePage } from "./bundle-pages.js";
import { setTitle, type Cell, type ResultRow, type Results } from "./bundle-results.js";
import { ONLY_ASKED, type BundleRuns, type RunFacts } from "./bundle-runs.js";
import { escapeHtml } from "./text.js";

/** By this the folder of a report is known as one. */
export const GENERATOR = '<meta name="generator" content="True Intents report">';

export interface IndexContent {
  readonly runs: BundleRuns;
  readonly findings: readonly Finding[];
  readonly results: Results;
  readonly figures: readonly NamedFigure[];
  /** Null: the notebooks were left out. */
  readonly pages: readonly BundlePage[] | null;
  readonly notes: readonly string[];
  /** For papers; empty if they were not asked for. */
  readonly files: readonly FigureFiles[];
  /** What the report was made with. */
  readonly environment: readonly (readonly [name: string, value: string])[];
  /** How it was made. */
  readonly command: string;
}

const sheet = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8").replace(/\r\n/g, "\n");

export function indexPage(content: IndexContent): string {
  const { runs, findings, results, figures, pages, notes, files, environment, command } = content;
  const css = `\n${sheet("../../scripts/notebooks/report.css")}${sheet("./bundle.css")}`;
  // The page runs no script and loads nothing; its one style sheet is known by its hash.
  const policy = `default-src 'none'; img-src data:; style-src 'sha256-${createHash("sha256").update(css).digest("base64")}'; base-uri 'none'; form-action 'none'`;
  const sections = [
    ...(findings.length === 0 ? [] : [{ id: "findings", title: "What came out", body: findingList(findings) }]),
    { id: "results", title: "Results", body: resultsTable(results) },
    { id: "frontier", title: "Latency against quality", body: figures.map(figureHtml).join("\n") },
    ...(pages === null ? [] : [{ id: "notebooks", title: "Notebooks", body: pageList(pages) }]),
    ...(files.length === 0 ? [] : [{ id: "figures", title: "Figures for papers", body: fileList(files) }]),
    { id: "provenance", title: "Where the numbers come from", body: provenance(runs.facts, environment, command) },
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${GENERATOR}
<title>Results · True Intents</title>
<style>${css}</style>
</head>
<body>
<a class="skip" href="#results">Skip to the results</a>
<main>
<h1>True Intents: results</h1>
<p>Small language models that state what a prompt intends and judge whether it is harmful, after “Paved with True Intents” (arXiv 2606.27210): what was measured, beside what the paper reports.</p>
${notice(runs, pages ?? [], notes)}
<nav aria-label="Sections"><ul>
${sections.map(({ id, title }) => `<li><a href="#${id}">${title}</a></li>`).join("\n")}
</ul></nav>
${sections.map(({ id, title, body }) => `<section id="${id}" tabindex="-1">\n<h2>${title}</h2>\n${body}\n</section>`).join("\n")}
</main>
</body>
</html>
`;
}

/** Whose numbers these are, and what is missing. */
function notice({ facts, missing }: BundleRuns, pages: readonly BundlePage[], notes: readonly string[]): string {
  const own = facts.filter((run) => run.own);
  const recorded = facts.filter((run) => !run.own);
  const list = (runs: readonly RunFacts[]): string => {
    const asked = runs.filter(({ title }) => title.startsWith(ONLY_ASKED)).length;
    const trained = runs.filter(({ title }) => !title.startsWith(ONLY_ASKED));
    return [
      ...trained.map(({ title, folder }) => `${escapeHtml(title)} (<code>${escapeHtml(folder)}</code>)`),
      ...(asked === 0 ? [] : [`${ONLY_ASKED} (${asked})`]),
    ].join(", ");
  };
  const lines = [
    ...(facts.length === 0
      ? ["There is no run yet, neither an own one nor a recorded one: these are the paper’s numbers alone."]
      : []),
    ...(own.length > 0 ? [`Runs made here: ${list(own)}.`] : []),
    ...(recorded.length > 0
      ? [
          `${own.length > 0 ? "Recorded runs" : "There is no run of one’s own: all numbers are those of the recorded runs"}, as they are shipped with True Intents: ${list(recorded)}.`,
        ]
      : []),
    ...missing.map((line) => escapeHtml(line)),
  ];
  const failed = pages.flatMap(({ name, failure }) => (failure === null ? [] : [`${name} stopped with an error: ${failure}`]));
  const wrong = [...failed, ...notes].map((line) => `<p>${escapeHtml(line)}</p>`);
  return `<div class="notice">\n${lines.map((line) => `<p>${line}</p>`).join("\n")}\n</div>${wrong.length === 0 ? "" : `\n<div class="notice wrong">\n${wrong.join("\n")}\n</div>`}`;
}

function findingList(findings: readonly Finding[]): string {
  const parts = findings.map(
    ({ question, lines }) =>
      `<h3>${escapeHtml(question)}</h3>\n${lines.map((line) => `<p dir="auto">${escapeHtml(line)}</p>`).join("\n")}`,
  );
  return `<p>An interval holds the true difference 95 times in 100; one that holds 0 shows no difference.</p>\n${parts.join("\n")}`;
}

function resultsTable({ sets, groups }: Results): string {
  const head = [
    "Model",
    ...sets.map((set) => `F1 on ${setTitle(set)}`),
    "Mean F1",
    "ms a prompt, in batches",
    "ms, single request",
  ];
  const body = groups.map(
    ({ title, rows }) =>
      `<tbody>\n<tr><th scope="rowgroup" colspan="${head.length}">${escapeHtml(title)}</th></tr>\n${rows.map((row) => resultRow(row, sets)).join("\n")}\n</tbody>`,
  );
  return `<p id="about-results">F1 of the harmful class, unparsed answers counted as wrong; below it the 95% interval over prompts and seeds, and the AUROC. Means are over the sets of a row, the published ones over the five benchmarks: compare rows on the same set. The published benchmark rows are one version before the paper’s last. Times are of different machines.</p>
<div class="wide" role="region" aria-label="Table of results" tabindex="0">
<table class="results" aria-describedby="about-results">
<thead><tr>${head.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join("")}</tr></thead>
${body.join("\n")}
</table>
</div>`;
}

function resultRow({ model, seeds, scores, mean, milliseconds, request }: ResultRow, sets: readonly string[]): string {
  const three = (value: number): string => value.toFixed(3);
  const score = (cell: Cell | null | undefined): string =>
    cell
      ? `${three(cell.value)}${rangeHtml(cell.range, three)}${cell.auroc === null ? "" : `<small>AUROC ${three(cell.auroc)}</small>`}`
      : "–";
  const short = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
  const time = (of: ResultRow["milliseconds"]): string => (of === null ? "–" : short(of.value) + rangeHtml(of.range, short));
  const seedText = seeds === null || seeds === 1 ? "" : `<small>${seeds} seeds</small>`;
  const cells = [...sets.map((set) => score(scores.get(set))), score(mean), time(milliseconds), time(request)];
  return `<tr><th scope="row" dir="auto">${escapeHtml(model)}${seedText}</th>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

function rangeHtml(range: Cell["range"], text: (value: number) => string): string {
  return range === null ? "" : `<small>${text(range.low)} to ${text(range.high)}</small>`;
}

function figureHtml({ caption, svg }: NamedFigure): string {
  const source = Buffer.from(svg).toString("base64");
  return `<figure tabindex="0"><img alt="${escapeHtml(caption)}; the table above has its numbers." src="data:image/svg+xml;base64,${source}"><figcaption>${escapeHtml(caption)}</figcaption></figure>`;
}

function pageList(pages: readonly BundlePage[]): string {
  const items = pages.map(({ name, title, executed, failure }) => {
    const state = `executed ${executed.toISOString().slice(0, 10)}${failure === null ? "" : ", stopped with an error"}`;
    return `<li><a href="notebooks/${encodeURIComponent(name)}.html">${escapeHtml(title)}</a> <span class="quiet">${escapeHtml(name)}, ${state}</span></li>`;
  });
  return `<p>Each with its figures to point at and to zoom into.</p>\n<ul>\n${items.join("\n")}\n</ul>`;
}

function fileList(files: readonly FigureFiles[]): string {
  const items = files.map(({ caption, svg, png }) => {
    const links = [svg, png].map(
      (path) => `<a href="${path.split("/").map(encodeURIComponent).join("/")}">${escapeHtml(path)}</a>`,
    );
    return `<li>${escapeHtml(caption)} <span class="quiet">${links.join(", ")}</span></li>`;
  });
  return `<ul class="figures">\n${items.join("\n")}\n</ul>`;
}

function provenance(facts: readonly RunFacts[], environment: IndexContent["environment"], command: string): string {
  const table = (title: string, lines: readonly (readonly [string, string])[]): string => `<section class="facts">
<h3>${escapeHtml(title)}</h3>
<div class="wide" role="region" aria-label="${escapeHtml(title)}" tabindex="0"><table class="facts">
${lines.map(([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td dir="auto">${value}</td></tr>`).join("\n")}
</table></div>
</section>`;
  const code = (text: string): string => `<code>${escapeHtml(text)}</code>`;
  const plain = (lines: IndexContent["environment"]): [string, string][] =>
    lines.map(([name, value]) => [name, name === "Commit" ? code(value) : escapeHtml(value)]);
  const runs = facts.map((run) =>
    table(run.title, [
      ["Folder", `${code(run.folder)}, ${run.own ? "made here" : "recorded"}`],
      ...(run.command === null ? [] : [["Command", code(run.command)] as const]),
      ...run.notes.map((note) => ["", escapeHtml(note)] as const),
      ...(run.seeds.length === 0 ? [] : [[run.seeds.length === 1 ? "Seed" : "Seeds", run.seeds.join(", ")] as const]),
      ...plain(run.environment),
      ...run.data.map(([set, hash]) => [`sha256 of ${setTitle(set)}`, code(hash)] as const),
    ]),
  );
  const made = plain(environment).map(([name, value]): [string, string] => [name === "Begun" ? "Made" : name, value]);
  const report = table("This report", [["Command", code(command)], ...made]);
  return `<p>Commands are made from the settings that the runs left; the hashes are of the rows, whatever file they came from.</p>\n${[...runs, report].join("\n")}`;
}
