/** What a reproduction found, in one table: each model's scores and times, and under it the paper's row of the same kind where there is one. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { distilledModels, trainedModels, tunedModels, type MeasuredModel } from "../report/measured-models.js";
import { throughputOf } from "../evaluate/latency.js";
import { constantScores, score } from "../evaluate/metrics.js";
import type { Prediction } from "../evaluate/predictions.js";
import { markdownTable, number } from "../evaluate/table.js";
import { CONDITION_NAMES, OF_PUBLISHED } from "../report/distillation-names.js";
import { readDistillation } from "../report/distillation-runs.js";
import { publishedDpo } from "../report/dpo-published.js";
import { conditionsOf, readDpo } from "../report/dpo-runs.js";
import { readGrpo, rewardsOf } from "../report/grpo-runs.js";
import { loadPublished } from "../report/published.js";
import { publishedModel } from "../report/published-models.js";
import type { TestSet } from "../report/published-tables.js";
import { modesOf, readExperiment } from "../report/runs.js";
import { readRequests } from "../report/single-requests.js";
import { AIMS_TEST, BENCHMARKS } from "./presets/sets.js";
import { meanOf, spread, spreadText } from "../evaluate/spread.js";

const PUBLISHED_SETS: readonly TestSet[] = [...BENCHMARKS, AIMS_TEST];

/** Folders of the experiments; one that is not there, or not finished, has no rows. */
export interface ResultFolders {
  readonly sft: string;
  readonly dpo: string;
  readonly distillation: string;
  readonly grpo: string;
}

type Said = ReadonlyMap<string, readonly Prediction[]>;

/** A published model: F1 by set, and milliseconds a prompt on the paper's GPU. */
interface PaperRow {
  readonly name: string;
  readonly f1: Readonly<Record<string, number>>;
  readonly milliseconds: number | null;
}

interface ModelRow {
  readonly name: string;
  /** One a seed. */
  readonly runs: readonly Said[];
  /** Median of single requests, milliseconds. */
  readonly request: number | null;
  readonly paper: PaperRow | null;
}

/** @throws DataFormatError or RunFolderError for results that are damaged */
export function resultsTable(folders: ResultFolders): string {
  const rows: ModelRow[] = [];
  const tests = new Set<string>();
  const add = (found: readonly ModelRow[], testSets: readonly string[]): void => {
    rows.push(...found);
    for (const set of testSets) tests.add(set);
  };
  if (isFinished(folders.sft)) add(...sftRows(folders.sft));
  if (isFinished(folders.dpo)) add(...dpoRows(folders.dpo));
  if (isFinished(folders.distillation)) add(...distillationRows(folders.distillation));
  if (isFinished(folders.grpo)) add(...grpoRows(folders.grpo));
  if (rows.length === 0) return "There are no results yet.";

  const sets = [...tests];
  const all = new Map(sets.map((set) => [set, rows.flatMap(({ runs }) => runs.map((run) => run.get(set) ?? []))]));
  const prompts = new Map([...all].map(([set, lists]) => [set, Math.max(...lists.map(({ length }) => length))]));
  const body = rows.flatMap(({ name, runs, request, paper }) => {
    const ours = [name, ...sets.map((set) => scoreCell(runs, set, prompts.get(set)!)), ...answerCells(runs, sets)];
    const theirs = paper !== null && sets.some((set) => Object.hasOwn(paper.f1, set)) ? paper : null;
    if (theirs === null) return [[...ours, milliseconds(request)]];
    const cells = sets.map((set) => (Object.hasOwn(theirs.f1, set) ? number(theirs.f1[set]) : ""));
    return [
      [...ours, milliseconds(request)],
      [`  paper: ${theirs.name}`, ...cells, "", milliseconds(theirs.milliseconds, 1), ""],
    ];
  });
  const floor = sets.map((set) => {
    const longest = all.get(set)!.find(({ length }) => length === prompts.get(set))!;
    const { byRule, auroc } = constantScores(longest, "harmful");
    return `${number(byRule.wrong.f1)} / ${number(auroc)}`;
  });
  const head = ["F1 / AUROC", ...sets, "unparsed", "ms a prompt", "ms a request"];
  const table = markdownTable(head, [...body, ["always harmful", ...floor, "", "", ""]]);
  return [table, ...notes(body.length > rows.length)].join("\n\n");
}

function notes(paper: boolean): string[] {
  const ours =
    "F1 of the harmful class, an unparsed answer counted as wrong; ± deviation over seeds, where there are several; (n) where fewer prompts were asked. " +
    "A prompt: wall time in batches on this machine; a request: the median of single ones.";
  const theirs =
    "The paper's models have 8 to 12 billion parameters and learned AIMS; their milliseconds are a GPU's, batched (RTX PRO 6000, vLLM). Its rows are single runs, " +
    "but for the means over its 12 teachers and students. They say what the method gives at its size, not what the small models here should reach.";
  return paper ? [ours, theirs] : [ours];
}

type Found = [rows: ModelRow[], testSets: readonly string[]];

