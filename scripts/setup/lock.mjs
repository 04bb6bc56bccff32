/**
 * A lock between processes: a file that holds its owner's process id. The owner touches it every few seconds, so that a lock
 * whose process is gone (or, on a shared folder, whose machine is) can be told from a live one and taken over.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const touchEveryMs = 5_000;
const deadAfterMs = 60_000;

/**
 * Runs `work` while holding the lock at `path`; waits for another holder, saying so once.
 * @template T
 * @param {string} path
 * @param {string} what said while waiting: "another set-up works on <what>"
 * @param {(line: string) => void} log
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, what, log, work) {
  mkdirSync(dirname(path), { recursive: true });
  const mine = `${hostname()} ${process.pid}`;
  for (let told = false; !take(path, mine); told = true) {
    if (!told) log(`   another set-up works on ${what}; waiting for it to end …`);
    await sleep(200);
  }
  const release = () => {
    if (owner(path) === mine) rmSync(path, { force: true });
  };
  const touch = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Taken away from outside: the work goes on, there is nothing left to touch.
    }
  }, touchEveryMs);
  touch.unref();
  process.once("exit", release);
  try {
    return await work();
  } finally {
    clearInterval(touch);
    process.off("exit", release);
    release();
  }
}

/** A lock appears with its owner's name already in it: a link to a finished file, which fails if the lock is held. */
function take(/** @type {string} */ path, /** @type {string} */ mine) {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, mine);
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    const dead = deadOwner(path);
    if (dead !== null) remove(path, dead);
    return false;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Only one of several waiters can rename the dead lock away. If a new owner came in between, the lock goes back. */
function remove(/** @type {string} */ path, /** @type {string} */ dead) {
  const grave = `${path}.${process.pid}.dead`;
  try {
    renameSync(path, grave);
    if (owner(grave) !== dead) linkSync(grave, path);
  } catch {
    // Another waiter was first.
  }
  rmSync(grave, { force: true });
}

/** @returns {string | null} */
function owner(/** @type {string} */ path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** @returns {string | null} who left the lock at `path` behind; null if its owner lives. */
function deadOwner(/** @type {string} */ path) {
  const text = owner(path);
  if (text === null) return null;
  const [host, pid] = text.split(" ");
  if (host === hostname()) {
    try {
      process.kill(Number(pid), 0);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ESRCH") return text;
    }
  }
  const touched = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
  return Date.now() - touched > deadAfterMs ? text : null;
}
