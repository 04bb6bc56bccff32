/** The arms of the ablations: each a training set and what it is for, or the reason why it cannot be had. */
import { closest } from "../closest.js";
import type { LabelledPrompt } from "../data/prompt.js";
import { FORMATS } from "./sft-run.js";
import { ABLATIONS, type Ablation, type AblationsConfig } from "./ablations-config.js";
import { labelsOfEngine, namesEngine } from "./ablations-labels.js";
import { labelsByPrompt, nestedDraw, relabelled, withoutPrompts } from "./ablations-rows.js";
import { ConfigError } from "./config.js";
import { say } from "./progress.js";
import { loadAtHand, loadNamed, type LeftOut, type NamedSet } from "./sets.js";
import type { Mode } from "./sft-config.js";

/** The arm that the others are compared with: all annotated rows under their own labels. */
export const REFERENCE = "annotated";

/** Folder of all arms below an experiment's. */
export const ARMS = "arms";

export interface Arm {
  /** Also its folder's name. */
  readonly name: string;
  readonly ablations: readonly Ablation[];
  /** What it is trained on, in words. */
  readonly what: string;
  /** Rows, those that another label turns out to be missing for included. */
  readonly count: number;
  readonly epochs: number;
  /** Those of the config that its rows can be trained in: generation needs intents. */
  readonly modes: readonly Mode[];
  /** @throws what asking an engine for labels throws */
  readonly load: (signal?: AbortSignal) => Promise<ArmRows>;
}

export interface ArmRows {
  readonly rows: readonly LabelledPrompt[];
  /**
   * Of an arm under other labels: rows whose label differs from the set's own, and rows without another label, which are left out. Else null.
   */
  readonly labels: { readonly changed: number; readonly missing: number } | null;
}

export interface Arms {
  readonly arms: readonly Arm[];
  /** Arms that cannot be had, and why; and sets for evaluation. */
  readonly leftOut: readonly LeftOut[];
  /** What the experiment reads, for its folder to be held to. */
  readonly sets: readonly NamedSet[];
  /** Test sets at hand. */
  readonly tests: readonly string[];
}

/**
 * Loads the data and says which arms there are.
 * @param out the experiment's folder, where an engine's labels are kept
 * @throws DataUnavailableError if the annotated or the validation rows are not at hand; UnknownSetError
 */
