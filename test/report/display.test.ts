/** What notebooks and reports show: nothing that comes from outside acts as markup, in any of the forms. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as aq from "arquero";
import * as dfd from "danfojs-node";
import fc from "fast-check";
import { JSDOM } from "jsdom";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  cellSignal,
  DISPLAY,
  display,
  displayable,
  PUBLISH,
  showProgress,
  showText,
  type Displayable,
  type NotebookGlobals,
} from "../../src/report/display.js";
import { FigureError } from "../../src/report/plotly.js";
import { figureSvg, figureText, showFigure, writeFigure } from "../../src/report/figure.js";
import { parameter, ParameterError } from "../../src/report/parameters.js";
import { showTable } from "../../src/report/table-html.js";
import { escapeHtml, visibleText } from "../../src/report/text.js";

const notebook = globalThis as NotebookGlobals;
afterEach(() => {
  Reflect.deleteProperty(notebook, PUBLISH);
  vi.restoreAllMocks();
});

const bundleOf = (value: Displayable): Readonly<Record<string, unknown>> => value[DISPLAY]();
const html = (value: Displayable): string => String(bundleOf(value)["text/html"]);
const plain = (value: Displayable): string => String(bundleOf(value)["text/plain"]);

const parser = new new JSDOM().window.DOMParser();
const parse = (page: string): Document => parser.parseFromString(page, "text/html");

/** Text with a good share of what is dangerous somewhere. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "<script>",
        "</script>",
        "<img src=x onerror=a()>",
        "&lt;",
        '" onload="',
        "'`",
        "\u001b[31m",
        "\u202e",
        "\u2028",
        "|",
        "\r\n",
      ),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(""));
/** What HTML cannot carry as it is: NUL and lone surrogates; and what is shown as its code. */
const asShown = (text: string): string => visibleText(text).toWellFormed();

describe("text", () => {
  it("in HTML is what it was, and no element", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const { body } = parse(`<p title="${escapeHtml(text)}">${escapeHtml(text)}</p>`);
        expect(body.querySelectorAll("*")).toHaveLength(1);
        expect(body.textContent).toBe(asShown(text));
        expect(body.firstElementChild?.attributes).toHaveLength(1);
        expect(body.firstElementChild?.getAttribute("title")).toBe(asShown(text));
      }),
      { numRuns: 300 },
    );
  });

  it("shows what would act unseen", () => {
    expect(visibleText("a\u001b[31m\u0000\u202e\u2066\u2028\u009b\r\n\tb é 👩‍🚀 שלום")).toBe(
      "a\\u001b[31m\\u0000\\u202e\\u2066\\u2028\\u009b\\u000d\n\tb é 👩‍🚀 שלום",
    );
    expect(visibleText("a\u200bb\u2060\ufeff\u{e0041}\u{e007f} 🏳️‍🌈")).toBe(
      "a\\u200bb\\u2060\\ufeff\\udb40\\udc41\\udb40\\udc7f 🏳️‍🌈",
    );
    expect(plain(showText("\u0007<b>"))).toBe("\\u0007<b>");
    expect(html(showText("\u0007<b>"))).toContain("\\u0007&#60;b&#62;</pre>");
  });
});

