/**
 * The distillation page's answer in words: whether intent-conditioned distillation beats reasoning alone.
 *
 * F1 of the harmful class rises, too, if a student merely says harmful more often, as long as it is below always saying so: always
 * answering harmful beats most verdicts that are little better than chance. AUROC does not, since it goes by the order of the prompts.
 */
import { directionOf, outcomeText } from "./differences.js";
import { calledText, headline, type Effect } from "./distillation-effects.js";
import { constantF1, gridOf, type DistillationRecord } from "./distillation-runs.js";

/** By the interval of {@link headline}'s F1, and by AUROC's where most cells are below always answering harmful. */
export function intentText(run: DistillationRecord, effects: readonly Effect[]): string {
  const asked = headline(effects);
  if (asked === null)
    return "This cannot be told: no teacher and student have both a condition with an intent and one without, on the test sets.";
  const over = `F1 over ${run.testSets.length > 1 ? "the mean of " : ""}${run.testSets.join(" and ")}`;
  const pairs = asked.pairs === 1 ? `one pair, ${asked.pair}` : `mean over ${asked.pairs} pairs of teacher and student`;
  const single = effects.filter((effect) => effect !== asked && effect.pair === asked.pair);
  const beside = effects
    .filter(({ pair, intent }) => pair !== asked.pair && intent === asked.intent)
    .map(({ f1 }) => directionOf(f1));
  const count = (wanted: string): number => beside.filter((direction) => direction === wanted).length;
  const seeds =
    run.seeds.length === 1
      ? "One seed a cell: the intervals are about the prompts, and say nothing of what another training would give."
      : `${run.seeds.length} seeds a cell; the intervals are about prompts and seeds.`;
  return [
    `${answer(run, asked)} (${over}; ${asked.intent}, ${pairs}).`,
    ...[asked, ...single].map((effect) => effectText(effect, asked.pairs)),
    ...(beside.length < 2
      ? []
      : [
          `F1 pair by pair (${asked.intent}): better ${count("better")}, worse ${count("worse")}, no difference shown ${count("open")}.`,
        ]),
    seeds,
    ...floorTexts(run),
  ].join("\n");
}

function answer(run: DistillationRecord, { f1, auroc, calledHarmful }: Effect): string {
  const direction = directionOf(f1);
  if (direction === "open") return "Not shown: here intent-conditioned distillation and reasoning alone cannot be told apart";
  const floor = floorOf(run);
  if (directionOf(auroc) !== direction && floor !== null && 2 * floor.above < floor.cells) {
    const [higher, more] = direction === "better" ? ["higher", "more"] : ["lower", "less"];
    const { first, second } = calledHarmful;
    const often = (direction === "better" ? second > first : second < first)
      ? `the students say harmful ${more} often (${calledText(calledHarmful)}), `
      : "";
    const area = auroc === null ? "AUROC is not known" : "AUROC shows no such difference";
    return `Not shown: F1 is ${higher} with an intent, but ${often}${area}, and most cells are not above always answering harmful`;
  }
  return direction === "better"
    ? "Yes: here intent-conditioned distillation beats reasoning alone"
    : "No: here intent-conditioned distillation is worse than reasoning alone";
}

/** @param asked pairs of the headline; an effect over other pairs says over how many */
function effectText({ intent, pairs, f1, auroc, calledHarmful }: Effect, asked: number): string {
  const over = pairs === asked ? "" : ` (${pairs} pairs)`;
  return `${intent}${over}: F1 ${outcomeText(f1)}; AUROC ${outcomeText(auroc)}; called harmful ${calledText(calledHarmful)}.`;
}

interface Floor {
  /** Mean F1 of always answering harmful. */
  readonly f1: number;
  /** Cells with an F1, and those above the floor. */
  readonly cells: number;
  readonly above: number;
}

function floorOf(run: DistillationRecord): Floor | null {
  const f1 = constantF1(run);
  const values = gridOf(run, "testF1").flatMap(({ value }) => value ?? []);
  if (f1 === null || values.length === 0) return null;
  return { f1, cells: values.length, above: values.filter((value) => value > f1).length };
}

/** A difference between students that have not learnt the verdict is to be read as one. */
function floorTexts(run: DistillationRecord): string[] {
  const floor = floorOf(run);
  if (floor === null) return [];
  const beaten = `always answering harmful (mean F1 ${floor.f1.toFixed(3)})`;
  return [
    floor.above === 0
      ? `No cell scores above ${beaten}: these students have hardly learnt the verdict.`
      : `${floor.above} of ${floor.cells} cells score above ${beaten}.`,
  ];
}
