/**
 * The row that everything downstream works on, and the maps from each set's own labels to the two classes
 * (arXiv 2606.27210; the same maps as its evaluation code).
 */
export type Harm = "harmful" | "safe";

/** Annotators' four levels; the two harmful ones count as `harmful`, the two safe ones as `safe`. */
export const LEVELS = ["completely_harmful", "uncertain_harmful", "uncertain_safe", "completely_safe"] as const;
export type Level = (typeof LEVELS)[number];

export const SPLITS = ["train", "validation", "test"] as const;
export type Split = (typeof SPLITS)[number];

/** One labelled prompt, whatever set it comes from. */
export interface LabelledPrompt {
  /** Unique within its source. */
  readonly id: string;
  /** Without white space at either end. */
  readonly prompt: string;
  /** What the user wants, as an annotator wrote it in one sentence; null where the set has none. */
  readonly intent: string | null;
  readonly harm: Harm;
  readonly level?: Level;
  /** The set's own grouping: our themes, XSTest's types. */
  readonly theme?: string;
  /** Which set: "sample", "xstest", "aims", … */
  readonly source: string;
  readonly split?: Split;
}

/** The class of a four-step level. */
export function harmOfLevel(level: Level): Harm {
  return level === "completely_harmful" || level === "uncertain_harmful" ? "harmful" : "safe";
}

/**
 * The class of a label as published sets write it: harmful/unharmful, unsafe/safe, or AIMS' four levels ("Uncertain Harmful").
 * Whole labels are compared, never parts: "unharmful" contains "harmful" and is safe. Case and outer white space do not matter.
 * @returns null for a label that names neither class (for instance AIMS' "Flag for Removal").
 */
export function harmOfLabel(label: string): Harm | null {
  switch (label.trim().toLowerCase()) {
    case "harmful":
    case "unsafe":
    case "completely harmful":
    case "uncertain harmful":
      return "harmful";
    case "safe":
    case "unharmful":
    case "completely safe":
    case "uncertain safe":
      return "safe";
    default:
      return null;
  }
}

/** AIMS' spelling of a level ("Completely Harmful") as ours; null if it is none of the four. */
export function levelOfLabel(label: string): Level | null {
  const name = label.trim().toLowerCase().replace(" ", "_");
  return LEVELS.find((level) => level === name) ?? null;
}
