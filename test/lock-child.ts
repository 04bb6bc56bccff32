/**
 * Takes a folder's lock argv[3] times among others that do the same, and leaves it abandoned every other time. While it has the lock
 * it makes a file that must not be there: `shared` counts how often it was.
 */
import { closeSync, openSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { FolderLockedError, lockFolder } from "../src/folder-lock.js";

const [folder, times] = [process.argv[2], Number(process.argv[3])];
const mark = join(folder, "held");
let shared = 0;
let taken = 0;
while (taken < times) {
  try {
    const release = lockFolder(folder);
    taken++;
    try {
      closeSync(openSync(mark, "wx"));
    } catch {
      shared++;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
    rmSync(mark, { force: true });
    if (taken % 2 === 0) release();
    else {
      // As if it had been killed and its id given to another.
      const file = join(folder, "lock");
      const text = readlinkSync(file).replace(/"process":"[^"]*"/, '"process":"gone"');
      symlinkSync(text, join(folder, `left.${process.pid}`));
      renameSync(join(folder, `left.${process.pid}`), file);
    }
  } catch (error) {
    if (!(error instanceof FolderLockedError)) throw error;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
process.send!({ taken, shared });
process.disconnect();
