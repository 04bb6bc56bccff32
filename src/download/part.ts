/**
 * Names of unfinished downloads. Each process writes to a name of its own, `<target>.<host>.<pid>.part`, so that two
 * processes never write to one file; what a dead process left behind is taken over by a rename, which only one can win.
 */
import { readdir, rename, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

const host = hostname().replace(/[^A-Za-z0-9-]/g, "-") || "host";

/** A live download touches its part every few seconds; after this long its process id must have been reused. */
const abandonedAfterMs = 60 * 60 * 1000;

/**
 * The path at which this process may write the unfinished `target` (file or folder). A part that a dead process of this
 * machine left is adopted under the returned name; otherwise nothing exists there yet. One caller a process and target
 * at a time.
 */
export async function claimPart(target: string): Promise<string> {
  const mine = `${target}.${host}.${process.pid}.part`;
  if (await exists(mine)) return mine;
  const folder = dirname(target);
  const names = await readdir(folder).catch((): string[] => []);
  const pattern = new RegExp(`^${escape(basename(target))}\\.${escape(host)}\\.(\\d+)\\.part$`);
  for (const name of names) {
    const pid = pattern.exec(name)?.[1];
    if (pid === undefined || !(await abandoned(join(folder, name), Number(pid)))) continue;
    try {
      await rename(join(folder, name), mine);
      // The sidecar says which version of the file the part belongs to; without it the part is not resumed.
      await rename(`${join(folder, name)}.etag`, `${mine}.etag`).catch(() => undefined);
      return mine;
    } catch {
      // Another process took it first: look on.
    }
  }
  return mine;
}

async function abandoned(path: string, pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: the process lives and belongs to somebody else.
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return true;
  }
  const info = await stat(path).catch(() => null);
  return info !== null && Date.now() - info.mtimeMs > abandonedAfterMs;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
