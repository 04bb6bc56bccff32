/** What the ablations found: each arm's scores, and its difference to the annotated rows, prompt by prompt. */
import { join } from "node:path";
import { compareModels, overallF1, type Comparison } from "../evaluate/comparison.js";
import { readPredictions, type Prediction } from "../evaluate/predictions.js";
import { differenceCells } from "../evaluate/signed.js";
import { meanOf, spread, spreadText, type Spread } from "../evaluate/spread.js";
import { markdownTable, printable } from "../evaluate/table.js";
import { ARMS, REFERENCE, type Arm, type ArmRows } from "./ablations-arms.js";
import type { Ablation, AblationsConfig } from "./ablations-config.js";
import type { PartState } from "./plan.js";
import { predictionFile } from "./run-folder.js";
import type { LeftOut } from "./sets.js";
import type { Mode } from "./sft-config.js";
import type { SftSummary } from "./sft-summary.js";

export interface ArmSummary {
  readonly name: string;
  readonly ablations: readonly Ablation[];
  readonly what: string;
  readonly epochs: number;
  readonly state: PartState;
  /** Why it failed; null otherwise. */
  readonly reason: string | null;
  /** Rows trained on; null before it was done. */
  readonly rows: { readonly train: number; readonly harmful: number } | null;
  readonly labels: ArmRows["labels"];
  /** Below the experiment's folder: an SFT experiment of its own. */
  readonly folder: string;
  /** F1 over the seeds by test set, and of their means, unparsed answers counted as wrong. Empty before it was done. */
  readonly modes: Readonly<
    Partial<Record<Mode, { readonly learningRate: number; readonly f1: Readonly<Record<string, Spread>>; readonly mean: Spread }>>
  >;
  /** Training and evaluation, restarts not counted. */
  readonly seconds: number | null;
}

/** An arm against the annotated rows: `first` is the annotated rows, `second` the arm. */
export interface ArmEffect {
  readonly arm: string;
  readonly mode: Mode;
  readonly comparison: Comparison;
}

export interface AblationsSummary {
  readonly kind: "ablations";
  readonly model: string;
  readonly modes: readonly Mode[];
  readonly seeds: readonly number[];
  readonly trainSet: string;
  readonly pool: string;
  readonly otherLabels: string;
  /** Those at hand. */
  readonly testSets: readonly string[];
  readonly arms: readonly ArmSummary[];
  readonly effects: readonly ArmEffect[];
  /** Arms that could not be had and sets that were not at hand. */
  readonly leftOut: readonly LeftOut[];
  readonly seconds: number;
}

/** An arm that is done. */
export interface ArmDone {
  readonly rows: NonNullable<ArmSummary["rows"]>;
  readonly labels: ArmRows["labels"];
  readonly summary: SftSummary;
}

export function summariseArm(
  { name, ablations, what, epochs }: Arm,
  state: Pick<ArmSummary, "state" | "reason">,
  done: ArmDone | null,
  tests: readonly string[],
): ArmSummary {
  const base = { name, ablations, what, epochs, ...state, folder: join(ARMS, name) };
  if (done === null) return { ...base, rows: null, labels: null, modes: {}, seconds: null };
  const modes = Object.entries(done.summary.modes).map(([mode, { learningRate, runs }]) => {
    const of = (set: string): (number | null)[] => runs.map(({ scores }) => scores[set].byRule.wrong.f1);
    const f1 = Object.fromEntries(tests.map((set) => [set, spread(of(set))]));
    const means = runs.map((_, i) => meanOf(tests.map((set) => of(set)[i])));
    return [mode, { learningRate, f1, mean: spread(means) }] as const;
  });
  const { rows, labels } = done;
  return { ...base, rows, labels, modes: Object.fromEntries(modes), seconds: done.summary.seconds };
}

