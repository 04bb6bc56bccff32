/** The stages of a reproduction: which experiments a size runs, in which folders, and what each needs. */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { DataUnavailableError } from "../data/errors.js";
import { lockFolder } from "../folder-lock.js";
import { CONDITION_NAMES as DPO_NAMES } from "../report/dpo-names.js";
import { conditionName } from "../report/grpo-names.js";
import { beginsWith, firstDifference } from "./config.js";
import { cellName, CELLS, cellsOf, chosenCells, sameCell } from "./distillation-cells.js";
import { checkDistillationConfig, distillationConfig, type DistillationConfig } from "./distillation-config.js";
import type { CellKey } from "./distillation-summary.js";
import { teacherRows } from "./distillation-traces.js";
import { runDistillation } from "./distillation.js";
import { checkDpoConfig, dpoConfig, type DpoConfig } from "./dpo-config.js";
import { startingRuns, type Start } from "./dpo-start.js";
import { runDpo } from "./dpo.js";
import { MAY_GROW } from "./experiment.js";
import { checkGrpoConfig, grpoConfig, type GrpoConfig } from "./grpo-config.js";
import { runGrpo } from "./grpo.js";
import { DISTILLATION_PRESETS } from "./presets/distillation.js";
import { DPO_PRESETS } from "./presets/dpo.js";
import { GRPO_PRESETS } from "./presets/grpo.js";
import { SFT_PRESETS } from "./presets/sft.js";
import { latencyStage, type TimedExperiment } from "./reproduce-latency.js";
import { distillationParts, dpoParts, grpoParts, sftParts, type RowCounts } from "./reproduce-parts.js";
import type { Part } from "./reproduce-plan.js";
import { type Stage, type StageLook, type StageOptions } from "./reproduce.js";
import { clearFolder, readJson } from "./run-folder.js";
import { loadNamed } from "./sets.js";
import { checkSftConfig, sftConfig, type SftConfig } from "./sft-config.js";
import { runSft } from "./sft.js";

export const STAGES = ["sft", "dpo", "distillation", "grpo", "latency"] as const;
export type StageName = (typeof STAGES)[number];
type TrainingStage = Exclude<StageName, "latency">;

export type Preset = "smoke" | "small" | "paper";

/** Some cells of the grid failed; the message says which, and why. */
export class CellsFailedError extends Error {
  override readonly name = "CellsFailedError";
}

/** What is run. */
export interface Reproduction {
  readonly sft: SftConfig;
  readonly dpo: DpoConfig;
  readonly distillation: DistillationConfig;
  /** Cells of the grid, as `run distillation --only` takes them; none: all. */
  readonly cells: readonly string[];
  readonly grpo: GrpoConfig;
}

/**
 * The experiments at a size. `small` is cut to about 50 minutes on two cores: LE-DPO and IF-DPO without their union, the smaller student of the
 * larger teacher, GRPO with the paper's reward alone. What was cut goes on in the same folders: `run dpo`, `run distillation`, `run grpo`.
 * @param seeds of every experiment, "22,42,123"; default: each preset's own, of `smoke` the first
 * @throws ConfigError if they are no seeds
 */
export function reproduction(preset: Preset, seeds?: string): Reproduction {
  const settings = seeds === undefined ? (preset === "smoke" ? ["seeds=22"] : []) : [`seeds=${seeds}`];
  const cut = preset === "small";
  return {
    sft: sftConfig(SFT_PRESETS[preset], settings),
    dpo: dpoConfig({ ...DPO_PRESETS[preset], ...(cut && { pairSets: ["wrong_only", "judge_bad_only"] }) }, settings),
    distillation: distillationConfig(DISTILLATION_PRESETS[preset], settings),
    cells: cut ? ["teacher=qwen2.5-coder-1.5b-instruct,student=smollm2-135m-instruct"] : [],
    grpo: grpoConfig({ ...GRPO_PRESETS[preset], ...(cut && { rewards: ["label_intent"] }) }, settings),
  };
}

/** Where each experiment of a size lives below the reproduction's folder: where `run` puts it. */
export function runFolders(root: string, preset: Preset): Readonly<Record<TrainingStage, string>> {
  const folder = (name: string): string => join(root, `${name}-${preset}`);
  return { sft: folder("sft"), dpo: folder("dpo"), distillation: folder("distillation"), grpo: folder("grpo") };
}

/**
 * The stages that are asked for, in their order. A folder that was begun with more seeds or conditions keeps them.
 * @param root the parent of the run folders
 * @param out the same as the user named it, for a command that is told; null: the default
 * @throws DataFormatError or UnknownSetError for a data set that is damaged, or not known
 */
