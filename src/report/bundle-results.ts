/** The rows of a report's headline table: models by test sets, measured here and published. */
import { bootstrapInterval } from "../evaluate/bootstrap.js";
import { constantScores, score } from "../evaluate/metrics.js";
import { f1Statistic } from "../evaluate/statistic.js";
import { meanOf } from "../evaluate/spread.js";
import { BENCHMARK_NAMES, BENCHMARK_ORDER, publishedRows } from "./benchmark-table.js";
import type { BundleRuns } from "./bundle-runs.js";
import { baselineModel, type MeasuredModel } from "./measured-models.js";
import { pointsOf } from "./pareto-points.js";
import type { ParetoPoint, Range } from "./pareto.js";
import { loadPublished } from "./published.js";

/** A number, its 95% interval, and the area under the ROC curve beside it; null where they are not known. */
export interface Cell {
  readonly value: number;
  readonly range: Range | null;
  readonly auroc: number | null;
}

export interface ResultRow {
  readonly model: string;
  /** Null for published rows, which are single runs. */
  readonly seeds: number | null;
  /** F1 by set. */
  readonly scores: ReadonlyMap<string, Cell>;
  /** Mean F1: of a published row over the five benchmarks, of one measured here over the sets that its experiment tests on. */
  readonly mean: Cell | null;
  /** In batches. */
  readonly milliseconds: { readonly value: number; readonly range: Range | null } | null;
  /** Median of a single request. */
  readonly request: { readonly value: number; readonly range: Range | null } | null;
}

export interface ResultGroup {
  readonly title: string;
  readonly rows: readonly ResultRow[];
}

export interface Results {
  /** Sets as columns: those tested on here, then the paper's other benchmarks. */
  readonly sets: readonly string[];
  readonly groups: readonly ResultGroup[];
}

/** Points that are known already: their intervals take a second each. */
export type MeasuredPoints = ReadonlyMap<MeasuredModel, ParetoPoint>;

export function measuredPoints({ models }: BundleRuns): MeasuredPoints {
  return new Map(models.flatMap((model) => pointsOf([model]).map((point) => [model, point] as const)));
}

/** Models measured here first, each group in the order of its experiments; then the paper's, as printed. */
export function resultRows(runs: BundleRuns, points: MeasuredPoints): Results {
  const models = [...runs.models, ...runs.baselines.map((baseline) => baselineModel(baseline))];
  const own = models.filter(({ runs: said }) => said.some((seeds) => seeds.length > 0));
  const tested = [...new Set([...runs.testSets, ...own.flatMap(({ sets }) => sets)])];
  const group = (title: string, kind: MeasuredModel["group"]): ResultGroup => ({
    title,
    rows: own.filter((model) => model.group === kind).map((model) => ownRow(model, runs, points)),
  });
  const measured = group("Measured here", "measured here");
  const groups = [
    { ...measured, rows: [...measured.rows, ...floorRow(runs.models, runs.testSets)] },
    group("Distilled here", "distilled here"),
    group("Only asked here: zero-shot and guard models", "only asked here"),
    ...published(),
  ];
  return {
    sets: [...tested, ...BENCHMARK_ORDER.filter((set) => !tested.includes(set))],
    groups: groups.filter(({ rows }) => rows.length > 0),
  };
}

function ownRow(model: MeasuredModel, { requests }: BundleRuns, points: MeasuredPoints): ResultRow {
  const scores = model.sets.flatMap((set, i) => {
    const seeds = model.runs[i];
    const f1 = seeds.length === 0 ? null : bootstrapInterval(seeds, f1Statistic());
    if (f1 === null) return [];
    const auroc = meanOf(seeds.map((said) => score(said).auroc));
    return [[set, { value: f1.estimate, range: { low: f1.low, high: f1.high }, auroc }] as const];
  });
  const point = points.get(model) ?? pointsOf([model]).at(0) ?? null;
  const request = requests.get(model.name);
  return {
    model: model.name,
    seeds: Math.max(...model.runs.map((seeds) => seeds.length)),
    scores: new Map(scores),
    mean: point && { value: point.score, range: point.interval, auroc: meanOf(scores.map(([, { auroc }]) => auroc)) },
    milliseconds: point && { value: point.millisecondsPerPrompt, range: point.latencyInterval },
    request: request === undefined ? null : { value: request.milliseconds, range: request.interval },
  };
}

