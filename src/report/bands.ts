/** Curves of several seeds as one: their mean with a band of a deviation to either side, and each seed's own points faintly behind. */
import { spread, type Spread } from "../evaluate/spread.js";
import { trailingMean } from "./learning-curves.js";

/** More points than these are drawn smaller. */
const CROWDED = 60;

/** What one seed has measured. */
export interface SeedCurve {
  readonly x: readonly number[];
  /** Null where it was not defined. */
  readonly y: readonly (number | null)[];
}

export interface BandSeries {
  readonly name: string;
  /** #rrggbb */
  readonly color: string;
  readonly seeds: readonly SeedCurve[];
}

export interface BandPoint extends Spread {
  readonly x: number;
  readonly mean: number;
}

/**
 * Mean and deviation over the seeds wherever each of them has a value.
 * @param share each seed's curve is first made a trailing mean over this share of it; 0: it is taken as it is
 */
export function bandOf(seeds: readonly SeedCurve[], share = 0): BandPoint[] {
  const curves = seeds.map(({ x, y }) => new Map((share === 0 ? y : trailingMean(y, share)).map((value, i) => [x[i], value])));
  return [...(curves.at(0)?.keys() ?? [])].flatMap((x) => {
    const { mean, deviation } = spread(curves.map((curve) => curve.get(x) ?? null));
    return mean === null ? [] : [{ x, mean, deviation }];
  });
}

/**
 * The traces of a series: points, band (with several seeds), mean. None without a value.
 * @param place what the traces have in common beside the name: axes, whether the legend shows the mean
 */
export function bandTraces(
  { name, color, seeds }: BandSeries,
  place: { readonly xaxis: string; readonly yaxis: string; readonly showlegend: boolean },
  share = 0,
): object[] {
  const band = bandOf(seeds, share);
  if (band.length === 0) return [];
  const behind = { ...place, type: "scatter", name, legendgroup: name, showlegend: false, hoverinfo: "skip" };
  const points = seeds.flatMap(({ x, y }) => x.map((at, i) => ({ x: at, y: y[i] }))).filter((point) => point.y !== null);
  const raw = {
    ...{ ...behind, mode: "markers", x: points.map(({ x }) => x), y: points.map(({ y }) => y) },
    marker: { color, opacity: 0.3, size: points.length > CROWDED ? 3 : 6 },
  };
  const wide = band.filter(({ deviation }) => deviation !== null);
  const edge = (sign: 1 | -1): number[] => wide.map(({ mean, deviation }) => mean + sign * deviation!);
  const area = {
    ...{ ...behind, mode: "lines", fill: "toself", fillcolor: `${color}33`, line: { width: 0, color } },
    x: [...wide.map(({ x }) => x), ...wide.map(({ x }) => x).toReversed()],
    y: [...edge(1), ...edge(-1).toReversed()],
  };
  const line = {
    ...{ ...place, type: "scatter", mode: "lines", name, legendgroup: name, line: { color, width: 2.2 } },
    ...{ x: band.map(({ x }) => x), y: band.map(({ mean }) => mean) },
    customdata: band.map(({ deviation }) => (deviation === null ? "" : ` ± ${deviation.toPrecision(2)}`)),
    hovertemplate: "%{x}: %{y:.4g}%{customdata}<extra>%{fullData.name}</extra>",
  };
  return [raw, ...(wide.length > 1 ? [area] : []), line];
}