export async function openStages(
  what: Reproduction,
  preset: Preset,
  root: string,
  names: readonly StageName[],
  out: string | null,
): Promise<Stage[]> {
  const folders = runFolders(root, preset);
  const sft = begun(folders.sft, what.sft, checkSftConfig);
  const from = { sft: relative(folders.dpo, folders.sft) };
  const dpo = begun(folders.dpo, { ...what.dpo, ...from }, checkDpoConfig);
  const grpo = begun(folders.grpo, { ...what.grpo, ...from }, checkGrpoConfig);
  const distillation = begun(folders.distillation, what.distillation, checkDistillationConfig);
  const sets = await countRows([sft, dpo, grpo, distillation].flatMap(setsOf));
  const cells = withTraces(distillation, chosenCells(distillation, what.cells));

  // Those of the SFT experiment come first: a folder that was begun can only be gone on with for more.
  const seeds = [...new Set([sft, dpo, ...(grpo.start === "sft" ? [grpo] : [])].flatMap((one) => one.seeds))];
  const flags = [
    ...(seeds.length > sft.seeds.length ? [` --seeds ${seeds.join(",")}`] : []),
    ...(out === null ? [] : [` --out ${shellWord(out)}`]),
  ];
  const command = `npx true-intents reproduce --preset ${preset} --only sft${flags.join("")}`;
  const first = { command, asked: names.includes("sft") };
  const stages: Readonly<Record<TrainingStage, Stage>> = {
    sft: {
      name: "sft",
      what: `${sft.modes.join(" and ")} (${sft.model}); ${seedsText(sft)}`,
      after: [],
      look: () =>
        look(folders.sft, sft, checkSftConfig, sftParts(sft, folders.sft, sets.limited(sft.limit)), notAtHand(sets, sft)),
      run: async (options) => {
        await runSft(sft, folders.sft, options);
      },
    },
    dpo: {
      name: "dpo",
      what: `${dpo.pairSets.map((pairSet) => DPO_NAMES[pairSet]).join(", ")}; ${seedsText(dpo)}`,
      after: ["sft"],
      look: () => {
        const missing = notAtHand(sets, dpo) ?? startMissing(dpo, folders.dpo, first);
        return look(folders.dpo, dpo, checkDpoConfig, dpoParts(dpo, folders.dpo, sets.limited(dpo.limit)), missing);
      },
      run: async (options) => {
        await runDpo(dpo, folders.dpo, options);
      },
    },
    distillation: {
      name: "distillation",
      what: `${cells.chosen.length} cell${cells.chosen.length === 1 ? "" : "s"}; ${seedsText(distillation)}`,
      after: [],
      look: () => {
        const missing = notAtHand(sets, distillation) ?? (cells.chosen.length === 0 ? cells.missing : null);
        const parts = distillationParts(distillation, cells.chosen, folders.distillation, sets.limited(0));
        const found = look(folders.distillation, distillation, checkDistillationConfig, parts, missing);
        return { ...found, warning: found.warning ?? cells.missing };
      },
      run: (options) => runCells(distillation, cells.chosen, folders.distillation, options),
    },
    grpo: {
      name: "grpo",
      what: `${grpo.rewards.map((reward) => conditionName(reward, grpo.start)).join("; ")}; ${seedsText(grpo)}`,
      after: grpo.start === "sft" ? ["sft"] : [],
      look: () => {
        const missing = notAtHand(sets, grpo) ?? (grpo.start === "sft" ? startMissing(grpo, folders.grpo, first) : null);
        return look(folders.grpo, grpo, checkGrpoConfig, grpoParts(grpo, folders.grpo, sets.limited(grpo.limit)), missing);
      },
      run: async (options) => {
        await runGrpo(grpo, folders.grpo, options);
      },
    },
  };
  const timed = (kind: TrainingStage, planned: TimedExperiment["planned"]): TimedExperiment => ({
    ...{ kind, folder: folders[kind], planned },
    willRun: () => names.includes(kind) && stages[kind].look().missing === null,
  });
  const answers = (base: string, models: readonly unknown[]) => models.map(() => ({ base, format: "generation" as const }));
  const latency = latencyStage(
    [
      timed(
        "sft",
        sft.modes.map((mode) => ({ base: sft.model, format: mode })),
      ),
      timed("dpo", answers(dpo.model, dpo.pairSets)),
      timed(
        "distillation",
        cells.chosen.map(({ student }) => ({ base: student, format: "distillation" })),
      ),
      timed("grpo", answers(grpo.model, grpo.rewards)),
    ],
    first.command,
  );
  return STAGES.filter((name) => names.includes(name)).map((name) => (name === "latency" ? latency : stages[name]));
}

type AnyConfig = SftConfig | DpoConfig | GrpoConfig | DistillationConfig;

/** The config with the seeds, conditions and rewards of the one that its folder was begun with, where those are more. */
function begun<Config extends object>(folder: string, config: Config, check: (value: unknown, file: string) => Config): Config {
  const stored = storedConfig(folder, check) as Readonly<Record<string, unknown>> | null;
  const now = config as Readonly<Record<string, unknown>>;
  const longer = MAY_GROW.filter((field) => beginsWith(stored?.[field], now[field]));
  return { ...config, ...Object.fromEntries(longer.map((field) => [field, stored![field]])) };
}

