/** The record kept in a downloaded model's folder: where it came from and what its files must be. */
import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Digest } from "../../download/digest.js";

/** A file with its checksum, as expected in a model's folder. */
export interface ExpectedFile {
  readonly name: string;
  readonly bytes: number;
  readonly digest: Digest;
}

/** Written into a model's folder when all of its files are there. */
export interface ModelRecord {
  readonly source: "hub" | "pypi";
  /** Repository and commit, or the packages. */
  readonly from: string;
  /** Licence as the source names it, if it does. */
  readonly licence: string | null;
  readonly files: readonly ExpectedFile[];
}

/** The record's name in the folder. */
export const recordName = "source.json";

const recordSchema = z.object({
  source: z.enum(["hub", "pypi"]),
  from: z.string(),
  licence: z.string().nullable(),
  files: z.array(
    z.object({
      name: z.string().refine((name) => !name.split(/[\\/]/).includes("..") && !name.startsWith("/")),
      bytes: z.number().int().nonnegative(),
      digest: z.object({ algorithm: z.enum(["sha256", "git-blob"]), hex: z.string() }),
    }),
  ),
});

/** The record in a model's folder; null if there is none or it is damaged (then the model counts as not downloaded). */
export async function readRecord(folder: string): Promise<ModelRecord | null> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(join(folder, recordName), "utf8")));
  } catch {
    return null;
  }
}

/** Writes the record so that no reader ever sees a part of it. */
export async function writeRecord(folder: string, record: ModelRecord): Promise<void> {
  const temporary = join(folder, `${recordName}.${randomUUID()}.part`);
  await writeFile(temporary, `${JSON.stringify(record, null, 2)}\n`);
  await rename(temporary, join(folder, recordName));
}
