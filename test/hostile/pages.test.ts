/**
 * Hostile texts in all that a browser shows: tables, texts, progress and figures of notebooks on a rendered page, the first page of a report,
 * a figure as a file. Looked at as documents, and opened in Chromium where there is one.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { JSDOM } from "jsdom";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { barFigure, boxFigure, histogramFigure } from "../../src/report/bars.js";
import { indexPage, type IndexContent } from "../../src/report/bundle-index.js";
import { DISPLAY, PUBLISH, showProgress, showText, type MimeBundle, type NotebookGlobals } from "../../src/report/display.js";
import { gridHeatmap } from "../../src/report/distillation-heatmap.js";
import { lengthFigure } from "../../src/report/distillation-lengths.js";
import { figureText, showFigure, type PlotlyFigure } from "../../src/report/figure.js";
import { intervalFigure } from "../../src/report/intervals.js";
import { learningCurves } from "../../src/report/learning-curves.js";
import { notebookEnvironment } from "../../src/report/notebook-environment.js";
import { paretoFigure, type ParetoPoint } from "../../src/report/pareto.js";
import { plotlyFile } from "../../src/report/plotly.js";
import { showTable } from "../../src/report/table-html.js";
import { markdownTable, printable } from "../../src/evaluate/table.js";
import { repository } from "../kernel/client.js";
import { findChromium, startChromium, type Chromium, type OpenPage } from "./chromium.js";
import { shown, TEXTS, words } from "./payloads.js";

const { python } = notebookEnvironment(repository);
const chromium = findChromium();
const withChromium = chromium === null ? "in Chromium (none found: set TRUE_INTENTS_CHROMIUM, or install one)" : "in Chromium";
const onPage = python === null ? "on a notebook's page (no .venv: node scripts/setup.mjs --for test)" : "on a notebook's page";

const SEEN = TEXTS.map((text) => words(shown(text)));
const range = { low: 0.4, high: 0.6 };

/** At the place of each text something to see; all figures in which names of anyone stand. */
const points = TEXTS.map((model, i): ParetoPoint => ({
  ...{ model, group: "measured here", measure: "F1", score: 0.2 + i / 100, interval: range, latencyInterval: null },
  ...{ millisecondsPerPrompt: 10 + 3 * i, tokensPerPrompt: 5, unparsed: 0, sets: model },
}));
const dots = Object.fromEntries(TEXTS.map((text) => [text, { value: 0.5, ...range }]));
const figures: Readonly<Record<string, PlotlyFigure>> = {
  "categories of bars": barFigure(TEXTS, [{ name: TEXTS[0], values: TEXTS.map((_, i) => i + 1) }], { title: "t", axis: "a" }),
  "names of boxes": boxFigure(TEXTS.map((name) => ({ name, values: [1, 2, 3] })), { title: "t", axis: "a" }), // prettier-ignore
  "rows of intervals": intervalFigure("t", TEXTS, [{ name: TEXTS[1], kind: "ours", values: dots }]),
  "an intervals' legend": intervalFigure("t", ["a"], TEXTS.map((name) => ({ name, kind: "ours", values: { a: { value: 0.5 } } }))), // prettier-ignore
  "rows of a heatmap": gridHeatmap(
    TEXTS.map((teacher) => ({ teacher, student: "s", condition: "no_intent", value: 0.5 })),
    { title: "t", label: "l" },
  )[0],
  "points of a frontier": paretoFigure(points, { title: "t" }),
  "notes in a figure": {
    data: [{ type: "scatter", x: [0, 1], y: [0, TEXTS.length] }],
    layout: {
      height: 1600,
      annotations: TEXTS.map((text, y) => ({ text: figureText(text), x: 0, y, xanchor: "left", showarrow: false })),
    },
  },
};

