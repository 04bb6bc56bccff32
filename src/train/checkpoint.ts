/**
 * Checkpoints of training of any kind: everything that it goes on from, exactly.
 *
 *     <folder>/step-000042/tensors.safetensors   adapter, both moments and the best epoch's adapter, float32
 *                          state.json            where in the data, which generator state, losses so far, schedule, place in the log
 *                          manifest.json         sha256 of the two
 *
 * It is named by the batches that are done, not by optimiser steps, which stand still where a batch has nothing to learn from: the newest
 * has the highest number, and at the same one the state after an epoch's validation ("-epoch") comes last.
 *
 * A checkpoint is written beside, synced and renamed, so that under its name it is whole; the last two are kept.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { syncFolder, writeFileAtomic } from "../model/weights/atomic-file.js";
import { openSafetensors } from "../model/weights/safetensors.js";
import { writeSafetensors } from "../model/weights/safetensors-write.js";
import type { TrainingState } from "./loop.js";
import { manifestProblem, writeManifest } from "./manifest.js";
import type { Schedule } from "./schedule.js";

/** What training is a part of; a checkpoint of another plan is not gone on with. */
export interface TrainingPlan {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  /** Peak. */
  readonly learningRate: number;
  readonly schedule: Schedule;
  readonly seed: number;
  /** Values of the adapter. */
  readonly adapterSize: number;
}

/** The part of a log that belongs to a checkpoint. */
export interface LogMark {
  readonly bytes: number;
  readonly sha256: string;
}

export interface Checkpoint {
  readonly name: string;
  readonly state: TrainingState;
  readonly log: LogMark;
}

const TENSORS = "tensors.safetensors";
const STATE = "state.json";
const KEPT = 2;

const whole = z.int().nonnegative();
const finite = z.number();
const schema = z.strictObject({
  step: whole,
  epoch: whole,
  position: whole,
  order: z.tuple([whole, whole, whole, whole]),
  validationLosses: z.array(finite),
  best: z.strictObject({ epoch: whole, loss: finite }).nullable(),
  plan: z.strictObject({
    totalSteps: whole,
    stepsPerEpoch: whole,
    learningRate: finite,
    schedule: z.strictObject({ kind: z.enum(["constant", "cosine", "linear"]), warmupRatio: finite }),
    seed: whole,
    adapterSize: whole,
  }),
  log: z.strictObject({ bytes: whole, sha256: z.string() }),
});

/** Saves a checkpoint, then removes all but the last two. Throws what the file system throws: a state that is not saved is no secret. */
export function saveCheckpoint(folder: string, plan: TrainingPlan, state: TrainingState, log: LogMark): void {
  const { trainer, best, ...rest } = state;
  const batches = state.epoch * plan.stepsPerEpoch + state.position;
  const name = `step-${String(batches).padStart(6, "0")}${state.position === 0 ? "-epoch" : ""}`;
  const temporary = join(folder, `${name}.tmp`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  const tensors = {
    parameters: trainer.parameters,
    first_moment: trainer.firstMoment,
    second_moment: trainer.secondMoment,
    ...(best && { best_parameters: best.parameters }),
  };
  writeSafetensors(
    join(temporary, TENSORS),
    Object.entries(tensors).map(([name, values]) => ({ name, shape: [values.length], dtype: "F32", values: () => values })),
    {},
  );
  const record: z.infer<typeof schema> = {
    ...rest,
    order: [...rest.order],
    validationLosses: [...rest.validationLosses],
    step: trainer.step,
    best: best && { epoch: best.epoch, loss: best.loss },
    plan,
    log,
  };
  writeFileAtomic(join(temporary, STATE), (append) => append(Buffer.from(`${JSON.stringify(record, null, 2)}\n`)));
  writeManifest(temporary, [STATE, TENSORS]);
  // The same state, when a stop comes right after a save; the checkpoint before it is still there.
  rmSync(join(folder, name), { recursive: true, force: true });
  renameSync(temporary, join(folder, name));
  syncFolder(folder);
  for (const old of checkpointNames(folder).slice(KEPT)) rmSync(join(folder, old), { recursive: true, force: true });
}

/**
 * The newest checkpoint that is whole, is of this plan and fits the log; null if there is none.
 * @param fitsLog whether the log begins with the part that the checkpoint knows
 * @param onUnusable called for each newer one, with what is wrong with it; it is removed
 */
export function loadCheckpoint(
  folder: string,
  plan: TrainingPlan,
  fitsLog: (mark: LogMark) => boolean,
  onUnusable: (name: string, problem: string) => void,
): Checkpoint | null {
  for (const name of checkpointNames(folder)) {
    const found = readCheckpoint(join(folder, name), plan, fitsLog);
    if (typeof found !== "string") return { name, ...found };
    onUnusable(name, found);
    rmSync(join(folder, name), { recursive: true, force: true });
  }
  return null;
}

/** Newest first. A temporary folder is what a kill left of a save. */
function checkpointNames(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => /^step-\d{6,}(-epoch)?$/.test(name));
  const rank = (name: string): number => 2 * Number.parseInt(name.slice("step-".length), 10) + (name.endsWith("-epoch") ? 1 : 0);
  return names.toSorted((a, b) => rank(b) - rank(a));
}

function readCheckpoint(
  folder: string,
  plan: TrainingPlan,
  fitsLog: (mark: LogMark) => boolean,
): Omit<Checkpoint, "name"> | string {
  const problem = manifestProblem(folder, [STATE, TENSORS]);
  if (problem !== null) return problem;
  const parsed = schema.safeParse(JSON.parse(readFileSync(join(folder, STATE), "utf8")));
  if (!parsed.success) return `${STATE} is of another version`;
  const { step, best, log, plan: stored, ...rest } = parsed.data;
  if (JSON.stringify(stored) !== JSON.stringify(schema.shape.plan.parse(plan))) return "it belongs to another run";
  if (!fitsLog(log)) return "the log has been changed since";
  const file = openSafetensors(join(folder, TENSORS));
  try {
    const trainer = {
      step,
      parameters: file.read("parameters"),
      firstMoment: file.read("first_moment"),
      secondMoment: file.read("second_moment"),
    };
    const kept = best && { ...best, parameters: file.read("best_parameters") };
    return { state: { ...rest, trainer, best: kept }, log };
  } finally {
    file.close();
  }
}
