/** The folders that set-up works in. The cache is the same as in src/paths.ts, which cannot be read before tsx is installed. */
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** TRUE_INTENTS_CACHE, else $XDG_CACHE_HOME/true-intents, else ~/.cache/true-intents. */
export function cacheFolder(environment = process.env) {
  const own = environment["TRUE_INTENTS_CACHE"];
  if (own) return resolve(own);
  const shared = environment["XDG_CACHE_HOME"];
  if (shared && isAbsolute(shared)) return join(shared, "true-intents");
  return join(homedir(), ".cache", "true-intents");
}