const content: IndexContent = {
  runs: {
    experiments: { sft: null, dpo: null, distillation: null, grpo: null },
    ...{ models: [], baselines: [], modelPaths: [], testSets: [], requests: new Map(), newest: 0, missing: TEXTS },
    facts: TEXTS.map((text, i) => ({
      ...{ title: text, folder: text, own: i % 2 === 0, command: text, notes: [text], seeds: [1] },
      ...{ environment: [["Commit", text], [text, text]], data: [[text, text]] }, // prettier-ignore
    })),
  },
  findings: TEXTS.map((text) => ({ question: text, lines: [text] })),
  results: {
    sets: TEXTS,
    groups: TEXTS.map((title) => ({
      title,
      rows: [{ model: title, seeds: 2, scores: new Map(), mean: null, milliseconds: null, request: null }],
    })),
  },
  figures: TEXTS.map((caption) => ({
    name: "f",
    caption,
    svg: '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
  })),
  // What can be a file's name.
  pages: TEXTS.filter((text) => !/[/\0]/.test(text) && text.isWellFormed()).map((name) => ({
    ...{ name, title: name, html: "", figures: [], failure: name, executed: new Date(0) },
  })),
  notes: TEXTS,
  files: TEXTS.map((caption) => ({ caption, svg: "figures/a.svg", png: "figures/a.png" })),
  environment: TEXTS.map((text) => [text, text]),
  command: TEXTS.join(" "),
};

let folder: string;
let shownFigures: Readonly<Record<string, MimeBundle>>;
const svgOf = (name: string): string => String(shownFigures[name]["image/svg+xml"]);
/** The outputs of a notebook, as its kernel would send them. */
let outputs: object[];
const [pagePath, indexPath, svgPath] = ["page.html", "index.html", "figure.svg"].map((name) => (): string => join(folder, name));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "true-intents-pages-"));
  const bundles: MimeBundle[] = [
    showTable(TEXTS.map((prompt, i) => ({ prompt, i })), { caption: TEXTS.join(" ") }), // prettier-ignore
    showTable([Object.fromEntries(TEXTS.map((text) => [text, 1])), Object.fromEntries(TEXTS.map((text) => [text, { [text]: text }]))]), // prettier-ignore
    ...TEXTS.map(showText),
  ].map((value) => value[DISPLAY]());
  const notebook = globalThis as NotebookGlobals;
  try {
    notebook[PUBLISH] = (bundle) => void bundles.push(bundle);
    for (const text of TEXTS) showProgress(text, 1).update(1, text);
  } finally {
    Reflect.deleteProperty(notebook, PUBLISH);
  }
  const drawn: Record<string, MimeBundle> = {};
  for (const [name, figure] of Object.entries(figures)) {
    const bundle = (await showFigure(figure, { caption: `${name} ${TEXTS.join(" ")}` }))[DISPLAY]();
    drawn[name] = bundle;
    bundles.push(bundle);
  }
  shownFigures = drawn;
  const raw = TEXTS.filter((text) => text.isWellFormed());
  outputs = [
    ...bundles.map((data) => ({ output_type: "display_data", metadata: {}, data })),
    // Nobody has cleaned these.
    ...raw.flatMap((text) => [
      { output_type: "stream", name: "stdout", text },
      { output_type: "display_data", metadata: {}, data: { "text/plain": text } },
      { output_type: "error", ename: text, evalue: text, traceback: [text] },
    ]),
  ];
  writeFileSync(indexPath(), indexPage(content));
  writeFileSync(svgPath(), svgOf("points of a frontier"));
  if (python === null) return;
  const cells = [
    { cell_type: "markdown", id: "a", metadata: {}, source: `# Hostile\n\n${markdownTable(["name"], TEXTS.map((text) => [text]))}` }, // prettier-ignore
    { cell_type: "code", id: "b", metadata: {}, execution_count: 1, source: raw.map((text) => `// ${text}`).join("\n"), outputs },
  ];
  writeFileSync(join(folder, "page.ipynb"), JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 }));
  // As scripts/notebooks/render.py does once it has executed a notebook.
  const code = `import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import render
notebook = render.nbformat.read(sys.argv[2], as_version=4)
render.write(Path(sys.argv[3]), render.page(notebook, sys.argv[5], Path(sys.argv[4])))`;
  const scripts = join(repository, "scripts", "notebooks");
  const title = raw.filter((text) => !text.includes("\0")).join(" ");
  const made = spawnSync(python, ["-c", code, scripts, join(folder, "page.ipynb"), pagePath(), plotlyFile, title]);
  expect(made.stderr.toString()).not.toContain("Traceback");
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const STRANGE = "iframe, object, embed, form, base, link, audio, video, animate, details:not(.code > details), button, textarea";

