/**
 * Figures in one look, from a plotly description to a notebook, a report and a file.
 *
 * A figure is shown as one bundle: interactive (`application/vnd.plotly.v1+json`) in JupyterLab and in our reports, an SVG on
 * GitHub and in print, a line of text in a terminal. Texts of traces are escaped here, because plotly reads `<b>`, `<a href>` and
 * the like in them; the layout and the templates (`hovertemplate`) belong to whoever writes the figure, who passes foreign text
 * in them through {@link figureText}.
 */
import { writeFile } from "node:fs/promises";
import { extname } from "node:path";
import { displayable, type Displayable } from "./display.js";
import { drawSvg, FigureError, type PlotlyFigure } from "./plotly.js";
import { svgToPng } from "./png.js";
import { visibleText } from "./text.js";

export { FigureError, type PlotlyFigure } from "./plotly.js";

/** Eight colours that remain apart for colour-blind readers and in print (Okabe and Ito, 2008); the first are the darkest. */
export const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#f0e442"] as const;

const INK = "#1f2328";
const GRID = "#e3e6ea";
const AXIS = {
  gridcolor: GRID,
  linecolor: INK,
  showline: true,
  ticks: "outside",
  tickcolor: INK,
  zeroline: false,
};

/** The look of all figures, as a plotly template: light, quiet, legible in print. What a figure's own layout says wins. */
export const TEMPLATE = {
  layout: {
    colorway: PALETTE,
    font: { family: "system-ui, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif", size: 13, color: INK },
    paper_bgcolor: "#ffffff",
    plot_bgcolor: "#ffffff",
    margin: { l: 64, r: 24, t: 56, b: 56 },
    xaxis: AXIS,
    yaxis: AXIS,
    title: { x: 0, xref: "paper", font: { size: 16 } },
    legend: { orientation: "h", x: 0, y: -0.18, yanchor: "top" },
    hoverlabel: { align: "left", bgcolor: "#ffffff", font: { color: INK } },
  },
} as const;

const DEFAULT_SIZE = { width: 760, height: 460 };

/** Foreign text for a place where plotly reads markup (titles, annotations, tick texts, templates): nothing in it is markup. */
export function figureText(text: string): string {
  // plotly finds categories by name in a plain object, which has a `constructor` of its own.
  if (Reflect.has(Object.prototype, text)) return `&#${text.charCodeAt(0)};${text.slice(1)}`;
  return visibleText(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("%{", "%&#123;");
}

/**
 * A figure to show: `await` it and make it the last value of a cell, or pass it to display(). The strings in the traces'
 * arrays and their names are taken as text, not as markup.
 * @param options.caption what the figure shows, for those who cannot see it and for terminals; by default its title
 */
export async function showFigure(figure: PlotlyFigure, options: { caption?: string } = {}): Promise<Displayable> {
  const ready = prepare(figure);
  const caption = visibleText(options.caption ?? titleOf(figure.layout));
  const height = sizeOf(figure.layout).height;
  return displayable({
    "application/vnd.plotly.v1+json": {
      data: ready.data,
      layout: { height, ...ready.layout },
      // Dollar signs in names are no mathematics, also where a page has MathJax.
      config: { responsive: true, displaylogo: false, typesetMath: false },
    },
    "image/svg+xml": await figureSvg(figure),
    "text/plain": caption === "" ? "Figure" : `Figure: ${caption}`,
  });
}

/** The figure as a stand-alone SVG, 760 x 460 CSS pixels unless its layout says otherwise. */
export function figureSvg(figure: PlotlyFigure): Promise<string> {
  return drawSvg(prepare(figure), sizeOf(figure.layout));
}

/**
 * Writes the figure for a paper, as its path ends: `.svg`, or `.png` with three pixels a CSS pixel (300 a printed inch at 96 CSS pixels).
 * @throws FigureError for another ending
 */
export async function writeFigure(path: string, figure: PlotlyFigure): Promise<void> {
  const ending = extname(path).toLowerCase();
  if (ending !== ".svg" && ending !== ".png") throw new FigureError(`${path}: a figure is written as .svg or as .png`);
  const svg = await figureSvg(figure);
  await writeFile(path, ending === ".svg" ? `${svg}\n` : await svgToPng(svg));
}

function prepare({ data, layout }: PlotlyFigure): PlotlyFigure {
  return { data: data.map((trace) => safeTrace(trace)), layout: { template: TEMPLATE, ...layout } };
}

/** A copy with arrays' strings and the name escaped, typed arrays as plain ones (JSON has no others). */
function safeTrace(trace: object): object {
  const entries = Object.entries(trace).map(([key, value]: [string, unknown]) => {
    if (Array.isArray(value) || ArrayBuffer.isView(value)) return [key, safeList(value)];
    if (typeof value === "object" && value !== null) return [key, safeTrace(value)];
    const isText = typeof value === "string" && (key === "name" || key === "text" || key === "hovertext");
    return [key, isText ? figureText(value) : value];
  });
  return Object.fromEntries(entries) as object;
}

function safeList(list: unknown): unknown[] {
  return Array.from(list as Iterable<unknown>, (value) => {
    if (Array.isArray(value) || ArrayBuffer.isView(value)) return safeList(value);
    if (typeof value === "object" && value !== null && !(value instanceof Date)) return safeTrace(value);
    return typeof value === "string" ? figureText(value) : value;
  });
}

function titleOf(layout: object): string {
  const { title } = layout as { title?: string | { text?: string } };
  return (typeof title === "string" ? title : (title?.text ?? "")).replace(/<[^>]*>/g, " ");
}

function sizeOf(layout: object): { width: number; height: number } {
  const { width = DEFAULT_SIZE.width, height = DEFAULT_SIZE.height } = layout as { width?: number; height?: number };
  return { width, height };
}
