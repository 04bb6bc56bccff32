/** Free disk space, asked before a download rather than found out at its end. */
import { statfs } from "node:fs/promises";
import { DownloadError, systemErrorCode } from "./errors.js";
import { formatBytes } from "./progress.js";

/** Left free beside the download, for logs and the rest of the machine. */
const marginBytes = 64 * 1024 * 1024;

/**
 * Throws a DownloadError ("disk-full") when `folder` (which must exist) has less than `bytes` plus a margin of 64 MiB free.
 * File systems that do not say how much is free pass.
 */
export async function requireDiskSpace(folder: string, bytes: number, label: string): Promise<void> {
  const info = await statfs(folder).catch(() => null);
  if (info === null || info.bsize === 0 || info.blocks === 0) return;
  const free = info.bavail * info.bsize;
  if (free >= bytes + marginBytes) return;
  throw new DownloadError(
    "disk-full",
    `${label} needs ${formatBytes(bytes)} and ${folder} has ${formatBytes(free)} free. ` +
      "Make room, or set TRUE_INTENTS_CACHE to a folder on a larger disk.",
  );
}

/** Turns the system's "no space left" into a DownloadError; gives any other error back as it was. */
export function explainWriteError(error: unknown, path: string): unknown {
  const code = systemErrorCode(error);
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new DownloadError(
    "disk-full",
    `the disk filled up while writing ${path}; what was written is kept. Make room and run the same command again, ` +
      "or set TRUE_INTENTS_CACHE to a folder on a larger disk.",
    { cause: error },
  );
}