/**
 * Every arm that is done against the annotated rows, for each mode that both have.
 * @param known effects of the same arms that need not be computed again
 * @throws DataFormatError for damaged predictions
 */
export function armEffects(
  out: string,
  done: ReadonlyMap<string, ArmDone>,
  tests: readonly string[],
  known: readonly ArmEffect[],
): ArmEffect[] {
  const reference = done.get(REFERENCE);
  if (reference === undefined || tests.length === 0) return [];
  const said = (arm: string, { summary }: ArmDone, mode: Mode, set: string): Prediction[][] =>
    summary.modes[mode]!.runs.map(({ folder }) => readPredictions(predictionFile(join(out, ARMS, arm, folder), set)));
  return [...done].flatMap(([arm, result]) => {
    if (arm === REFERENCE) return [];
    const modes = (["generation", "classification"] as const).filter(
      (mode) => result.summary.modes[mode] !== undefined && reference.summary.modes[mode] !== undefined,
    );
    return modes.map((mode) => {
      const before = known.find((effect) => effect.arm === arm && effect.mode === mode);
      if (before !== undefined) return before;
      const sets = tests.map((set) => ({
        set,
        first: said(REFERENCE, reference, mode, set),
        second: said(arm, result, mode, set),
      }));
      return { arm, mode, comparison: compareModels(sets) };
    });
  });
}

export function summariseAblations(
  { model, modes, seeds, trainSet, pool, otherLabels }: AblationsConfig,
  arms: readonly ArmSummary[],
  effects: readonly ArmEffect[],
  testSets: readonly string[],
  leftOut: readonly LeftOut[],
): AblationsSummary {
  const seconds = arms.reduce((sum, arm) => sum + (arm.seconds ?? 0), 0);
  return { kind: "ablations", model, modes, seeds, trainSet, pool, otherLabels, testSets, arms, effects, leftOut, seconds };
}

/** The summary as Markdown: a line an arm and mode, the difference to the annotated rows beside it. */
export function ablationsTables(summary: AblationsSummary): string {
  const { testSets, arms, effects, leftOut } = summary;
  const lines = arms.flatMap(({ name, ablations, rows, epochs, modes }) =>
    Object.entries(modes).map(([mode, { f1, mean }]) => {
      const effect = effects.find((one) => one.arm === name && one.mode === mode);
      return [
        ...[name, ablations.join(", "), mode, String(rows?.train ?? "–"), String(epochs)],
        ...testSets.map((set) => spreadText(f1[set])),
        ...(testSets.length > 1 ? [spreadText(mean)] : []),
        ...differenceCells(effect === undefined ? null : overallF1(effect.comparison)),
      ];
    }),
  );
  const mean = testSets.length > 1 ? ["mean F1"] : [];
  const head = [
    "arm",
    "ablation",
    "mode",
    "rows",
    "epochs",
    ...testSets.map((set) => `F1 ${set}`),
    ...mean,
    `less ${REFERENCE}`,
    "95% interval",
  ];
  const parts = [markdownTable(head, lines, [0, 1, 2])];
  parts.push(arms.map((arm) => printable(`${arm.name}: ${arm.what}${labelsText(arm)}`)).join("\n"));
  for (const { name, reason } of arms.filter(({ state }) => state === "failed"))
    parts.push(printable(`${name} failed: ${reason ?? ""}`));
  for (const { set, reason } of leftOut) parts.push(printable(`${set} was left out: ${reason}`));
  return parts.join("\n\n");
}

/** "; 120 of 1918 labels differ from the set's own, 3 rows have none and are left out"; nothing for an arm under the set's own labels. */
export function labelsText({ rows, labels }: Pick<ArmSummary, "rows" | "labels">): string {
  if (rows === null || labels === null) return "";
  const { changed, missing } = labels;
  const without = missing === 0 ? "" : `, ${missing} rows have none and are left out`;
  return `; ${changed} of ${rows.train} labels differ from the set’s own${without}`;
}
