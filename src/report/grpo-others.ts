/** GRPO beside the models that other experiments made: DPO and distillation, on the test sets that they share. */
import { compareModels } from "../evaluate/comparison.js";
import { PredictionMismatchError } from "../evaluate/predictions.js";
import { meanOf } from "../evaluate/spread.js";
import { scoreTable, setsSeenBy, type ConditionRuns } from "./conditions.js";
import { differenceFigure, differenceTable, type Compared } from "./differences.js";
import { showText, type Displayable } from "./display.js";
import type { CellRecord, DistillationRecord, FoundDistillation } from "./distillation-runs.js";
import { CONDITION_NAMES as DISTILLED } from "./distillation-names.js";
import { CONDITION_NAMES } from "./dpo-names.js";
import { conditionsOf, runsOf, type DpoRecord, type FoundDpo } from "./dpo-runs.js";
import type { PlotlyFigure } from "./figure.js";
import { named, rewardsOf, testsSeen, type GrpoRecord } from "./grpo-runs.js";
import { showTable } from "./table-html.js";

export interface OtherModels {
  readonly models: readonly ConditionRuns[];
  /** Where each was found, or how to make it. */
  readonly notes: readonly string[];
}

/** DPO's conditions, and of the distilled models the one that validation prefers. */
export function otherModels({ start }: GrpoRecord, dpo: FoundDpo, distilled: FoundDistillation): OtherModels {
  const found = [
    { what: "DPO", origin: dpo.origin, models: dpo.run === null ? [] : dpoModels(dpo.run, start === "instruct") },
    { what: "Distillation", origin: distilled.origin, models: distilled.run === null ? [] : bestDistilled(distilled.run) },
  ];
  return {
    models: found.flatMap(({ models }) => models),
    notes: found.map(
      ({ what, origin, models }) => `${what}: ${models.length === 0 ? "nothing to compare. " : ""}${firstLine(origin)}`,
    ),
  };
}

const firstLine = (text: string): string => text.split("\n")[0];

function dpoModels(run: DpoRecord, withSft: boolean): ConditionRuns[] {
  return conditionsOf(run)
    .filter((condition) => condition !== "sft" || withSft)
    .map((condition) => ({ name: CONDITION_NAMES[condition], runs: runsOf(run, condition) }));
}

/** The cell with the highest F1 on its validation sets; the tests choose nothing. */
function bestDistilled({ cells }: DistillationRecord): ConditionRuns[] {
  const scored = cells.flatMap((cell) => {
    const validation = meanOf(cell.runs.map(({ validationF1 }) => validationF1));
    return validation === null ? [] : [{ cell, validation }];
  });
  if (scored.length === 0) return [];
  const { cell } = scored.reduce((best, one) => (one.validation > best.validation ? one : best));
  const runs = cell.runs.map(({ seed, predictions }) => ({ seed, predictions, intents: {}, errors: {} }));
  return [{ name: cellName(cell, scored.length), runs }];
}

function cellName({ teacher, student, condition }: CellRecord, of: number): string {
  return `distilled, ${DISTILLED[condition]} (${teacher} → ${student}${of > 1 ? `, best of ${of} on validation` : ""})`;
}

/** All models on GRPO's test sets; unparsed answers count as wrong. A model stands where all its seeds saw the set. */
export function allScores(run: GrpoRecord, { models }: OtherModels): object[] {
  const own = (["start", ...rewardsOf(run)] as const).map((condition) => named(run, condition));
  return testsSeen(run).flatMap((set) => {
    const saw = [...own, ...models].filter(({ runs }) => setsSeenBy([set], runs).length > 0);
    return scoreTable([set], saw);
  });
}

export interface AgainstOthers {
  readonly compared: readonly Compared[];
  readonly notes: readonly string[];
}

/** Each reward (`second`) against each other model (`first`), with all seeds of both, prompt by prompt on the sets that both saw. */
export function againstOthers(run: GrpoRecord, { models }: OtherModels): AgainstOthers {
  const [compared, notes]: [Compared[], string[]] = [[], []];
  for (const other of models) {
    const sets = setsSeenBy(testsSeen(run), other.runs);
    if (sets.length === 0) {
      notes.push(`${other.name}: no test set in common.`);
      continue;
    }
    for (const reward of rewardsOf(run)) {
      const own = named(run, reward);
      const said = ({ runs }: ConditionRuns, set: string) => runs.map(({ predictions }) => predictions.get(set)!);
      try {
        const comparison = compareModels(sets.map((set) => ({ set, first: said(other, set), second: said(own, set) })));
        compared.push({ name: `${own.name}, less ${other.name}`, seeds: own.runs.map(({ seed }) => seed), comparison });
      } catch (error) {
        if (!(error instanceof PredictionMismatchError)) throw error;
        notes.push(`${own.name} is not compared with ${other.name}, which answered other prompts: ${error.message}`);
      }
    }
  }
  return { compared, notes };
}

/** The comparisons as figure and table, after what could not be compared; nothing without other models. */
export function othersParts({ compared, notes }: AgainstOthers): (Displayable | PlotlyFigure)[] {
  if (compared.length === 0) return notes.map(showText);
  const figures = differenceFigure(compared, "GRPO's F1 less that of the others, with 95% intervals", []);
  const table = differenceTable(compared, "the other", "GRPO");
  return [...notes.map(showText), ...figures, showTable(table, { caption: "GRPO less the others" })];
}
