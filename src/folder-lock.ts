/**
 * One process a folder. The lock is a symbolic link named `lock` whose text, and not a file, tells who holds it: making a link is
 * exclusive, and the link appears with all of its text or not at all. The text names the process by id and start time, so that the
 * lock of a process that is gone, even if another has its id now, is taken over.
 *
 * Of several processes that find the same lock abandoned, one at most may remove it: the one that holds the lock on that lock, whose
 * name is the abandoned lock's own nonce. Whoever comes late finds another nonce there and looks again.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** Another process works in the folder. */
export class FolderLockedError extends Error {
  override readonly name = "FolderLockedError";
  constructor(
    readonly folder: string,
    readonly pid: number,
    since: string,
  ) {
    super(`${folder} is in use by process ${pid} (since ${since}); wait for it, stop it, or use another folder`);
  }
}

/** Something that is no lock stands where the lock should. */
export class FolderLockError extends Error {
  override readonly name = "FolderLockError";
}

const schema = z.strictObject({
  pid: z.int().positive(),
  started: z.iso.datetime(),
  process: z.string(),
  nonce: z.uuid(),
});
type Holder = z.infer<typeof schema>;

/**
 * Takes the folder for this process; makes it where there is none.
 * @returns a function that gives it back
 * @throws FolderLockedError naming the process that has it; FolderLockError
 */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const release = take(folder, join(folder, "lock"));
  // Locks on locks that are gone by now: a process was killed while it took over. Whoever still holds one finds our lock and looks again.
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isSymbolicLink() && entry.name.startsWith("lock.")) rmSync(join(folder, entry.name), { force: true });
  return release;
}

function take(folder: string, file: string): () => void {
  const started = new Date().toISOString();
  const nonce = randomUUID();
  const mine = JSON.stringify({ pid: process.pid, started, process: processIdentity(process.pid) ?? "", nonce });
  // Each round but the last found a lock that then went away.
  while (!madeLink(mine, file)) {
    const text = linkText(file);
    if (text === null) continue;
    const holder = parseHolder(text);
    if (holder !== null && isRunning(holder)) throw new FolderLockedError(folder, holder.pid, holder.started);
    const release = take(folder, `${file}.${holder?.nonce ?? "damaged"}`);
    try {
      if (linkText(file) === text) rmSync(file);
    } finally {
      release();
    }
  }
  return () => {
    if (linkText(file) === mine) rmSync(file, { force: true });
  };
}

/** False if something stands there already. */
function madeLink(text: string, file: string): boolean {
  try {
    symlinkSync(text, file);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

/** Null if nothing is there. */
function linkText(file: string): string | null {
  try {
    return readlinkSync(file);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    if (hasCode(error, "EINVAL")) throw new FolderLockError(`${file}: is in the way: remove it, or use another folder`);
    throw error;
  }
}

/** Null for a text that this program did not write: then nobody holds the lock. */
function parseHolder(text: string): Holder | null {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

function isRunning(holder: Holder): boolean {
  const now = processIdentity(holder.pid);
  if (now !== undefined) return now === holder.process;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

/**
 * What tells a process from any other that ever has its id: boot and start time. Null if there is no such process (or it has ended and
 * waits for its parent); undefined where the system does not say.
 */
function processIdentity(pid: number): string | null | undefined {
  const boot = textOrNull("/proc/sys/kernel/random/boot_id");
  if (boot === null) return undefined;
  const status = textOrNull(`/proc/${pid}/stat`);
  if (status === null) return null;
  // The second field is the command in parentheses and may hold anything; state and start time are the 1st and the 20th after it.
  const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? null : `${boot.trim()} ${fields[19]}`;
}

function textOrNull(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    // A process that ends while its file is read gives ESRCH.
    if (hasCode(error, "ENOENT") || hasCode(error, "ESRCH")) return null;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