/** Nothing in a document acts or leads elsewhere: no handlers, no addresses but those that fit `links`. */
function expectStill(document: Document, links = /^(#|data:image\/)/): void {
  expect(Array.from(document.querySelectorAll(STRANGE), ({ outerHTML }) => outerHTML.slice(0, 200))).toEqual([]);
  for (const element of document.querySelectorAll("*"))
    for (const { name, value } of element.attributes) {
      expect(name).not.toMatch(/^on|^srcset$|^ping$|^srcdoc$/);
      if (/^(src|href|xlink:href|action|data|poster|formaction)$/.test(name)) expect(value).toMatch(links);
    }
}

const textsOf = (found: Iterable<Element>): string[] => Array.from(found, (element) => words(element.textContent));

describe("in a figure", () => {
  it.each(Object.keys(figures))("%s are there as text", (name) => {
    const { document } = new JSDOM(svgOf(name), { contentType: "image/svg+xml" }).window;
    expectStill(document);
    expect(document.querySelectorAll("script, a, [style*='color: red']")).toHaveLength(0);
    const texts = textsOf(document.querySelectorAll("text")).join("\n");
    for (const text of SEEN) expect(texts).toContain(text);
  });

  it("titles are text, too", () => {
    const run = { folder: "", mode: "generation", learningRate: 1, seed: 1, chosen: true, steps: [], epochs: [], predictions: new Map() }; // prettier-ignore
    const length = { teacher: "t", student: "s", condition: "no_intent", tokensPerPrompt: 1, millisecondsPerPrompt: 1, f1: 1, unparsed: 0 } as const; // prettier-ignore
    for (const text of TEXTS) {
      const options = { title: text, axis: text };
      const made = [
        barFigure(["a"], [{ name: "s", values: [1] }], options),
        boxFigure([{ name: "a", values: [1] }], options),
        histogramFigure([{ name: "a", values: [1] }], options),
        intervalFigure(text, ["a"], [], text),
        paretoFigure(points.slice(0, 1), { title: text, latency: text }),
        learningCurves([run] as never, text),
        ...lengthFigure([length], text, text),
        ...gridHeatmap([{ ...length, value: 1 }], { title: text, label: text }),
      ];
      for (const { layout } of made) {
        const { title, xaxis, annotations } = layout as {
          title: { text: string };
          xaxis: { title?: { text: string } };
          annotations?: { text: string }[];
        };
        expect(title.text).toBe(figureText(text));
        const others = [xaxis.title?.text, ...(annotations ?? []).map((one) => one.text)].join("\n");
        expect(others.includes(figureText(text)) || !others.includes(text)).toBe(true);
      }
    }
  });

  it("what a page gets of it has no markup in it, and no mathematics", () => {
    for (const bundle of Object.values(shownFigures)) {
      const { data, config } = bundle["application/vnd.plotly.v1+json"] as { data: object[]; config: object };
      // The frames of the templates are ours.
      expect(JSON.stringify(data.map((trace) => ({ ...trace, hovertemplate: "" })))).not.toMatch(/[<>]|%\{/);
      expect(config).toMatchObject({ typesetMath: false });
    }
  });
});

describe("on the first page of a report", () => {
  it("they are there as text in every place, and nothing else comes of them", () => {
    const { document } = new JSDOM(readFileSync(indexPath(), "utf8")).window;
    expectStill(document, /^(#|data:image\/svg\+xml;base64,|notebooks\/[^/]*\.html$|figures\/a\.(svg|png)$)/);
    expect(document.querySelectorAll("script, svg, main style, main meta, [onclick]")).toHaveLength(0);
    const texts = (selector: string): string => textsOf(document.querySelectorAll(selector)).join("\n");
    for (const selector of [
      ...[".results tbody th[scope=row]", ".results [scope=rowgroup]", ".notice", ".notice.wrong"],
      ...[".facts h3", ".facts th", ".facts td", ".facts code", "figcaption", ".figures li"],
    ]) {
      const there = texts(selector);
      for (const text of SEEN) expect(there, selector).toContain(text);
    }
    const notebooks = texts("#notebooks");
    for (const page of content.pages!) expect(notebooks).toContain(words(shown(page.name)));
    for (const [i, image] of Array.from(document.images).entries()) expect(image.alt).toContain(shown(TEXTS[i]));
    // A set's column has the last part of what may be a path.
    expect(texts(".results thead th")).toContain("F1 on __proto__");
  });
});

describe.skipIf(python === null)(onPage, () => {
  it("they are there as text in every place, and nothing else comes of them", () => {
    const { document } = new JSDOM(readFileSync(pagePath(), "utf8")).window;
    // Markdown makes links of addresses; the table there has a test of its own.
    document.querySelector("main > section:first-child")!.remove();
    expectStill(document);
    const kinds = Array.from(document.querySelectorAll("script"), ({ type }) => type);
    expect(kinds.filter((type) => type !== "application/json")).toEqual(["", ""]);
    expect(kinds).toHaveLength(Object.keys(figures).length + 2);
    expect(document.querySelectorAll("main style, main meta, svg, a")).toHaveLength(0);
    const tables = Array.from(document.querySelectorAll(".wide table"));
    expect(tables).toHaveLength(2);
    const [rows, columns] = tables;
    expect(textsOf(rows.querySelectorAll("tbody td:first-child"))).toEqual(SEEN);
    expect(textsOf(columns.querySelectorAll("th"))).toEqual(SEEN);
    const blocks = textsOf(document.querySelectorAll(".wide pre")).join("\n");
    const progress = textsOf(document.querySelectorAll(".wide > span"));
    const caption = words(rows.querySelector("caption")!.textContent);
    const labels = Array.from(document.querySelectorAll(".plotly"), (figure) => words(figure.getAttribute("aria-label")!));
    for (const [i, text] of SEEN.entries()) {
      expect(caption).toContain(text);
      expect(blocks).toContain(text);
      expect(progress.at(2 * i + 1)).toBe(words(`${shown(TEXTS[i])}: 1/1 ${text}`));
      for (const label of labels) expect(label).toContain(text);
    }
    expect(textsOf(document.querySelectorAll("pre.error")).length).toBeGreaterThan(40);
  });

  it("a Markdown table shows them as its cells", () => {
    const { document } = new JSDOM(readFileSync(pagePath(), "utf8")).window;
    const section = document.querySelector("main > section:first-child")!;
    expect(
      Array.from(section.querySelectorAll("*"), ({ tagName }) => tagName).filter((tag) =>
        /^(SCRIPT|IMG|SVG|B|BUTTON|STYLE|META|DIV)$/.test(tag),
      ),
    ).toEqual([]);
    for (const link of section.querySelectorAll("a")) expect(link.getAttribute("href")).toMatch(/^https:\/\/hostile\.invalid/);
    const cells = textsOf(section.querySelectorAll("td"));
    // Emphasis and code are drawn; what they are drawn of is left.
    const bare = (text: string): string => words(text.toWellFormed().replace(/[*_`~\\]/g, ""));
    expect(cells.map(bare)).toEqual(TEXTS.map((text) => bare(printable(text))));
  });
});

describe.skipIf(chromium === null)(withChromium, () => {
  let browser: Chromium;
  beforeAll(() => {
    browser = startChromium(chromium!);
  });
  afterAll(() => browser.close());

  async function opened(path: string, look: (page: OpenPage) => Promise<void>): Promise<void> {
    const page = await browser.open(pathToFileURL(path).href);
    await look(page);
    expect(page.deeds).toEqual({ dialogs: [], requests: [], errors: [] });
    await page.close();
  }

  it("the driver sees what a page does", async () => {
    const path = join(folder, "acts.html");
    const body =
      "<script>alert('one'); console.error('two'); fetch('https://hostile.invalid/three').catch(() => 0); four()</script>";
    writeFileSync(path, `<!doctype html><body>here${body}`);
    const page = await browser.open(pathToFileURL(path).href);
    expect(await page.evaluate("document.body.innerText")).toBe("here");
    expect(page.deeds.dialogs.join()).toContain("one");
    expect(page.deeds.requests).toEqual(["https://hostile.invalid/three"]);
    expect(page.deeds.errors.join()).toMatch(/two[\s\S]*four/);
    await page.close();
  });

  it("the first page of a report opens without a deed, and shows them all", async () => {
    await opened(indexPath(), async (page) => {
      const text = words(String(await page.evaluate("document.body.innerText")));
      for (const one of SEEN) expect(text).toContain(one);
    });
  });

  it("a figure's file opens without a deed, and shows them all", async () => {
    await opened(svgPath(), async (page) => {
      const texts = await page.evaluate("Array.from(document.querySelectorAll('text'), (one) => one.textContent).join('\\n')");
      for (const one of SEEN) expect(words(String(texts))).toContain(one);
    });
  });

  it.skipIf(python === null)(
    "a notebook's page draws its figures without a deed, and shows them all, also when pointed at",
    async () => {
      await opened(pagePath(), async (page) => {
        const drawn = "document.querySelectorAll('.plotly .main-svg').length > 0 && !document.querySelector('.plotly > img')";
        for (let tries = 0; tries < 300 && !(await page.evaluate(drawn)); tries++)
          await new Promise((next) => setTimeout(next, 100));
        expect(await page.evaluate(drawn)).toBe(true);
        const text = words(String(await page.evaluate("document.body.innerText")));
        for (const one of SEEN) expect(text).toContain(one);
        const inFigures = (await page.evaluate(
          "Array.from(document.querySelectorAll('figure > .plotly'), (figure) => Array.from(figure.querySelectorAll('text'), (one) => one.textContent).join('\\n'))",
        )) as string[];
        expect(inFigures).toHaveLength(Object.keys(figures).length);
        for (const texts of inFigures) for (const one of SEEN) expect(words(texts)).toContain(one);
        const frontier = Object.keys(figures).indexOf("points of a frontier");
        // Those in which a language of plotly or of HTML could see something.
        const pointed = [...TEXTS.keys()].filter((i) => /[<&%$]/.test(TEXTS[i]));
        const hovers = (await page.evaluate(`(async () => {
        const figure = document.querySelectorAll("figure > .plotly")[${frontier}];
        const curveNumber = figure.data.findIndex(({ customdata }) => customdata !== undefined);
        const texts = [];
        for (const pointNumber of ${JSON.stringify(pointed)}) {
          Plotly.Fx.hover(figure, [{ curveNumber, pointNumber }]);
          texts.push(figure.querySelector(".hoverlayer").textContent);
          // plotly takes no two of them within 50 ms.
          await new Promise((next) => setTimeout(next, 55));
        }
        return texts;
      })()`)) as string[];
        expect(hovers.length).toBeGreaterThan(20);
        for (const [i, hover] of hovers.entries()) expect(words(hover)).toContain(SEEN[pointed[i]]);
        expect(await page.evaluate("document.querySelectorAll('.plotly a, .plotly script').length")).toBe(0);
      });
    },
  );
});
