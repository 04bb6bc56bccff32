/** A report as a folder: what its pages hold and load, where it may be written, and what it takes when notebooks cannot be executed. */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { JSDOM } from "jsdom";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { ReportFolderError, writeBundle, type Bundle, type BundleOptions } from "../../src/report/bundle.js";
import { drawSvg } from "../../src/report/plotly.js";
import { NotebookError, renderNotebooks, type RenderedNotebook } from "../../src/report/render-notebooks.js";
import { visibleText } from "../../src/report/text.js";
import { repository } from "../kernel/client.js";
import { said, writeExperiment } from "./run-folder.js";

vi.mock("../../src/report/render-notebooks.js", async (original) => ({
  ...(await original<object>()),
  renderNotebooks: vi.fn(),
}));

// Drawing is tested elsewhere, and takes seconds.
vi.mock("../../src/report/plotly.js", async (original) => ({
  ...(await original<object>()),
  drawSvg: vi.fn(() => Promise.resolve(SVG)),
}));

const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><rect width="30" height="40"/></svg>';
/** Each acts if anything of it is read as markup. */
const PAYLOADS = [
  "</title><script>hit()</script>",
  "<img src=x onerror=hit()>",
  '"><svg onload=hit()>',
  "javascript:hit()",
  "\u202egnp.exe \u001b[31m",
  "a & b {{ 7 * 7 }}",
];

let folder: string;
let notebooks: string;
let rendered: string;
let results: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "true-intents-bundle-"));
  [notebooks, rendered, results] = ["notebooks", "rendered", "results"].map((name) => join(folder, name));
  for (const path of [notebooks, rendered]) mkdirSync(path);
  const recorded = join(results, "recorded", "sft-small");
  mkdirSync(recorded, { recursive: true });
  const run = { mode: "generation", learningRate: 0.001, chosen: true, seed: 1 } as const;
  writeExperiment([{ ...run, predictions: { xstest: said([0]) } }], ["xstest"], recorded);
  for (const name of ["a-first", "b & <second>"]) writeNotebook(name);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A notebook, and its page as the template makes it, a minute younger. */
function writeNotebook(name: string, outputs: readonly object[] = [], title = `# The *${name}*`): void {
  const source = join(notebooks, `${name}.ipynb`);
  writeFileSync(source, "{}");
  // Long ago; what is there is younger than the run.
  utimesSync(source, 1, 1);
  const cells = [
    { cell_type: "markdown", source: [title, "\n", "text"] },
    { cell_type: "code", source: "x", outputs },
  ];
  writeFileSync(join(rendered, `${name}.ipynb`), JSON.stringify({ cells }));
  writeFileSync(
    join(rendered, `${name}.html`),
    `<!doctype html><html lang="en"><head><title>t</title></head>\n<body>\n<main>\n<p>In ${repository}results</p></main></body></html>`,
  );
}

let count = 0;
async function write(options: BundleOptions = {}): Promise<Bundle & { out: string; page: string; document: Document }> {
  const out = join(folder, `out-${++count}`);
  const bundle = await writeBundle(out, { folder: notebooks, output: rendered, results, ...options });
  const page = readFileSync(bundle.index, "utf8");
  return { ...bundle, out, page, document: new JSDOM(page).window.document };
}

const textOf = (document: Document): string => document.body.textContent.replace(/\s+/g, " ");

beforeEach(() => {
  vi.mocked(renderNotebooks).mockReset().mockResolvedValue([]);
});

