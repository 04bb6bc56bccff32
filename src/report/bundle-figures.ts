/** A report's figures: those of its first page, and for papers every figure of every notebook as SVG and PNG. */
import type { BundlePage, PageFigure } from "./bundle-pages.js";
import { withoutPlaces, type Place } from "./bundle-places.js";
import { baselineModel } from "./measured-models.js";
import type { MeasuredPoints } from "./bundle-results.js";
import type { BundleRuns } from "./bundle-runs.js";
import { figureSvg, FigureError } from "./figure.js";
import { pointsOf } from "./pareto-points.js";
import { paretoFigure, publishedPareto, type ParetoPoint } from "./pareto.js";
import { svgToPng } from "./png.js";

/** A figure of the first page, by the name of its files. */
export interface NamedFigure extends PageFigure {
  readonly name: string;
}

/**
 * The frontier: in batches beside the paper's, one request at a time, and with AUPRC, as far as there are points of each kind.
 * @param places what of this machine the figures do not show
 */
export async function paretoFigures(runs: BundleRuns, points: MeasuredPoints, places: readonly Place[]): Promise<NamedFigure[]> {
  const baselines = runs.baselines.map((baseline) => baselineModel(baseline, runs.testSets));
  const measured = [...points.values(), ...pointsOf(baselines)];
  const single = measured.flatMap((point): ParetoPoint[] => {
    const request = runs.requests.get(point.model);
    if (request === undefined) return [];
    const { milliseconds: millisecondsPerPrompt, interval: latencyInterval, tokensPerPrompt } = request;
    return [{ ...point, millisecondsPerPrompt, latencyInterval, tokensPerPrompt }];
  });
  const views = [
    {
      name: "pareto",
      title:
        measured.length === 0 ? "Latency and F1, as published" : "Published (five benchmarks) and measured here (other sets)",
      latency: "Time per prompt in batches (ms) ↓",
      points: [...publishedPareto(), ...measured],
    },
    {
      ...{ name: "pareto-single-requests", title: "One request at a time, measured here", points: single },
      latency: "Median latency of a single request (ms) ↓",
    },
    {
      ...{
        name: "pareto-auprc",
        title: "The same with AUPRC, measured here",
        points: pointsOf([...runs.models, ...baselines], "AUPRC"),
      },
      latency: "Time per prompt in batches (ms) ↓",
    },
  ];
  const figures: NamedFigure[] = [];
  for (const { name, title, latency, points } of views) {
    if (points.length === 0) continue;
    // Before labels are placed: a path is longer than what is shown of it.
    const shown = points.map((point) => ({ ...point, model: withoutPlaces(point.model, places) }));
    figures.push({ name, caption: title, svg: await figureSvg(paretoFigure(shown, { title, latency })) });
  }
  return figures;
}

/** A figure's two files, below the report's folder. */
export interface FigureFiles {
  readonly caption: string;
  readonly svg: string;
  readonly png: string;
}

/**
 * Every figure as SVG and PNG.
 * @returns the files' contents by path, and what they show
 * @throws FigureError naming a figure that cannot be drawn
 */
export async function exportFigures(
  own: readonly NamedFigure[],
  pages: readonly BundlePage[],
): Promise<{ readonly files: ReadonlyMap<string, string | Buffer>; readonly list: readonly FigureFiles[] }> {
  const all = [
    ...own,
    ...pages.flatMap(({ name, figures }) => figures.map((figure, i) => ({ ...figure, name: `${name}-${i + 1}` }))),
  ];
  const files = new Map<string, string | Buffer>();
  const list: FigureFiles[] = [];
  for (const { name, caption, svg } of all) {
    const [asSvg, asPng] = [`figures/${name}.svg`, `figures/${name}.png`];
    files.set(asSvg, svg.endsWith("\n") ? svg : `${svg}\n`);
    try {
      files.set(asPng, await svgToPng(svg));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new FigureError(`figure ${name} cannot be drawn as PNG: ${why}`, { cause });
    }
    list.push({ caption, svg: asSvg, png: asPng });
  }
  return { files, list };
}
