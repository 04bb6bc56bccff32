import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { figureSvg } from "../../src/report/figure.js";
import { placeLabels, type PlacedLabel } from "../../src/report/labels.js";
import { paretoFigure, paretoFrontier, publishedPareto, type ParetoPoint } from "../../src/report/pareto.js";
import { loadPublished } from "../../src/report/published.js";

const own = (model: string, millisecondsPerPrompt: number, score: number, more: Partial<ParetoPoint> = {}): ParetoPoint => ({
  model,
  group: "measured here",
  measure: "F1",
  score,
  interval: null,
  millisecondsPerPrompt,
  latencyInterval: null,
  tokensPerPrompt: null,
  unparsed: null,
  sets: "xstest",
  ...more,
});

interface Trace {
  readonly name?: string;
  readonly mode: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly text?: readonly string[];
  readonly customdata?: readonly (readonly string[])[];
  readonly marker?: { readonly line: { readonly width: readonly number[] } };
  readonly error_x?: ErrorBars;
  readonly error_y?: ErrorBars;
}

interface ErrorBars {
  readonly visible: boolean;
  readonly array: readonly number[];
  readonly arrayminus: readonly number[];
}

interface Layout {
  readonly xaxis: { readonly range: readonly number[]; readonly type?: string };
  readonly yaxis: { readonly range: readonly number[]; readonly title: { readonly text: string } };
}

const traces = (points: readonly ParetoPoint[]): readonly Trace[] => paretoFigure(points).data as readonly Trace[];
const layoutOf = (points: readonly ParetoPoint[]): Layout => paretoFigure(points).layout as Layout;

describe("the frontier", () => {
  it("is the published one: four points, as the paper's figure has them", () => {
    const { frontier } = loadPublished("figures").pareto;
    const computed = paretoFrontier(publishedPareto());
    expect(computed.map(({ model }) => model)).toEqual(frontier.map(({ model }) => model));
    for (const [i, { millisecondsPerPrompt, score }] of computed.entries()) {
      expect(millisecondsPerPrompt).toBe(frontier[i].millisecondsPerPrompt);
      expect(score).toBeCloseTo(frontier[i].f1, 3);
    }
  });

  it("holds exactly the points that nothing as fast or faster beats or equals", () => {
    const point = fc.record({ millisecondsPerPrompt: fc.integer({ min: 1, max: 8 }), score: fc.integer({ min: 0, max: 8 }) });
    fc.assert(
      fc.property(fc.array(point), (points) => {
        const frontier = paretoFrontier(points);
        const beaten = (a: (typeof points)[number], b: (typeof points)[number]): boolean =>
          b.millisecondsPerPrompt <= a.millisecondsPerPrompt &&
          b.score >= a.score &&
          (b.millisecondsPerPrompt < a.millisecondsPerPrompt || b.score > a.score);
        const best = points.filter((a) => !points.some((b) => beaten(a, b)));
        const distinct = new Set(best.map(({ millisecondsPerPrompt, score }) => `${millisecondsPerPrompt} ${score}`));
        expect(new Set(frontier.map(({ millisecondsPerPrompt, score }) => `${millisecondsPerPrompt} ${score}`))).toEqual(
          distinct,
        );
        expect(frontier.length).toBe(distinct.size);
      }),
    );
  });
});

