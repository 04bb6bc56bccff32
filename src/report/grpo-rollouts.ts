/** What the policy wrote to one prompt over training: sampled answers to a few prompts that are watched at every validation. */
import { join } from "node:path";
import type { RewardKind } from "../experiments/grpo-config.js";
import { readRollouts, WATCHED, type LoggedRollout } from "../experiments/grpo-log.js";
import { meanOf } from "../evaluate/spread.js";
import { showText, type Displayable } from "./display.js";
import { signed } from "../evaluate/signed.js";
import { conditionName } from "./grpo-names.js";
import { rewardsOf, trainedRuns, type GrpoRecord, type GrpoTrainedRun } from "./grpo-runs.js";
import { mayCopy } from "./may-copy.js";
import { showTable } from "./table-html.js";

export interface RolloutChoice {
  /** Default: the first that was trained. */
  readonly reward?: RewardKind;
  /** Default: the first. */
  readonly seed?: number;
  /** Id of a prompt; default: the one whose mean reward moved most. */
  readonly id?: string;
  /** So many validations, the first and the last among them. Default 5. */
  readonly steps?: number;
  /** The first so many rollouts of each. Default 3. */
  readonly samples?: number;
}

interface Watched {
  readonly id: string;
  readonly rollouts: readonly LoggedRollout[];
  /** Mean reward before training and at the last validation. */
  readonly first: number;
  readonly last: number;
}

/** The prompts, the one whose mean reward moved most first. @throws DataFormatError for damaged rollouts */
function watchedBy(run: GrpoTrainedRun): Watched[] {
  const all = [...readRollouts(join(run.folder, WATCHED))];
  const watched = [...new Set(all.map(({ id }) => id))].map((id) => {
    const rollouts = all.filter((one) => one.id === id);
    const steps = rollouts.map(({ step }) => step);
    const at = (step: number): number => meanOf(rollouts.filter((one) => one.step === step).map(({ reward }) => reward))!;
    return { id, rollouts, first: at(Math.min(...steps)), last: at(Math.max(...steps)) };
  });
  return watched.toSorted((a, b) => Math.abs(b.last - b.first) - Math.abs(a.last - a.first));
}

function chosenRun(run: GrpoRecord, { reward = rewardsOf(run)[0], seed }: RolloutChoice): GrpoTrainedRun | undefined {
  return trainedRuns(run, reward).find((one) => seed === undefined || one.seed === seed);
}

const NONE = "No rollouts of watched prompts were kept with this run.";

/** Every watched prompt of one run with its mean reward at the start and at the end, to choose from. */
export function watchedTable(run: GrpoRecord, choice: RolloutChoice = {}): Displayable[] {
  const own = chosenRun(run, choice);
  if (own === undefined) return [showText(`There is no such run: seeds ${run.seeds.join(", ")}.`)];
  const rows = watchedBy(own).map(({ id, rollouts: [one], first, last }) => ({
    ...{ id, ...(mayShow(run, own, id) && { prompt: one.prompt }), gold: one.gold.harm },
    "mean reward before": first.toFixed(3),
    after: last.toFixed(3),
    change: signed(last - first),
  }));
  if (rows.length === 0) return [showText(NONE)];
  return [showTable(rows, { caption: `Watched prompts, ${conditionName(own.condition, run.start)}, seed ${own.seed}` })];
}

/**
 * One prompt's rollouts over training with what each was rewarded for; the first ones of each validation, not chosen by their reward.
 * Prompts and gold intents of public sets are not copied into the page.
 */
export function rolloutTable(run: GrpoRecord, choice: RolloutChoice = {}): Displayable[] {
  const { id, steps = 5, samples = 3 } = choice;
  const own = chosenRun(run, choice);
  if (own === undefined) return [showText(`There is no such run: seeds ${run.seeds.join(", ")}.`)];
  const all = watchedBy(own);
  if (all.length === 0) return [showText(NONE)];
  const watched = id === undefined ? all[0] : all.find((one) => one.id === id);
  if (watched === undefined)
    return [showText(`No rollouts of ${id} were kept. There are some of: ${all.map((one) => one.id).join(", ")}.`)];
  const { rollouts, first, last } = watched;
  const { prompt, gold } = rollouts[0];
  const taken = evenly([...new Set(rollouts.map(({ step }) => step))], steps);
  const shown = taken.flatMap((step) => rollouts.filter((one) => one.step === step).slice(0, samples));
  const about = mayShow(run, own, watched.id)
    ? `${prompt}\n\nGold: ${gold.harm}, ${gold.intent ?? "no intent"}`
    : "The prompt is not copied; the run's folder has it.";
  const caption = `Rollouts of ${watched.id} (gold: ${gold.harm}), ${conditionName(own.condition, run.start)}, seed ${own.seed}: mean reward ${first.toFixed(3)} → ${last.toFixed(3)}`;
  return [showText(about), showTable(shown.map(rowOf), { caption })];
}

function rowOf({ step, text, truncated, harm, verdict, parts, reward, tokens }: LoggedRollout): object {
  const digits = (part: number | null): string => (part === null ? "–" : part.toFixed(1));
  return {
    ...{ "after step": step, rollout: text, "read as": harm, tokens: `${tokens}${truncated ? ", cut" : ""}` },
    ...{ format: digits(parts.format), label: digits(parts.label), length: digits(parts.length) },
    judge: verdict === null ? digits(parts.judge) : `${digits(parts.judge)} (${verdict})`,
    reward: reward.toFixed(3),
  };
}

/** Whether the set that the prompt is of may be shown; not, if it is not known. */
function mayShow({ selectionSets }: GrpoRecord, { predictions }: GrpoTrainedRun, id: string): boolean {
  const set = selectionSets.find((name) => predictions.get(name)?.some((row) => row.id === id));
  return set !== undefined && mayCopy(set);
}

/** At most so many, the first and the last among them. */
function evenly(steps: readonly number[], most: number): readonly number[] {
  if (steps.length <= most) return steps;
  return Array.from({ length: most }, (_, i) => steps[Math.round((i * (steps.length - 1)) / Math.max(1, most - 1))]);
}