describe("a table", () => {
  it("escapes names, cells and caption", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ a: hostile, b: hostile }), { minLength: 1, maxLength: 3 }), hostile, (rows, name) => {
        const named = rows.map(({ a, b }) =>
          Object.fromEntries([
            [`_${name}`, a],
            ["b", b],
          ]),
        );
        const { body } = parse(html(showTable(named, { caption: name })));
        expect(new Set(Array.from(body.querySelectorAll("*"), ({ tagName }) => tagName))).toEqual(
          new Set(["TABLE", "CAPTION", "THEAD", "TBODY", "TR", "TH", "TD"]),
        );
        expect(Array.from(body.querySelectorAll("td"), (cell) => cell.textContent)).toEqual(
          rows.flatMap(({ a, b }) => [asShown(a), asShown(b)]),
        );
        expect(body.querySelector("caption")?.textContent).toBe(asShown(name));
      }),
      { numRuns: 100 },
    );
  });

  it("writes numbers, gaps and other values", () => {
    const rows = [
      { name: "a", n: 1200, f1: 0.123456, big: 12345.6, none: null, list: [1, "<"], on: true, when: new Date(0) },
      { name: "b", n: -3, f1: Number.NaN, big: 0, none: undefined, list: {}, on: false, when: new Date(1) },
    ];
    const { body } = parse(html(showTable(rows)));
    const cells = Array.from(body.querySelectorAll("tbody tr"), (row) => Array.from(row.children, (cell) => cell.textContent));
    expect(cells).toEqual([
      ["a", "1200", "0.1235", "12346", "–", '[1,"<"]', "true", "1970-01-01T00:00:00.000Z"],
      ["b", "-3", "–", "0", "–", "{}", "false", "1970-01-01T00:00:00.001Z"],
    ]);
    const right = Array.from(body.querySelectorAll("th"), (cell) => cell.getAttribute("style")?.includes("right"));
    expect(right).toEqual([false, true, true, true, true, false, false, false]);
    expect(plain(showTable(rows, { columns: ["n", "name"], caption: "Two rows" }))).toBe(
      "Two rows\n\n| n    | name |\n| ---- | ---: |\n| 1200 |    a |\n| -3   |    b |",
    );
  });

  it("takes arquero's tables and danfojs's frames", () => {
    const rows = [
      { set: "x", n: 2 },
      { set: "y", n: 3 },
    ];
    const expected = html(showTable(rows));
    expect(html(showTable(aq.from(rows) as unknown as { objects(): object[] }))).toBe(expected);
    expect(html(showTable(new dfd.DataFrame(rows) as unknown as { columns: string[]; values: unknown[] }))).toBe(expected);
    expect(html(showTable([]))).toBe(html(showTable(aq.from([]) as unknown as { objects(): object[] })));
  });
});

describe("outside a notebook", () => {
  it("values are printed, progress once, and nothing interrupts", () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    display(displayable({ "text/plain": "one" }), showText("two"));
    const work = showProgress("work", 10);
    for (let i = 1; i <= 10; i++) work.update(i);
    expect(log.mock.calls.flat()).toEqual(["one", "two", "work: 0/10"]);
    expect(cellSignal().aborted).toBe(false);
  });
});

describe("progress", () => {
  it("is one output, replaced at most five times a second and at the end", () => {
    const published: { text: string; id: string | undefined; update: boolean | undefined }[] = [];
    notebook[PUBLISH] = (bundle, { id, update } = {}) => published.push({ text: bundle["text/plain"], id, update });
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const work = showProgress("<work>", 100, 20);
    for (let i = 21; i <= 100; i++) {
      now += 10;
      work.update(i, "loss \u001b[1m0.5");
    }
    expect(published.map(({ text }) => /\d+/.exec(text)?.[0])).toEqual(["20", "40", "60", "80", "100"]);
    expect(published.at(-1)?.text).toBe("<work>: 100/100  loss \\u001b[1m0.5");
    expect(new Set(published.map(({ id }) => id)).size).toBe(1);
    expect(published.map(({ update }) => update)).toEqual([false, true, true, true, true]);
  });
});

