/** Read-only files, read by position: nothing is loaded that was not asked for, and no read reaches past the end. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { WeightFileError } from "./errors.js";

export interface ReadOnlyFile {
  readonly path: string;
  readonly size: number;
  /** Fills `target` from `position`. `where` names the part being read in errors. @throws WeightFileError if the file ends before. */
  readAt(position: number, target: Uint8Array, where: string): void;
  close(): void;
}

/** Opens a regular file. @throws WeightFileError if it is missing, not a regular file or not readable. */
export function openReadOnly(path: string): ReadOnlyFile {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (cause) {
    throw new WeightFileError(path, "file", "cannot be opened for reading", { cause });
  }
  const status = fstatSync(descriptor);
  if (!status.isFile()) {
    closeSync(descriptor);
    throw new WeightFileError(path, "file", "is not a regular file");
  }
  const size = status.size;
  let open = true;
  return {
    path,
    size,
    readAt(position, target, where) {
      if (!open) throw new WeightFileError(path, where, "was read after the file was closed");
      if (position < 0 || position + target.length > size) {
        throw new WeightFileError(
          path,
          where,
          `needs bytes ${position} to ${position + target.length} of a file of ${size} bytes (truncated?)`,
        );
      }
      let filled = 0;
      while (filled < target.length) {
        const count = readSync(descriptor, target, filled, target.length - filled, position + filled);
        if (count === 0) throw new WeightFileError(path, where, "the file became shorter while it was read");
        filled += count;
      }
    },
    close() {
      if (!open) return;
      open = false;
      closeSync(descriptor);
    },
  };
}