describe("the figure", () => {
  it("has the limits and the kinds of points of the paper's", () => {
    const { xaxis, yaxis } = layoutOf(publishedPareto());
    const { axes } = loadPublished("figures").pareto;
    expect([...xaxis.range, ...yaxis.range].map((limit, i) => limit.toFixed(i < 2 ? 1 : 3))).toEqual(
      [...axes.milliseconds, ...axes.f1].map((limit, i) => limit.toFixed(i < 2 ? 1 : 3)),
    );
    expect(xaxis.type).toBeUndefined();
    expect(traces(publishedPareto()).map(({ name, x }) => [name, x.length])).toEqual([
      ["frontier, published", 4],
      ["prior work", 4],
      ["the paper's models", 4],
      [undefined, 8],
    ]);
  });

  it("draws a frontier of its own over what was measured here, and marks both frontiers' points", () => {
    const points = [...publishedPareto(), own("a", 50, 0.7), own("b", 60, 0.6), own("c", 70, 0.75)];
    const byName = new Map(traces(points).map((trace) => [trace.name, trace]));
    expect(byName.get("frontier, measured here")!.x).toEqual([50, 70]);
    expect(byName.get("frontier, published")!.x.length).toBe(4);
    expect(byName.get("measured here")!.marker!.line.width.map((width) => width > 1)).toEqual([true, false, true]);
  });

  it("names a grid's cells only on the frontier, which they share with the others", () => {
    const cell = { group: "distilled here" } as const;
    const points = [own("a", 50, 0.7), own("b", 60, 0.6, cell), own("c", 70, 0.75, cell), own("d", 80, 0.7)];
    const all = traces(points);
    expect(all.find(({ name }) => name === "frontier, measured here")!.x).toEqual([50, 70]);
    expect(all.find(({ name }) => name === "distilled here")!.x).toEqual([60, 70]);
    expect(all.find(({ mode }) => mode === "text")!.text).toEqual(["a", "c", "d"]);
  });

  it("tells tokens per prompt, interval and sets on hovering", () => {
    const point = own("a", 50, 0.7, { tokensPerPrompt: 17.93, unparsed: 0.0125, interval: { low: 0.65, high: 0.74 } });
    const measured = traces([...publishedPareto(), point]).find(({ name }) => name === "measured here")!;
    expect(measured.customdata).toEqual([
      ["a", "F1 0.700 (0.650 to 0.740), xstest", "50.0 ms a prompt", "17.9 generated tokens a prompt, 1.3% unparsed"],
    ]);
    expect(measured.error_y!.array[0]).toBeCloseTo(0.04);
    expect(measured.error_y!.arrayminus[0]).toBeCloseTo(0.05);
    expect(measured.error_x!.visible).toBe(false);
    expect(traces([own("a", 50, 0.7)])[0].customdata![0][3]).toBe("generated tokens not counted");
  });

  it("has intervals on both axes, inside the limits", () => {
    const point = own("a", 50, 0.7, { interval: { low: 0.5, high: 0.9 }, latencyInterval: { low: 31, high: 88 } });
    const [{ error_x, error_y, customdata }] = traces([point]);
    expect([error_x!.arrayminus[0], error_x!.array[0]]).toEqual([19, 38]);
    expect(error_y!.array[0]).toBeCloseTo(0.2);
    expect(customdata![0][2]).toBe("50.0 (31.0 to 88.0) ms a prompt");
    const { xaxis, yaxis } = layoutOf([point]);
    expect(xaxis.range[0] < 31 && xaxis.range[1] > 88 && yaxis.range[0] < 0.5 && yaxis.range[1] > 0.9).toBe(true);
    // On a logarithmic axis too, and a point without intervals has no bars.
    const wide = layoutOf([point, own("b", 4000, 0.8)]);
    expect(10 ** wide.xaxis.range[0]).toBeLessThan(31);
    const [{ error_x: both }] = traces([point, own("b", 4000, 0.8)]).filter(({ name }) => name === "measured here");
    expect(both!.array).toEqual([38, 0]);
  });

  it("names its measure on the axis and on hovering", () => {
    const [point] = [own("a", 50, 0.7, { measure: "AUPRC" })];
    expect(layoutOf([point]).yaxis.title.text).toBe("Mean Test AUPRC ↑");
    expect(layoutOf(publishedPareto()).yaxis.title.text).toBe("Mean Test F1 ↑");
    expect(traces([point])[0].customdata![0][1]).toBe("AUPRC 0.700, xstest");
  });

  it("shows latencies far apart on a logarithmic axis, and one point by itself", () => {
    const wide = layoutOf([...publishedPareto(), own("slow", 4000, 0.7)]);
    expect(wide.xaxis.type).toBe("log");
    expect(10 ** wide.xaxis.range[0]).toBeLessThan(4.66);
    expect(10 ** wide.xaxis.range[1]).toBeGreaterThan(4000);
    const { xaxis, yaxis } = layoutOf([own("a", 50, 0.7)]);
    expect(xaxis.range[0] < 50 && xaxis.range[1] > 50 && yaxis.range[0] < 0.7 && yaxis.range[1] > 0.7).toBe(true);
  });

  it("keeps markup in a model's name as text", async () => {
    const svg = await figureSvg(paretoFigure([own("<script>alert(1)</script>", 50, 0.7), own("<a href='x'>b</a>", 60, 0.8)]));
    expect(svg).not.toContain("<script");
    expect(svg).toMatch(/(&lt;|&#60;)script/);
    expect(svg).not.toMatch(/<a [^>]*href/);
  });
});

describe("labels", () => {
  const area = { left: 72, right: 820, top: 52, bottom: 444 };
  const fontSize = 12;
  const boxOf = ({ x, y }: PlacedLabel, text: string): { left: number; right: number; top: number; bottom: number } => {
    const [width, height] = [text.length * fontSize * 0.5, fontSize];
    return { left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 };
  };
  type Box = ReturnType<typeof boxOf>;
  const meet = (a: Box, b: Box): boolean => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

  it("cover no label and no point, and stay inside, for up to a dozen points anywhere", () => {
    const spot = fc.record({ x: fc.integer({ min: 90, max: 800 }), y: fc.integer({ min: 70, max: 430 }) });
    const apart = fc.uniqueArray(spot, {
      maxLength: 12,
      comparator: (a, b) => Math.hypot(a.x - b.x, a.y - b.y) < 24,
    });
    fc.assert(
      fc.property(apart, (spots) => {
        const labels = spots.map((at, i) => ({
          ...at,
          text: ["WildGuard 7B", "GPT OSS Safeguard 120B", "Llama-3.1-8B SFT"][i % 3],
        }));
        const boxes = placeLabels({ labels, lines: [], area, fontSize }).map((place, i) => boxOf(place, labels[i].text));
        for (const [i, box] of boxes.entries()) {
          expect(box.left >= area.left && box.right <= area.right && box.top >= area.top && box.bottom <= area.bottom).toBe(true);
          for (const other of boxes.slice(i + 1)) expect(meet(box, other)).toBe(false);
          for (const { x, y } of spots) expect(meet(box, { left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 })).toBe(false);
        }
      }),
      { numRuns: 60, seed: 22 },
    );
  });

  it("keep off lines where there is room, and need no line of their own close by", () => {
    const labels = [{ x: 400, y: 250, text: "Llama-3.1-8B Distill" }];
    const [place] = placeLabels({
      labels,
      lines: [
        [
          { x: 72, y: 250 },
          { x: 820, y: 250 },
        ],
      ],
      area,
      fontSize,
    });
    const box = boxOf(place, labels[0].text);
    expect(box.bottom < 250 || box.top > 250).toBe(true);
    expect(place.lineTo).toBeNull();
  });
});
