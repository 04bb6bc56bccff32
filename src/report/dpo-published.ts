/** The paper's own numbers on preference training: the rows of its main table, its early tables, and its sweep of single runs. */
import { signed } from "../evaluate/signed.js";
import { PALETTE, type PlotlyFigure } from "./figure.js";
import type { IntervalSeries } from "./intervals.js";
import { loadPublished } from "./published.js";
import {
  publishedGains,
  publishedModel,
  publishedModelFigure,
  publishedModelTable,
  type PublishedModel,
} from "./published-models.js";
import type { DpoEarlyTables } from "./published-tables.js";

/** SFT, LE-DPO, IF-DPO as the main table has them, each a single run. */
export function publishedDpo(): readonly [PublishedModel, PublishedModel, PublishedModel] {
  return [
    publishedModel("SFT", "Ours, SFT", "Llama-3.1-8B"),
    publishedModel("LE-DPO", "Ours, DPO", "hard-dpo"),
    publishedModel("IF-DPO", "Ours, DPO", "judge-gemma-standalone"),
  ];
}

/** F1 of the paper's SFT and DPO models on the five benchmarks, and their mean. */
export function publishedScores(): object[] {
  return publishedModelTable(publishedDpo());
}

/** The same as dots; SFT last, so that the others have their colours of every figure. */
export function publishedFigure(): PlotlyFigure {
  const [sft, ...dpo] = publishedDpo();
  return publishedModelFigure("The paper's models (Llama-3.1-8B, single runs)", [...dpo, sft]);
}

/** LE-DPO's and IF-DPO's F1 less SFT's, by benchmark. */
export function publishedDifferences(): IntervalSeries[] {
  const [sft, ...dpo] = publishedDpo();
  return publishedGains(sft, dpo);
}

const SHOWN_SETS = { "aims-test": "AIMS test", wildguardmix: "WGTest", xstest: "XSTest" } as const;

/** An early notebook's four models; an earlier SFT adapter than the main table's, unparsed rows left out. */
export function earlyTable(): object[] {
  return loadPublished("dpo-early").conditions.map(({ set, model, f1, f1Macro, recall, accuracy, unparsed }) => ({
    ...{ set: SHOWN_SETS[set], model },
    F1: f1.toFixed(3),
    "macro F1": f1Macro.toFixed(3),
    recall: recall.toFixed(3),
    accuracy: accuracy.toFixed(3),
    unparsed,
  }));
}

/** Its sweep over beta and epochs, macro F1, for pairs by the judge and by wrong labels ("hard"). */
export function earlySweepTable(): object[] {
  const { sweep } = loadPublished("dpo-early");
  const settings = [...new Map(sweep.map(({ beta, epochs }) => [`${beta}, ${epochs}`, { beta, epochs }])).values()];
  return settings.map(({ beta, epochs }) => {
    const cells = (["judge", "hard"] as const).flatMap((pairs) => {
      const row = sweep.find((one) => one.pairs === pairs && one.beta === beta && one.epochs === epochs);
      return (Object.keys(SHOWN_SETS) as (keyof typeof SHOWN_SETS)[]).map(
        (set) => [`${pairs}: ${SHOWN_SETS[set]}`, row?.f1Macro[set].toFixed(3) ?? "–"] as const,
      );
    });
    return { beta: String(beta), epochs, ...Object.fromEntries(cells) };
  });
}

type SweepRun = DpoEarlyTables["runs"][number];

const MEASURES = [
  { field: "aimsF1", name: "AIMS test" },
  { field: "wildguardtestF1", name: "WGTest" },
  { field: "xstestF1", name: "XSTest" },
] as const;

/** Two runs of the sweep that differ in nothing, or in the seed alone. */
interface Repeat {
  readonly first: SweepRun;
  readonly second: SweepRun;
  readonly sameSeed: boolean;
}

function repeats(): Repeat[] {
  const { runs } = loadPublished("dpo-early");
  const setting = ({ beta, pairs, harmfulWeight, epochs, labelSmoothing }: SweepRun): string =>
    JSON.stringify([beta, pairs, harmfulWeight, epochs, labelSmoothing]);
  return runs.flatMap((first, i) =>
    runs
      .slice(i + 1)
      .filter((second) => second.beta !== null && setting(second) === setting(first))
      .map((second) => ({ first, second, sameSeed: first.seed === second.seed })),
  );
}

/** Runs of the sweep with the same settings: what chance alone does to F1. */
export function repeatTable(): object[] {
  return repeats().map(({ first, second, sameSeed }) => ({
    runs: `${first.run} and ${second.run}`,
    settings: `beta ${first.beta}, ${first.pairs}, harmful pairs weigh ${first.harmfulWeight}, ${first.epochs} epoch${first.epochs === 1 ? "" : "s"}`,
    "what differs": sameSeed ? "nothing" : `the seed: ${first.seed}, ${second.seed}`,
    ...Object.fromEntries(MEASURES.map(({ field, name }) => [`${name} F1`, signed(second[field] - first[field])])),
  }));
}