/** What always answering harmful would score on the sets that were tested on; none if no model saw them. */
function floorRow(models: readonly MeasuredModel[], sets: readonly string[]): ResultRow[] {
  const scores = sets.flatMap((set) => {
    const lists = models.flatMap((model) => model.runs[model.sets.indexOf(set)] ?? []);
    if (lists.length === 0) return [];
    const longest = lists.reduce((best, list) => (list.length > best.length ? list : best));
    const { byRule, auroc } = constantScores(longest, "harmful");
    return byRule.wrong.f1 === null ? [] : [[set, { value: byRule.wrong.f1, range: null, auroc }] as const];
  });
  if (scores.length === 0) return [];
  const cells = scores.map(([, cell]) => cell);
  const value = meanOf(cells.map((cell) => cell.value))!;
  const mean = scores.length === sets.length ? { value, range: null, auroc: meanOf(cells.map(({ auroc }) => auroc)) } : null;
  return [{ model: "always harmful", seeds: null, scores: new Map(scores), mean, milliseconds: null, request: null }];
}

/** Rows of the paper's main table under the names of its latency table, where it has them. */
const TIMED_AS: Readonly<Record<string, string>> = {
  "LlamaGuard 4": "LlamaGuard 4 12B",
  "ShieldGemma 27B": "ShieldGemma 27B",
  WildGuard: "WildGuard 7B",
  "GuardReasoner 8B": "GuardReasoner 8B",
  "GPT-OSS-Safeguard 120B": "GPT OSS Safeguard 120B",
  "Nemotron Safety 4B": "Nemotron Safety 4B",
  "Llama-3.1-8B (generation)": "Llama-3.1-8B SFT",
  "Gemma-3-12B (generation)": "Gemma-3-12B SFT",
  "hard-dpo [sample set e]": "Llama-3.1-8B LE-DPO",
};

/** Rows that the paper's main table has under its scripts' names. */
const NAMES: Readonly<Record<string, string>> = {
  "hard-dpo [sample set e]": "LE-DPO (hard-dpo, sample set e)",
  "judge-gemma-standalone [sample set c]": "IF-DPO (judge-gemma-standalone, sample set c)",
};

function published(): ResultGroup[] {
  const cell = (value: number): Cell => ({ value, range: null, auroc: null });
  const times = new Map(loadPublished("latency").rows.map((row) => [row.model, row]));
  const timeOf = (name: string | undefined): ResultRow["milliseconds"] => {
    const row = name === undefined ? undefined : times.get(name);
    return row === undefined ? null : { value: row.millisecondsPerPrompt, range: null };
  };
  const groups = new Map<string, ResultRow[]>();
  for (const { group, model, f1, mean } of publishedRows()) {
    const title = `Published: ${group.replace(/^Ours/, "the paper’s")}`;
    const timed = Object.hasOwn(TIMED_AS, model) ? TIMED_AS[model] : undefined;
    const row = {
      ...{
        model: Object.hasOwn(NAMES, model) ? NAMES[model] : model,
        seeds: null,
        mean: cell(mean),
        milliseconds: timeOf(timed),
        request: null,
      },
      scores: new Map(BENCHMARK_ORDER.map((set) => [set, cell(f1[set])])),
    };
    groups.set(title, [...(groups.get(title) ?? []), row]);
  }
  const rest = [...times.values()].filter(({ model }) => !Object.values(TIMED_AS).includes(model));
  groups.set(
    "Published: only in the latency table",
    rest.map(({ model, f1Printed }) => ({
      ...{ model, seeds: null, scores: new Map(), mean: cell(f1Printed), milliseconds: timeOf(model), request: null },
    })),
  );
  return [...groups].map(([title, rows]) => ({ title, rows }));
}

/** A set's name as a column: of a file of the user's its last part. */
export function setTitle(set: string): string {
  const benchmark = BENCHMARK_ORDER.find((name) => name === set);
  return benchmark === undefined ? (set.split(/[\\/]/).at(-1) ?? set) : BENCHMARK_NAMES[benchmark];
}