/** Null where there is none that can be read: the experiment says what is wrong with it. */
function storedConfig<Config>(folder: string, check: (value: unknown, file: string) => Config): Config | null {
  const file = join(folder, "config.json");
  if (!existsSync(file)) return null;
  try {
    return check(readJson(file), file);
  } catch {
    return null;
  }
}

function look<Config extends object>(
  folder: string,
  config: Config,
  check: (value: unknown, file: string) => Config,
  parts: readonly Part[],
  missing: string | null,
): StageLook {
  const words = difference(folder, config, check);
  const warning = words === null ? null : `${folder} is of other settings (${words}); --fresh begins anew, --out DIR elsewhere`;
  const finished = existsSync(join(folder, "summary.json"));
  return { parts, finished, begun: existsSync(join(folder, "config.json")), missing, warning };
}

/** In what the config that the folder was begun with differs, apart from how much is run; null where it does not. */
function difference<Config extends object>(
  folder: string,
  config: Config,
  check: (value: unknown, file: string) => Config,
): string | null {
  const stored = storedConfig(folder, check);
  if (stored === null) return null;
  const extent = Object.entries(config).filter(([field]) => MAY_GROW.some((one) => one === field));
  return firstDifference({ ...stored, ...Object.fromEntries(extent) }, config)?.words ?? null;
}

const seedsText = ({ seeds }: AnyConfig): string => `seed${seeds.length === 1 ? "" : "s"} ${seeds.join(", ")}`;

function setsOf(config: AnyConfig): string[] {
  return [...neededBy(config), ...config.selectionSets, ...config.testSets];
}

/** Sets without which an experiment cannot begin; of the others it does without those that are not at hand. */
function neededBy(config: AnyConfig): string[] {
  return "validationSet" in config ? [config.trainSet, config.validationSet] : [config.trainSet];
}

interface SetsAtHand {
  /** Rows of a set, at most so many; 0: all. */
  readonly limited: (limit: number) => RowCounts;
  /** Why sets are not at hand, by name. */
  readonly reasons: ReadonlyMap<string, string>;
}

async function countRows(names: readonly string[]): Promise<SetsAtHand> {
  const counts = new Map<string, number>();
  const reasons = new Map<string, string>();
  for (const name of new Set(names)) {
    try {
      counts.set(name, (await loadNamed(name, 0)).rows.length);
    } catch (error) {
      if (!(error instanceof DataUnavailableError)) throw error;
      reasons.set(name, error.message);
    }
  }
  return { limited: (limit) => (set) => Math.min(counts.get(set) ?? 0, limit || Infinity), reasons };
}

function notAtHand({ reasons }: SetsAtHand, config: AnyConfig): string | null {
  const missing = new Set(neededBy(config).flatMap((set) => reasons.get(set) ?? []));
  return missing.size === 0 ? null : [...missing].join("; ");
}

/** The cells whose teachers' traces are there, and which teachers have none. */
function withTraces(config: DistillationConfig, cells: readonly CellKey[]): { chosen: CellKey[]; missing: string | null } {
  const missing = new Map<string, string>();
  for (const teacher of new Set(cells.map((cell) => cell.teacher)))
    try {
      teacherRows(config, teacher);
    } catch (error) {
      if (!(error instanceof DataUnavailableError)) throw error;
      missing.set(teacher, error.message);
    }
  const reasons = [...missing.values()];
  return {
    chosen: cells.filter(({ teacher }) => !missing.has(teacher)),
    missing: reasons.length === 0 ? null : reasons.join("; "),
  };
}

/** Runs these cells of the grid. @throws CellsFailedError; as {@link runDistillation} */
async function runCells(
  config: DistillationConfig,
  chosen: readonly CellKey[],
  out: string,
  { fresh, signal }: StageOptions,
): Promise<void> {
  const all = chosen.length === cellsOf(config).length;
  const only = all ? [] : chosen.map((cell) => `teacher=${cell.teacher},student=${cell.student},condition=${cell.condition}`);
  // A part of the grid removes no more than its own cells, which is not enough where the whole is of other settings.
  if (fresh && !all && difference(out, config, checkDistillationConfig) !== null) {
    const unlock = lockFolder(out);
    try {
      clearFolder(out, [CELLS, "model"]);
    } finally {
      unlock();
    }
  }
  const { cells } = await runDistillation(config, out, { only, fresh, ...(signal && { signal }) });
  const failed = cells.filter((cell) => cell.state === "failed" && chosen.some((one) => sameCell(one, cell)));
  if (failed.length > 0) throw new CellsFailedError(failed.map((cell) => `${cellName(cell)}: ${cell.reason ?? ""}`).join("; "));
}

/** What is wrong with the SFT experiment that a stage starts from, unless it is to be run before. */
function startMissing(config: Start, out: string, sft: { readonly command: string; readonly asked: boolean }): string | null {
  if (sft.asked) return null;
  try {
    startingRuns(config, out);
    return null;
  } catch (error) {
    return `it needs sft first: ${sft.command} (${error instanceof Error ? error.message : String(error)})`;
  }
}

/** A path as a shell reads it back. */
function shellWord(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