describe("the first page", () => {
  it("says whose numbers it shows, and has them beside the paper's", async () => {
    const { document } = await write({ notebooks: false });
    const text = textOf(document);
    expect(text).toContain("There is no run of one’s own: all numbers are those of the recorded runs");
    expect(text).toContain("results/recorded/sft-small");
    const rows = Array.from(document.querySelectorAll(".results tbody tr"), (row) => row.textContent);
    // 4/5: two hits, one miss.
    expect(rows.find((row) => row.startsWith("tiny-random SFT, generation"))).toContain("0.800");
    expect(rows.find((row) => row.startsWith("WildGuard"))).toMatch(/0\.945.*6\.46/);
    expect(text).toContain("npx true-intents run sft --preset smoke");
    expect(document.querySelectorAll("figure img")).toHaveLength(2);
    // An own run comes before the recorded one.
    const own = join(results, "runs", "sft-small");
    mkdirSync(own, { recursive: true });
    try {
      const run = { mode: "generation", learningRate: 0.001, chosen: true, seed: 1 } as const;
      writeExperiment([{ ...run, predictions: { xstest: said([]) } }], ["xstest"], own);
      const mine = await write({ notebooks: false });
      expect(textOf(mine.document)).toContain("Runs made here: Supervised fine-tuning (results/runs/sft-small)");
      expect(textOf(mine.document)).not.toContain("There is no run of one’s own");
    } finally {
      rmSync(join(results, "runs"), { recursive: true });
    }
  });

  it("runs no script, loads nothing, and its policy allows its one style sheet alone", async () => {
    const { page, document } = await write();
    const css = /<style>([\s\S]*?)<\/style>/.exec(page)![1];
    const hash = createHash("sha256").update(css).digest("base64");
    expect(document.querySelector("meta[http-equiv=Content-Security-Policy]")!.getAttribute("content")).toBe(
      `default-src 'none'; img-src data:; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`,
    );
    expect(document.querySelectorAll("script, link, iframe, object, embed, form, base, [style]")).toHaveLength(0);
    expect(Array.from(document.images).every(({ src }) => src.startsWith("data:image/svg+xml;base64,"))).toBe(true);
    expect(css).not.toMatch(/url\(|@import/);
    const attributes = Array.from(document.querySelectorAll("*")).flatMap((element) => element.getAttributeNames());
    expect(attributes.filter((name) => name.startsWith("on"))).toEqual([]);
  });

  it("is in order for a keyboard and a screen reader", async () => {
    const { document } = await write();
    const focusable = Array.from(document.querySelectorAll<HTMLElement>("a[href], [tabindex='0']"));
    expect(focusable[0].textContent).toBe("Skip to the results");
    // In the order of the page: nothing jumps the queue.
    expect(document.querySelectorAll("[tabindex]:not([tabindex='0']):not([tabindex='-1'])")).toHaveLength(0);
    for (const link of document.querySelectorAll("a[href^='#']"))
      expect(document.querySelector(link.getAttribute("href")!), link.outerHTML).not.toBeNull();
    // What scrolls can be reached, and has a name.
    for (const table of document.querySelectorAll("table")) {
      const region = table.closest("[tabindex='0'][role=region]");
      expect(region?.getAttribute("aria-label")).toBeTruthy();
    }
    expect(Array.from(document.images).every(({ alt }) => alt.length > 10)).toBe(true);
    expect(document.documentElement.lang).toBe("en");
    expect(document.querySelectorAll("main, h1")).toHaveLength(2);
    const levels = Array.from(document.querySelectorAll("h1, h2, h3"), ({ tagName }) => Number(tagName[1]));
    expect(levels.every((level, i) => i === 0 || level <= levels[i - 1] + 1)).toBe(true);
    expect(document.querySelector("meta[name=viewport]")!.getAttribute("content")).toContain("width=device-width");
    const css = document.querySelector("style")!.textContent;
    for (const rule of ["prefers-color-scheme: dark", ":focus-visible", "@media print", "overflow-x: auto"])
      expect(css).toContain(rule);
  });

  it("shows hostile names and errors as text", async () => {
    const kept = readdirSync(rendered);
    const hostile = PAYLOADS.filter((payload) => !payload.includes("/"));
    try {
      for (const [i, payload] of PAYLOADS.entries())
        writeNotebook(`x${i}`, [{ output_type: "error", ename: "E", evalue: payload }], `# ${payload}`);
      for (const payload of hostile) writeNotebook(visibleText(payload));
      const { page, document, out } = await write({ notebooks: true });
      const shown = textOf(document);
      for (const payload of PAYLOADS) expect(shown).toContain(`stopped with an error: E: ${visibleText(payload)}`);
      expect(document.querySelectorAll("script, main svg, main img:not(figure img)")).toHaveLength(0);
      expect(page).not.toMatch(/[\u202e\u001b]/);
      for (const link of document.querySelectorAll("a")) {
        const target = link.getAttribute("href")!;
        expect(target).toMatch(/^(#|notebooks\/)/);
        if (!target.startsWith("#")) expect(existsSync(resolve(out, decodeURIComponent(target)))).toBe(true);
      }
    } finally {
      for (const name of readdirSync(rendered).filter((file) => !kept.includes(file))) rmSync(join(rendered, name));
      for (const name of readdirSync(notebooks).filter((file) => !kept.includes(file))) rmSync(join(notebooks, name));
    }
  });
});

describe("the folder", () => {
  it("can be moved: every link is relative, and leads somewhere and back", async () => {
    const { out } = await write();
    const moved = join(folder, "moved elsewhere");
    renameSync(out, moved);
    const follow = (file: string): string[] => {
      const { document } = new JSDOM(readFileSync(file, "utf8")).window;
      return Array.from(document.querySelectorAll("a"), (link) => link.getAttribute("href")!).filter((to) => !to.startsWith("#"));
    };
    const links = follow(join(moved, "index.html"));
    expect(links).toEqual(["notebooks/a-first.html", "notebooks/b%20%26%20%3Csecond%3E.html"]);
    for (const link of links) {
      const page = join(moved, decodeURIComponent(link));
      expect(follow(page)).toEqual(["../index.html"]);
      expect(resolve(dirname(page), "../index.html")).toBe(join(moved, "index.html"));
      const { document } = new JSDOM(readFileSync(page, "utf8")).window;
      expect(document.body.firstElementChild!.tagName).toBe("STYLE");
      expect(document.querySelector("a")!.getAttribute("href")).toBe("#content");
      expect(document.querySelector("#content")!.tagName).toBe("MAIN");
    }
  });

  it("names no folder of this machine", async () => {
    writeNotebook("with-paths", [
      { output_type: "error", ename: "E", evalue: `${repository}src/x.ts failed in ${join(homedir(), "secret")}` },
      { output_type: "display_data", data: { "text/plain": `Figure: ${tmpdir()}/x`, "image/svg+xml": [SVG, "\n"] } },
    ]);
    try {
      const { out } = await write({ figures: true });
      const files = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((file) => /\.(html|svg)$/.test(file));
      expect(files).toContain(join("notebooks", "with-paths.html"));
      for (const file of files) {
        const text = readFileSync(join(out, file), "utf8");
        for (const place of [repository.replace(/\/$/, ""), join(homedir(), "secret"), folder]) expect(text).not.toContain(place);
      }
      expect(readFileSync(join(out, "index.html"), "utf8")).toContain("./src/x.ts failed in ~");
    } finally {
      for (const path of [
        join(notebooks, "with-paths.ipynb"),
        join(rendered, "with-paths.html"),
        join(rendered, "with-paths.ipynb"),
      ])
        rmSync(path);
    }
  });

  it("shows models that were opened by a path by its last part, in the table and in the figures", async () => {
    const at = join(folder, "by-path");
    const run = { mode: "generation", learningRate: 0.001, chosen: true, seed: 1 } as const;
    const place = join(at, "runs", "sft-small");
    mkdirSync(place, { recursive: true });
    writeExperiment([{ ...run, predictions: { xstest: said([0]) } }], ["xstest"], place);
    const summary = join(place, "summary.json");
    writeFileSync(summary, readFileSync(summary, "utf8").replace("tiny-random", "/home/alice/models/tiny"));
    const evaluated = join(at, "runs", "evaluated");
    mkdirSync(join(evaluated, "predictions"), { recursive: true });
    writeFileSync(join(evaluated, "config.json"), JSON.stringify({ kind: "evaluation" }));
    const facts = { model: join(homedir(), "secret", "other"), adapter: "/home/alice/lora", format: "classification" };
    writeFileSync(join(evaluated, "summary.json"), JSON.stringify(facts));
    writeFileSync(
      join(evaluated, "predictions", "xstest.jsonl"),
      said([1])
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(""),
    );
    vi.mocked(drawSvg).mockClear();
    const { page, document } = await write({ notebooks: false, results: at });
    const rows = Array.from(document.querySelectorAll(".results tbody tr"), (row) => row.textContent);
    expect(rows[1]).toMatch(/^tiny SFT, generation/);
    expect(rows[2]).toMatch(/^other \+ lora, classification \(evaluate\)/);
    expect(vi.mocked(drawSvg)).toHaveBeenCalled();
    const drawn = JSON.stringify(vi.mocked(drawSvg).mock.calls);
    expect(drawn).toContain("tiny SFT, generation");
    for (const text of [page, drawn]) expect(text).not.toMatch(/alice|\/models|secret/);
  });

  it("has every figure as SVG and PNG where they are asked for, and else none", async () => {
    const figure = { output_type: "display_data", data: { "text/plain": "Figure: Half", "image/svg+xml": SVG } };
    writeNotebook("a-first", [figure, { output_type: "stream", text: "x" }, figure]);
    const { out, figures, document } = await write({ figures: true });
    // No single requests were timed.
    const names = ["pareto", "pareto-auprc", "a-first-1", "a-first-2"];
    expect(readdirSync(join(out, "figures")).sort()).toEqual(names.flatMap((name) => [`${name}.png`, `${name}.svg`]).sort());
    expect(figures).toBe(names.length);
    expect(readFileSync(join(out, "figures", "a-first-1.svg"), "utf8")).toBe(`${SVG}\n`);
    expect(
      readFileSync(join(out, "figures", "a-first-2.png"))
        .subarray(1, 4)
        .toString(),
    ).toBe("PNG");
    const links = Array.from(document.querySelectorAll("#figures a"), (link) => link.getAttribute("href"));
    expect(links).toEqual(names.flatMap((name) => [`figures/${name}.svg`, `figures/${name}.png`]));
    await writeBundle(out, { folder: notebooks, output: rendered, results });
    expect(readdirSync(out).sort()).toEqual(["index.html", "notebooks"]);
  });

  it("replaces a report and nothing else", async () => {
    const { out } = await write();
    writeFileSync(join(out, "mine.txt"), "keep");
    await writeBundle(out, { notebooks: false, results });
    expect(readdirSync(out).sort()).toEqual(["index.html", "mine.txt"]);
    const other = join(folder, "other");
    mkdirSync(other);
    writeFileSync(join(other, "index.html"), "<p>somebody's page</p>");
    await expect(writeBundle(other, { notebooks: false, results })).rejects.toThrow(ReportFolderError);
    expect(readFileSync(join(other, "index.html"), "utf8")).toBe("<p>somebody's page</p>");
    const empty = join(folder, "empty");
    mkdirSync(empty);
    await writeBundle(empty, { notebooks: false, results });
    expect(readdirSync(empty)).toEqual(["index.html"]);
  });

  it("stays as it was when something goes wrong", async () => {
    const { out, page } = await write({ notebooks: false });
    const broken = join(folder, "broken");
    mkdirSync(join(broken, "recorded", "sft-small"), { recursive: true });
    writeFileSync(join(broken, "recorded", "sft-small", "summary.json"), "{");
    await expect(writeBundle(out, { notebooks: false, results: broken })).rejects.toThrow(/summary\.json/);
    expect(readFileSync(join(out, "index.html"), "utf8")).toBe(page);
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    await expect(
      writeBundle(out, { folder: notebooks, output: rendered, results, signal: AbortSignal.abort(new Error("enough")) }),
    ).rejects.toThrow("enough");
    expect(readFileSync(join(out, "index.html"), "utf8")).toBe(page);
  });
});

describe("pages", () => {
  const missing = new NotebookError("the notebooks' Python environment, .venv, is missing or incomplete. Run: npm run setup");
  const called = (): unknown => vi.mocked(renderNotebooks).mock.lastCall?.[0];
  afterEach(() => {
    for (const name of ["c-new.ipynb"]) rmSync(join(notebooks, name), { force: true });
    for (const name of ["c-new.ipynb", "c-new.html"]) rmSync(join(rendered, name), { force: true });
  });

  it("are taken as they are while they are younger than their notebooks and the runs", async () => {
    const { pages } = await write();
    expect(renderNotebooks).not.toHaveBeenCalled();
    expect(pages.pages.map(({ name, title }) => [name, title])).toEqual([
      ["a-first", "The a-first"],
      ["b & <second>", "The b & <second>"],
    ]);
    expect(pages.notes).toEqual([]);
  });

  it("are made where they are missing or old, and only those", async () => {
    writeFileSync(join(notebooks, "c-new.ipynb"), "{}");
    vi.mocked(renderNotebooks).mockImplementation(() => {
      writeNotebook("c-new");
      return Promise.resolve<RenderedNotebook[]>([]);
    });
    expect((await write()).pages.pages.map(({ name }) => name)).toContain("c-new");
    expect(called()).toEqual(["c-new"]);
    // Older than the newest run.
    utimesSync(join(rendered, "a-first.html"), 1, 1);
    await write();
    expect(called()).toEqual(["a-first"]);
    vi.mocked(renderNotebooks).mockClear();
    const { pages, document } = await write({ render: false });
    expect(renderNotebooks).not.toHaveBeenCalled();
    expect(pages.notes).toEqual(["Notebooks that were executed before their last change, or before the newest run: a-first"]);
    expect(document.querySelector(".wrong")!.textContent).toContain(pages.notes[0]);
    writeNotebook("a-first");
  });

  it("that cannot be made are named, with what to do", async () => {
    writeFileSync(join(notebooks, "c-new.ipynb"), "{}");
    vi.mocked(renderNotebooks).mockRejectedValue(missing);
    const { pages } = await write();
    expect(pages.pages.map(({ name }) => name)).toEqual(["a-first", "b & <second>"]);
    expect(pages.notes).toEqual([`Notebooks that are not in this report: c-new (${missing.message})`]);
  });

  it("of which there is none stop the report, unless they are not wanted", async () => {
    const empty = mkdtempSync(join(folder, "none-"));
    vi.mocked(renderNotebooks).mockRejectedValue(missing);
    await expect(write({ output: empty })).rejects.toThrow(/no page to put into the report: .*npm run setup.*--no-notebooks/);
    await expect(write({ output: empty, render: false })).rejects.toThrow(/npx true-intents notebooks/);
    expect((await write({ output: empty, notebooks: false })).pages.pages).toEqual([]);
    vi.mocked(renderNotebooks).mockRejectedValue(new RangeError("another fault"));
    await expect(write({ output: empty })).rejects.toThrow("another fault");
  });

  it("that are none of ours are refused by name, and damaged ones too", async () => {
    writeNotebook("c-new");
    writeFileSync(join(rendered, "c-new.html"), "<body><main>");
    await expect(write()).rejects.toThrow(/c-new\.html is no page of ours/);
    writeNotebook("c-new");
    writeFileSync(join(rendered, "c-new.ipynb"), '{"cells": 3}');
    await expect(write()).rejects.toThrow(/c-new\.ipynb.*cells/);
  });

  it("begin as the template has it", () => {
    const template = readFileSync(
      fileURLToPath(new URL("../../scripts/notebooks/templates/report/index.html.j2", import.meta.url)),
      "utf8",
    );
    expect(template).toContain("<body>\n<main>\n");
    expect(template).toContain('name="viewport"');
  });
});