describe("a figure", () => {
  const payload = `<script>x()</script> <b>b</b> <a href="https://x.example">link</a> %{x} \u001b[31m`;
  const figure = {
    data: [
      { type: "scatter", mode: "text+lines", name: payload, x: Float32Array.of(1, 2), y: [3, 4], text: [payload, "safe"] },
      { type: "bar", x: [1, 2], y: [1, 2], name: "bars", hovertemplate: "<b>%{y}</b>", customdata: [[payload], ["s"]] },
    ],
    layout: { title: { text: "A <b>bold</b> title" }, xaxis: { title: { text: "tokens" } } },
  };

  it("is one bundle: interactive, still, and a line of text", async () => {
    const bundle = bundleOf(await showFigure(figure));
    expect(Object.keys(bundle)).toEqual(["application/vnd.plotly.v1+json", "image/svg+xml", "text/plain"]);
    expect(bundle["text/plain"]).toMatch(/^Figure: A\s+bold\s+title$/);
    expect(plain(await showFigure(figure, { caption: "Tokens \u0007 against F1" }))).toBe("Figure: Tokens \\u0007 against F1");
    // JSON keeps every number: typed arrays became arrays.
    const { data } = JSON.parse(JSON.stringify(bundle["application/vnd.plotly.v1+json"])) as { data: Record<string, unknown>[] };
    expect(data[0]["x"]).toEqual([1, 2]);
    expect(data[1]["hovertemplate"]).toBe("<b>%{y}</b>");
    expect(JSON.stringify([data[0]["name"], data[0]["text"], data[1]["customdata"]])).not.toMatch(/[<>]|%\{/);
    expect(figure.data[0].name).toBe(payload);
  });

  it("shows foreign text as text, its markup and all", async () => {
    const { document } = new JSDOM(await figureSvg(figure), { contentType: "image/svg+xml" }).window;
    expect(document.querySelectorAll("a, script, [onload], [onerror]")).toHaveLength(0);
    const texts = Array.from(document.querySelectorAll("text"), ({ textContent }) => textContent);
    const shown = payload.replace("\u001b", "\\u001b");
    expect(texts.filter((text) => text === shown)).toHaveLength(2);
    expect(texts).toContain("A bold title");
    expect(figureText("<b>&%{x}")).toBe("&lt;b&gt;&amp;%&#123;x}");
  });

  it("is written as a file that stands alone", async () => {
    const folder = mkdtempSync(join(tmpdir(), "true-intents-figure-"));
    try {
      await writeFigure(join(folder, "f.svg"), figure);
      const svg = readFileSync(join(folder, "f.svg"), "utf8");
      const root = new JSDOM(svg, { contentType: "image/svg+xml" }).window.document.documentElement;
      expect([root.tagName, root.getAttribute("width"), root.getAttribute("height")]).toEqual(["svg", "760", "460"]);
      const addresses = Array.from(root.querySelectorAll("*")).flatMap((element) =>
        Array.from(element.attributes).flatMap(({ name, value }) => (/href|src/.test(name) ? [value] : [])),
      );
      expect(addresses.filter((address) => !/^(#|data:)/.test(address))).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("of a kind that needs a browser is refused by name", async () => {
    await expect(showFigure({ data: [{ type: "heatmap", z: [[1]] }], layout: {} })).rejects.toThrow(FigureError);
    await expect(figureSvg({ data: [{ type: "violin", y: [1] }], layout: {} })).rejects.toThrow(/violin/);
  });
});

describe("a parameter", () => {
  it("is read as its fallback's type", () => {
    const environment = { TEXT: " small ", NUMBER: "3e-4", YES: "true", NO: "0", EMPTY: " " };
    expect(parameter("TEXT", "smoke", environment)).toBe("small");
    expect(parameter("NUMBER", 1, environment)).toBe(3e-4);
    expect([parameter("YES", false, environment), parameter("NO", true, environment)]).toEqual([true, false]);
    expect([parameter("EMPTY", 7, environment), parameter("MISSING", "x", environment)]).toEqual([7, "x"]);
  });

  it("that cannot be read says which one and why", () => {
    expect(() => parameter("SEEDS", 1, { SEEDS: "one" })).toThrow(new ParameterError('SEEDS must be a number, and is "one".'));
    expect(() => parameter("FAST", true, { FAST: "si" })).toThrow(ParameterError);
  });
});
