/** The command that makes a run, from the settings that it left: its preset, and what differs from it. */
import { basename, isAbsolute, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { ABLATIONS_PRESETS } from "../experiments/presets/ablations.js";
import { DISTILLATION_PRESETS } from "../experiments/presets/distillation.js";
import { DPO_PRESETS } from "../experiments/presets/dpo.js";
import { GRPO_PRESETS } from "../experiments/presets/grpo.js";
import { SFT_PRESETS } from "../experiments/presets/sft.js";

type Settings = Readonly<Record<string, unknown>>;

/** As the command line has them. */
export type RunKind = "sft" | "dpo" | "distillation" | "grpo" | "ablations";

const PRESETS: Readonly<Record<RunKind, Readonly<Record<string, object>>>> = {
  sft: SFT_PRESETS,
  dpo: DPO_PRESETS,
  distillation: DISTILLATION_PRESETS,
  grpo: GRPO_PRESETS,
  ablations: ABLATIONS_PRESETS,
};

const project = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @param config as `config.json` holds it
 * @param folder the run's
 * @returns one line for a shell, and what it cannot say: settings without a `--set`, settings that came to the preset later
 */
export function commandOf(
  kind: RunKind,
  config: Settings,
  folder: string,
): { readonly command: string; readonly notes: readonly string[] } {
  const candidates = Object.entries(PRESETS[kind]).map(([name, preset]) => {
    const settings = preset as Settings;
    const changed = Object.keys(config).filter((key) => !isDeepStrictEqual(config[key], settings[key]));
    return { name, settings, changed: withBothRates(changed, config, settings) };
  });
  const { name, settings, changed } = candidates.reduce((best, one) => (one.changed.length < best.changed.length ? one : best));
  const notes: string[] = [];
  const words = changed.flatMap((key) => {
    const value = config[key];
    if (key === "sft") return ["--sft", shellWord(fromProject(resolve(folder, String(value))))];
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      notes.push(`with ${key}: ${JSON.stringify(value)}`);
      return [];
    }
    const text = Array.isArray(value) ? value.map((one) => placeless(String(one))).join(",") : placeless(String(value));
    return ["--set", shellWord(`${key}=${text}`)];
  });
  const later = Object.keys(settings).filter((key) => key !== OTHER_RATES && !Object.hasOwn(config, key));
  if (later.length > 0) notes.push(`made before the preset had ${later.join(", ")}`);
  return { command: ["npx", "true-intents", "run", kind, "--preset", name, ...words].join(" "), notes };
}

const [RATES, OTHER_RATES] = ["learningRates", "classificationLearningRates"];

/** Rates that are set are for both modes, unless classification's are set too (sftConfig): either needs the other said. */
function withBothRates(changed: readonly string[], config: Settings, preset: Settings): readonly string[] {
  if (!Object.hasOwn(preset, OTHER_RATES)) return changed;
  const needed = !Object.hasOwn(config, OTHER_RATES) ? RATES : changed.includes(RATES) ? OTHER_RATES : null;
  return needed === null || changed.includes(needed) ? changed : [...changed, needed];
}

/** A path as the project's folder has it, in which commands are given; of one outside its last part. */
function fromProject(path: string): string {
  const below = relative(project, path);
  return leadsOut(below) ? `…/${basename(path)}` : below;
}

function leadsOut(path: string): boolean {
  return isAbsolute(path) || /^\.\.([\\/]|$)/.test(path);
}

/** A setting without what says where it was: of a path that leads elsewhere its last part, of a server's address all but its host. */
function placeless(value: string): string {
  if (leadsOut(value)) return `…/${basename(value)}`;
  const address = /^https?:\/\/([^/#]+)(.*)$/.exec(value);
  if (address === null || /^(localhost|127\.0\.0\.1)(:\d+)?$/.test(address[1])) return value;
  return `https://…${address[2]}`;
}

/** As it is where a POSIX shell takes it so, else in quotes. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./…-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
