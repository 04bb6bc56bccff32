/** Checksums of files: sha256 (ours, and the hub's for large files) and git's blob id (the hub's for small ones). */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { createReadStream } from "node:fs";

export interface Digest {
  readonly algorithm: "sha256" | "git-blob";
  /** Lower-case hexadecimal. */
  readonly hex: string;
}

/** Starts a running checksum. `bytes` is the whole file's length: git's blob id begins with it. */
export function startDigest(algorithm: Digest["algorithm"], bytes: number): Hash {
  return algorithm === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
}

/** Feeds a file (its first `end` bytes if given) into a checksum, in pieces of 1 MiB. */
export async function digestInto(hash: Hash, path: string, options: { end?: number; signal?: AbortSignal } = {}): Promise<void> {
  if (options.end === 0) return;
  const range = options.end === undefined ? {} : { end: options.end - 1 };
  const stream = createReadStream(path, { ...range, highWaterMark: 1 << 20, ...(options.signal && { signal: options.signal }) });
  for await (const piece of stream) hash.update(piece as Buffer);
}

/** Checksum of a whole file in hexadecimal. */
export async function fileDigest(
  path: string,
  algorithm: Digest["algorithm"],
  bytes: number,
  signal?: AbortSignal,
): Promise<string> {
  const hash = startDigest(algorithm, bytes);
  await digestInto(hash, path, signal ? { signal } : {});
  return hash.digest("hex");
}