export async function armsOf(config: AblationsConfig, out: string): Promise<Arms> {
  const { limit, columns, epochs, shares, drawSeed } = config;
  const train = await loadNamed(config.trainSet, limit, columns);
  const validation = await loadNamed(config.validationSet, limit, columns);
  const selection = await loadAtHand(config.selectionSets, limit, columns);
  const tests = await loadAtHand(config.testSets, limit, columns);
  const pool = await loadAtHand([config.pool], limit, columns);
  const asked = [validation, ...selection.sets, ...tests.sets];
  const size = train.rows.length;
  const arms: Arm[] = [];
  const leftOut: LeftOut[] = [...selection.leftOut, ...tests.leftOut];
  const add = (
    arm: Omit<Arm, "load" | "count" | "modes" | "epochs">,
    rows: readonly LabelledPrompt[],
    more: Partial<Arm> = {},
  ): void => {
    const modes = config.modes.filter((mode) => !FORMATS[mode].statesIntent || rows.every(({ intent }) => intent !== null));
    const load = (): Promise<ArmRows> => Promise.resolve({ rows, labels: null });
    if (modes.length > 0) arms.push({ ...arm, count: rows.length, epochs, modes, load, ...more });
    else
      leftOut.push({
        set: arm.name,
        reason: "its rows have no intents, which generation learns; --set modes=classification does without",
      });
  };

  add({ name: REFERENCE, ablations: ABLATIONS, what: `${train.name} under its own labels` }, train.rows);
  const other = await otherLabels(config, train, out);
  const relabel = {
    name: "other-labels",
    ablations: ["source"],
    what: `${train.name} under the labels of ${config.otherLabels}`,
  } as const;
  if ("reason" in other) leftOut.push({ set: relabel.name, reason: other.reason });
  else add(relabel, train.rows, { load: other.load });
  for (const share of [...shares].sort((a, b) => a - b)) {
    const rows = nestedDraw(train.rows, Math.max(1, Math.round(share * size)), drawSeed);
    add({ name: `share-${share}`, ablations: ["scale"], what: `${share} of ${train.name}` }, rows);
  }
  if (pool.sets.length === 0) {
    for (const name of ["random", "mix", "pool"]) leftOut.push({ set: name, reason: pool.leftOut[0].reason });
  } else {
    const [{ name }] = pool.sets;
    const rows = withoutPrompts(pool.sets[0].rows, [train.rows, ...asked.map((set) => set.rows)]);
    const dropped = pool.sets[0].rows.length - rows.length;
    if (dropped > 0) say(`${name}: ${dropped} rows are left out, whose prompts are in the other sets`);
    if (rows.length >= size) {
      const drawn = nestedDraw(rows, size, drawSeed);
      add({ name: "random", ablations: ["source"], what: `${size} rows of ${name}` }, drawn);
      add({ name: "mix", ablations: ["mix"], what: `${train.name} and ${size} rows of ${name}` }, [...train.rows, ...drawn]);
    } else {
      // With fewer rows than the annotated ones, whose prompts they are could not be told from how many.
      const reason = `${name} has ${rows.length} prompts that are in no other set, and as many as in ${train.name} (${size}) are needed`;
      leftOut.push({ set: "random", reason }, { set: "mix", reason });
    }
    if (rows.length === 0) leftOut.push({ set: "pool", reason: `${name} has no prompt that is not in the other sets` });
    else
      add({ name: "pool", ablations: ["scale"], what: `all ${rows.length} rows of ${name}` }, rows, {
        epochs: config.poolEpochs,
      });
  }
  const sets = [...new Map([train, ...asked, ...pool.sets].map((set) => [set.name, set])).values()];
  return { arms, leftOut, sets, tests: tests.sets.map((set) => set.name) };
}

/** The annotated rows under the other labels. A model is asked when the rows are wanted. */
async function otherLabels(
  config: AblationsConfig,
  train: NamedSet,
  out: string,
): Promise<Pick<Arm, "load"> | { readonly reason: string }> {
  const { otherLabels: from, columns } = config;
  if (namesEngine(from))
    return {
      load: async (signal) => {
        const { rows, ...labels } = relabelled(train.rows, await labelsOfEngine(config, train, out, signal));
        return { rows, labels };
      },
    };
  const set = await loadAtHand([from], 0, columns);
  if (set.sets.length === 0) return { reason: set.leftOut[0].reason };
  const { rows, ...labels } = relabelled(train.rows, labelsByPrompt(set.sets[0].rows));
  if (rows.length === 0) return { reason: `${from} has no label for any prompt of ${train.name}` };
  return { load: () => Promise.resolve({ rows, labels }) };
}

/**
 * The ablations that `--only` names; none: all.
 * @throws ConfigError with the nearest one
 */
export function chosenAblations(only: readonly string[]): readonly Ablation[] {
  if (only.length === 0) return ABLATIONS;
  return only
    .flatMap((text) => text.split(","))
    .map((text) => {
      const name = text.trim();
      const found = ABLATIONS.find((one) => one === name);
      if (found !== undefined) return found;
      const similar = closest(name, ABLATIONS);
      const hint = similar === null ? "" : `; did you mean ${similar}?`;
      throw new ConfigError(
        "only",
        `--only is "${name.replace(/\p{Cc}/gu, " ").slice(0, 100)}"; it must be some of ${ABLATIONS.join(", ")}${hint}`,
      );
    });
}
