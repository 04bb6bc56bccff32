/** What came of GRPO, in sentences computed from the run: the reward, format errors, F1 on validation and on the tests. */
import type { RewardKind } from "../experiments/grpo-config.js";
import { meanOf, spread, spreadText } from "../evaluate/spread.js";
import { overallF1 } from "../evaluate/comparison.js";
import { comparedText, directionOf, type Compared } from "./differences.js";
import { signed } from "../evaluate/signed.js";
import { conditionName } from "./grpo-names.js";
import { againstGrpoStart } from "./grpo-report.js";
import { named, rewardsOf, selectionSeen, testsSeen, trainedRuns, type GrpoRecord, type GrpoTrainedRun } from "./grpo-runs.js";
import { riseOf, type Rise } from "./rise.js";

/** Of a hundred rollouts at most one is unreadable: then format errors count as gone. */
const RARE = 0.01;

/** A headline a reward, then what each of its words rests on. */
export function verdictText(run: GrpoRecord): string {
  const rewards = rewardsOf(run);
  if (rewards.length === 0) return "Nothing was trained.";
  const [validation, tests] = [againstGrpoStart(run, selectionSeen(run)), againstGrpoStart(run)];
  return rewards.map((reward) => rewardText(run, reward, validation, tests)).join("\n\n");
}

function rewardText(
  run: GrpoRecord,
  reward: RewardKind,
  onValidation: readonly Compared[],
  onTests: readonly Compared[],
): string {
  const runs = trainedRuns(run, reward);
  const name = conditionName(reward, run.start);
  const rise = riseOf(runs.map(({ log }) => log.steps.map((step) => step.reward)));
  const format = formatErrors(runs);
  const [validation, tests] = [onValidation, onTests].map((compared) => compared.find((one) => one.name === name));
  const start = conditionName("start", run.start);
  const headline = [
    `the reward ${rewardWord(rise)}`,
    `format errors ${format.word}`,
    ...(validation === undefined ? [] : [`validation F1 ${f1Word(validation)}`]),
    tests === undefined ? "there is no test to compare on" : `test F1 ${f1Word(tests)}`,
  ];
  return [
    `${name}, against ${start}: ${headline.join("; ")}.`,
    `– ${riseText(rise)}`,
    `– ${format.text}${greedyText(run, reward)}`,
    ...validationLines(runs, validation),
    ...(tests === undefined ? [] : [`– Tests. ${comparedText(tests)}`]),
    ...(runs.length === 1 ? ["– With one seed the intervals are about steps and prompts alone, not about training again."] : []),
  ].join("\n");
}

/** By the interval, and in every seed; null if there is no interval. */
function directionOfRise({ interval, bySeed }: Rise): "up" | "down" | "open" | null {
  if (interval === null) return null;
  if (interval.low > 0 && bySeed.every((rise) => rise > 0)) return "up";
  return interval.high < 0 && bySeed.every((rise) => rise < 0) ? "down" : "open";
}

function rewardWord(rise: Rise): string {
  const direction = directionOfRise(rise);
  if (direction === null) return "was sampled too seldom to say whether it rose";
  return { up: "rose", down: "fell", open: "did not clearly change" }[direction];
}

function riseText({ first, last, bySeed, interval }: Rise): string {
  const range = interval === null ? "" : `, 95% interval ${signed(interval.low)} to ${signed(interval.high)}`;
  const rose = bySeed.filter((rise) => rise > 0).length;
  const seeds = bySeed.length === 1 ? "" : `; it rose in ${rose} of ${bySeed.length} seeds`;
  const change = `${signed(meanOf(bySeed)!)}${range}`;
  return `Reward: ${first.toFixed(3)} over the first fifth of the steps, ${last.toFixed(3)} over the last (${change})${seeds}.`;
}

function formatErrors(runs: readonly GrpoTrainedRun[]): { readonly word: string; readonly text: string } {
  const rise = riseOf(runs.map(({ log }) => log.steps.map(({ unparsed }) => unparsed)));
  const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
  const text = `Format errors: ${percent(rise.first)} of the rollouts over the first fifth of the steps, ${percent(rise.last)} over the last.`;
  if (rise.last <= RARE) return { word: rise.first <= RARE ? "were rare from the start" : "all but vanished", text };
  const words = { up: "became more", down: "became fewer, but did not vanish", open: "did not clearly change" };
  return { word: words[directionOfRise(rise) ?? "open"], text };
}

/** Unreadable greedy answers on the tests, before and after. */
function greedyText(run: GrpoRecord, reward: RewardKind): string {
  const sets = testsSeen(run);
  const count = (condition: "start" | RewardKind): string => {
    const said = named(run, condition).runs.flatMap(({ predictions }) => sets.flatMap((set) => predictions.get(set)!));
    return `${said.filter(({ harm }) => harm === "unparsed").length} of ${said.length}`;
  };
  return sets.length === 0 ? "" : ` Greedy answers on the tests: ${count("start")} unparsed before, ${count(reward)} after.`;
}

function f1Word(compared: Compared): string {
  const words = { better: "rose", worse: "fell", open: "shows no difference" };
  return words[directionOf(overallF1(compared.comparison))];
}

/** On the sets that chose the adapter, and at the last step, which nothing chose. */
function validationLines(runs: readonly GrpoTrainedRun[], compared: Compared | undefined): string[] {
  const before = spread(runs.map(({ training }) => training.validationF1.at(0)?.f1 ?? null));
  const after = spread(runs.map(({ training }) => training.validationF1.at(-1)?.f1 ?? null));
  const unchanged = runs.filter(({ training }) => training.keptStep === 0).map(({ seed }) => seed);
  return [
    ...(compared === undefined ? [] : [`– Validation, which chose the adapter and so flatters it. ${comparedText(compared)}`]),
    `– Validation F1 ${spreadText(before)} at the start, ${spreadText(after)} at the last step, whatever was kept.`,
    ...(unchanged.length === 0
      ? []
      : [
          `– No validation was better than the start for seed ${unchanged.join(", ")}: there the start itself was kept and compared.`,
        ]),
  ];
}