function sftRows(folder: string): Found {
  const experiment = readExperiment(folder);
  const [generation] = publishedDpo();
  const classification = loadPublished("zero-shot").selectedRows.filter(({ condition }) =>
    condition.startsWith("SFT classification"),
  );
  const paper = {
    generation: paperRow("Llama-3.1-8B SFT, generation", generation.f1, "Llama-3.1-8B SFT"),
    classification: paperRow(
      "Llama-3.1-8B SFT, classification",
      Object.fromEntries(classification.map(({ set, f1 }) => [set, f1])),
    ),
  };
  const rows = modelRows(
    tunedModels(experiment),
    modesOf(experiment).map((mode) => paper[mode]),
  );
  return [rows, experiment.testSets];
}

function dpoRows(folder: string): Found {
  const experiment = readDpo(folder);
  const [, leDpo, ifDpo] = publishedDpo();
  const paper: Readonly<Partial<Record<string, PaperRow>>> = {
    wrong_only: paperRow("Llama-3.1-8B LE-DPO", leDpo.f1, "Llama-3.1-8B LE-DPO"),
    judge_bad_only: paperRow("Llama-3.1-8B IF-DPO", ifDpo.f1),
  };
  const trained = conditionsOf(experiment).filter((condition) => condition !== "sft");
  const rows = modelRows(
    trainedModels(experiment, null),
    trained.map((condition) => paper[condition] ?? null),
  );
  return [rows, experiment.testSets];
}

function grpoRows(folder: string): Found {
  const experiment = readGrpo(folder);
  const group = "Ours, GRPO";
  const paper = {
    label_intent: paperRow(
      "Llama-3.1-8B GRPO, label + intent",
      publishedModel("", group, "label + intent reward").f1,
      "Llama-3.1-8B GRPO",
    ),
    label_only: paperRow("Llama-3.1-8B GRPO, label alone", publishedModel("", group, "label reward").f1),
  };
  const rows = modelRows(
    trainedModels(null, experiment),
    rewardsOf(experiment).map((reward) => paper[reward]),
  );
  return [rows, experiment.testSets];
}

function distillationRows(folder: string): Found {
  const grid = readDistillation(folder);
  const { rows: published } = loadPublished("distillation-grid");
  const done = grid.cells.filter(({ runs }) => runs.length > 0);
  const paper = done.map(({ condition }) => {
    const alike = published.filter((row) => OF_PUBLISHED[row.condition] === condition);
    const f1 = Object.fromEntries(PUBLISHED_SETS.map((set) => [set, meanOf(alike.map((row) => row.f1[set]))!]));
    return paperRow(`mean of ${alike.length} cells, ${CONDITION_NAMES[condition]}`, f1);
  });
  return [modelRows(distilledModels(grid), paper), grid.testSets];
}

/** @param paper of each model, in their order */
function modelRows(models: readonly MeasuredModel[], paper: readonly (PaperRow | null)[]): ModelRow[] {
  const requests = new Map(readRequests(models).map(({ model, medianMilliseconds }) => [model, medianMilliseconds]));
  return models.map(({ name, sets, runs }, i) => {
    const seeds = Math.max(0, ...runs.map(({ length }) => length));
    const of = (seed: number): Said => new Map(sets.flatMap((set, s) => (seed < runs[s].length ? [[set, runs[s][seed]]] : [])));
    return {
      name,
      runs: Array.from({ length: seeds }, (_, seed) => of(seed)),
      request: requests.get(name) ?? null,
      paper: paper[i],
    };
  });
}

/** @param timed the model's name in the latency table */
function paperRow(name: string, f1: Readonly<Record<string, number>>, timed?: string): PaperRow {
  const row = loadPublished("latency").rows.find(({ model }) => model === timed);
  return { name, f1, milliseconds: row?.millisecondsPerPrompt ?? null };
}

/** "0.738 ± 0.042 / 0.855 ± 0.018"; "–" if no seed saw the set. */
function scoreCell(runs: readonly Said[], set: string, prompts: number): string {
  const said = runs.flatMap((run) => run.get(set) ?? []);
  if (said.length === 0 || !runs.every((run) => run.has(set))) return "–";
  const scores = runs.map((run) => score(run.get(set)!));
  const f1 = spreadText(spread(scores.map(({ byRule }) => byRule.wrong.f1)));
  const auroc = spreadText(spread(scores.map((one) => one.auroc)));
  const fewer = scores[0].count < prompts ? ` (${scores[0].count})` : "";
  return `${f1} / ${auroc}${fewer}`;
}

/** Share of unparsed answers and milliseconds a prompt, over all sets and seeds. */
function answerCells(runs: readonly Said[], sets: readonly string[]): string[] {
  const said = runs.flatMap((run) => sets.flatMap((set) => run.get(set) ?? []));
  if (said.length === 0) return ["–", "–"];
  const unparsed = said.filter(({ harm }) => harm === "unparsed").length / said.length;
  return [`${(100 * unparsed).toFixed(1)}%`, milliseconds(throughputOf(said).millisecondsPerPrompt)];
}

function milliseconds(value: number | null, digits = 0): string {
  return value === null ? "" : value.toFixed(digits);
}

function isFinished(folder: string): boolean {
  return existsSync(join(folder, "summary.json"));
}
