/** One process a folder: taken, refused, taken over; never held by two. */
import { fork } from "node:child_process";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FolderLockedError, lockFolder } from "../src/folder-lock.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lock-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const lock = (): string => join(folder, "lock");
const holder = (): Record<string, unknown> => JSON.parse(readlinkSync(lock())) as Record<string, unknown>;
const abandon = (changes: object): void => {
  const release = lockFolder(folder);
  const text = JSON.stringify({ ...holder(), ...changes });
  release();
  symlinkSync(text, lock());
};

describe("lockFolder", () => {
  it("refuses a second holder by the first one's process id, also within one process, and gives back", () => {
    const release = lockFolder(folder);
    expect(holder()).toMatchObject({ pid: process.pid });
    expect(() => lockFolder(folder)).toThrow(FolderLockedError);
    expect(() => lockFolder(folder)).toThrow(`in use by process ${process.pid}`);
    release();
    release();
    expect(readdirSync(folder)).toEqual([]);
    lockFolder(folder)();
  });

  it.each([
    ["a process that is gone", { pid: 2 ** 22 + 1 }],
    ["another process with the same id", { process: "another boot 1" }],
  ])("takes over from %s", (_, changes) => {
    abandon(changes);
    const release = lockFolder(folder);
    expect(holder()).toMatchObject({ pid: process.pid });
    expect(readdirSync(folder)).toEqual(["lock"]);
    release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("takes over from a process that was killed while it took over", () => {
    abandon({ pid: 2 ** 22 + 1 });
    const gone = readlinkSync(lock());
    const nonce = (JSON.parse(gone) as { nonce: string }).nonce;
    symlinkSync(gone.replace(nonce, "5f0c2f3e-7a3c-4a52-9d0a-0a4d9a3c7f11"), `${lock()}.${nonce}`);
    const release = lockFolder(folder);
    expect(readdirSync(folder)).toEqual(["lock"]);
    release();
  });

  it("replaces what is not a lock of ours, and does not give back a lock that is another's", () => {
    symlinkSync("nonsense", lock());
    const release = lockFolder(folder);
    rmSync(lock());
    symlinkSync("another's", lock());
    release();
    expect(readlinkSync(lock())).toBe("another's");
  });

  it("leaves a file of the user's that is named lock alone", () => {
    writeFileSync(lock(), "mine");
    expect(() => lockFolder(folder)).toThrow(/lock: is in the way/);
    expect(readdirSync(folder)).toEqual(["lock"]);
  });

  it("is held by one at a time while many processes take it over from killed ones", { timeout: 60_000 }, async () => {
    abandon({ pid: 2 ** 22 + 1 });
    const child = fileURLToPath(new URL("lock-child.ts", import.meta.url));
    const children = Array.from({ length: 4 }, () => fork(child, [folder, "60"], { execArgv: ["--import", "tsx"] }));
    const counts = await Promise.all(
      children.map(
        (process) =>
          new Promise<{ taken: number; shared: number }>((resolve, reject) => {
            process.on("message", (message) => resolve(message as { taken: number; shared: number }));
            process.on("exit", (code) => code !== 0 && reject(new Error(`exit ${code}`)));
          }),
      ),
    );
    expect(counts.reduce((sum, { shared }) => sum + shared, 0)).toBe(0);
    expect(counts.every(({ taken }) => taken === 60)).toBe(true);
  });
});