/** The same in sentences, beside the range over all settings. */
export function repeatText(): string {
  const { runs } = loadPublished("dpo-early");
  const all = repeats();
  const trained = runs.filter(({ beta }) => beta !== null);
  const range = (values: readonly number[]): string => {
    const [least, most] = [Math.min(...values).toFixed(3), Math.max(...values).toFixed(3)];
    return least === most ? least : `${least} to ${most}`;
  };
  return MEASURES.map(({ field, name }) => {
    const apart = (sameSeed: boolean): number[] =>
      all.filter((one) => one.sameSeed === sameSeed).map(({ first, second }) => Math.abs(first[field] - second[field]));
    return (
      `${name}: another seed alone moves F1 by ${range(apart(false))}, the same settings again by ${range(apart(true))}; ` +
      `all ${trained.length} runs lie between ${range(trained.map((one) => one[field])).replace(" to ", " and ")}, SFT at ${runs[0][field].toFixed(3)}.`
    );
  }).join("\n");
}

const KINDS = [
  { name: "balanced", symbol: "circle", of: (one: SweepRun) => one.pairs === "balanced" },
  { name: "harmful weighted", symbol: "diamond", of: (one: SweepRun) => one.pairs === "unbalanced" && one.harmfulWeight !== 1 },
  { name: "as mined", symbol: "square", of: (one: SweepRun) => one.pairs === "unbalanced" && one.harmfulWeight === 1 },
] as const;
const [WIDTH, GAP] = [960, 0.075];

/**
 * F1 of the sweep's runs against beta, a panel a test set: colour for epochs, symbol for the pairs, hollow with label smoothing; black
 * bars join runs that differ in the seed alone.
 */
export function sweepFigure(): PlotlyFigure {
  const { runs } = loadPublished("dpo-early");
  const [sft, ...trained] = runs;
  const width = (1 - GAP * (MEASURES.length - 1)) / MEASURES.length;
  const suffix = (panel: number): string => (panel === 0 ? "" : String(panel + 1));
  const epochs = [...new Set(trained.map((one) => one.epochs!))].sort((a, b) => a - b);
  const on = (panel: number): object => ({ type: "scatter", xaxis: `x${suffix(panel)}`, yaxis: `y${suffix(panel)}` });
  const points = MEASURES.flatMap(({ field }, panel) =>
    KINDS.flatMap((kind) =>
      epochs.flatMap((count, color) => {
        const own = trained.filter((one) => kind.of(one) && one.epochs === count);
        if (own.length === 0) return [];
        const name = `${kind.name}, ${count} epoch${count === 1 ? "" : "s"}`;
        return [
          {
            ...{ ...on(panel), mode: "markers", name, legendgroup: name, showlegend: panel === 0 },
            ...{ x: own.map(placeOf), y: own.map((one) => one[field]), hovertext: own.map(describe), hoverinfo: "text+y" },
            marker: {
              ...{ size: 8, color: PALETTE[color], line: { width: 1.5, color: PALETTE[color] } },
              symbol: own.map((one) => (one.labelSmoothing === 0 ? kind.symbol : `${kind.symbol}-open`)),
            },
          },
        ];
      }),
    ),
  );
  const joined = repeats().filter(({ sameSeed }) => !sameSeed);
  const bars = MEASURES.map(({ field }, panel) => ({
    ...{
      ...on(panel),
      mode: "lines",
      name: "another seed alone",
      legendgroup: "seed",
      showlegend: panel === 0,
      hoverinfo: "skip",
    },
    x: joined.flatMap(({ first, second }) => [placeOf(first), placeOf(second), null]),
    y: joined.flatMap(({ first, second }) => [first[field], second[field], null]),
    line: { color: "#000000", width: 2.5 },
  }));
  const start = MEASURES.map(({ field }, panel) => ({
    ...{
      ...on(panel),
      mode: "lines",
      name: "SFT",
      legendgroup: "SFT",
      showlegend: panel === 0,
      x: [0.05, 0.75],
      y: [sft[field], sft[field]],
    },
    line: { color: "#888888", width: 1.5, dash: "dash" },
  }));
  const axes = MEASURES.flatMap((_, panel): [string, object][] => [
    [
      `xaxis${suffix(panel)}`,
      {
        ...{ domain: [panel * (width + GAP), panel * (width + GAP) + width], anchor: `y${suffix(panel)}` },
        ...{ title: { text: "beta" }, range: [0.05, 0.75], dtick: 0.1 },
      },
    ],
    [`yaxis${suffix(panel)}`, { anchor: `x${suffix(panel)}`, title: { text: panel === 0 ? "F1 of the harmful class" : "" } }],
  ]);
  return {
    data: [...start, ...bars, ...points],
    layout: {
      ...{ width: WIDTH, height: 560, margin: { l: 64, r: 16, t: 84, b: 150 } },
      title: { text: `The paper's early sweep: ${trained.length} single runs (hollow: label smoothing)` },
      legend: { orientation: "h", x: 0, y: -0.2, yanchor: "top" },
      ...Object.fromEntries(axes),
      annotations: MEASURES.map(({ name }, panel) => ({
        text: name,
        ...{
          xref: `x${suffix(panel)} domain`,
          yref: "paper",
          x: 0,
          y: 1.02,
          xanchor: "left",
          align: "left",
          yanchor: "bottom",
          showarrow: false,
        },
      })),
    },
  };
}

/** Beta, moved a little so that runs of one beta stand beside each other by epochs and pairs. */
function placeOf(run: SweepRun): number {
  const kind = KINDS.findIndex(({ of }) => of(run)) - 1;
  return run.beta! + 0.016 * kind + 0.02 * (run.epochs! - 1);
}

function describe({ run, group, beta, pairs, harmfulWeight, epochs, labelSmoothing, seed }: SweepRun): string {
  return `run ${run} (${group}): beta ${beta}, ${pairs}, weight ${harmfulWeight}, epochs ${epochs}, smoothing ${labelSmoothing}, seed ${seed}`;
}
