/** The cells of a distillation grid: which there are, which are asked for, and where each lives. */
import { join } from "node:path";
import { closest } from "../closest.js";
import { fileName } from "../file-name.js";
import { ConfigError, quotable } from "./config.js";
import type { DistillationConfig } from "./distillation-config.js";
import type { CellKey } from "./distillation-summary.js";

/** Every cell: teachers first, then students, then conditions. */
export function cellsOf({ teachers, students, conditions }: DistillationConfig): CellKey[] {
  return teachers.flatMap((teacher) =>
    students.flatMap((student) => conditions.map((condition) => ({ teacher, student, condition }))),
  );
}

export const CELLS = "cells";

/** Folder of a cell below the experiment's. */
export function cellFolder({ teacher, student, condition }: CellKey): string {
  return join(CELLS, fileName(teacher), fileName(student), condition);
}

/** Folder of one training below the experiment's. */
export function cellRunFolder(cell: CellKey, learningRate: number, seed: number): string {
  return join(cellFolder(cell), `lr-${learningRate}`, `seed-${seed}`);
}

export function sameCell(a: CellKey, b: CellKey): boolean {
  return a.teacher === b.teacher && a.student === b.student && a.condition === b.condition;
}

/** "teacher -> student, condition" */
export function cellName({ teacher, student, condition }: CellKey): string {
  return `${teacher} -> ${student}, ${condition}`;
}

const PARTS = ["teacher", "student", "condition"] as const;

/**
 * The cells that are asked for: those that fit all parts of one of the texts; without texts, all.
 * @param only texts such as "teacher=a,condition=no_intent"
 * @throws ConfigError naming what does not exist, and the nearest that does
 */
export function chosenCells(config: DistillationConfig, only: readonly string[] = []): CellKey[] {
  const known = { teacher: config.teachers, student: config.students, condition: config.conditions };
  const filters = only.map((text) => {
    const filter: Partial<Record<(typeof PARTS)[number], string>> = {};
    for (const part of text.split(",")) {
      const [key, value] = part.split("=").map((side) => side.trim());
      const name = PARTS.find((one) => one === key);
      if (name === undefined || value === undefined)
        throw new ConfigError(
          "only",
          `--only is "${quotable(text)}"; it must be like teacher=NAME,student=NAME,condition=NAME, with one or more of the three`,
        );
      if (filter[name] !== undefined) throw new ConfigError("only", `--only says ${name} twice; give --only once more instead`);
      const names: readonly string[] = known[name];
      if (!names.includes(value)) {
        const similar = closest(value, names);
        const hint = similar === null ? `there are ${names.join(", ")}` : `did you mean ${similar}?`;
        throw new ConfigError("only", `--only: the grid has no ${name} "${quotable(value)}"; ${hint}`);
      }
      filter[name] = value;
    }
    return filter;
  });
  return cellsOf(config).filter(
    (cell) =>
      filters.length === 0 || filters.some((filter) => PARTS.every((part) => (filter[part] ?? cell[part]) === cell[part])),
  );
}

/** @throws ConfigError if two models would share a folder */
export function checkFolders(config: DistillationConfig): void {
  for (const key of ["teachers", "students"] as const) {
    const seen = new Map<string, string>();
    for (const name of config[key]) {
      const other = seen.get(fileName(name));
      if (other !== undefined)
        throw new ConfigError(key, `${key}: ${other} and ${name} would share a folder; rename one of them`);
      seen.set(fileName(name), name);
    }
  }
}
