/**
 * The npm packages of package-lock.json, exactly.
 *
 * Install scripts stay off (here and in .npmrc): tfjs-node's fetches a binary from a host that no longer serves it, and every
 * other package of ours ships what it needs.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run, SetupError } from "./run.mjs";

/** @typedef {{ version?: string, integrity?: string, optional?: boolean, link?: boolean }} LockedPackage */

/** @param {import("./report.mjs").Context} context */
export async function npmPackages({ root, log }) {
  const locked = packagesOf(join(root, "package-lock.json"));
  if (locked === null) throw new SetupError("package-lock.json is missing or damaged; take it from the repository again.");
  const reason = whyInstall(root, locked);
  if (reason) {
    log(`   ${reason}: npm ci`);
    const [program, args] = npm();
    const { ok } = await run(program, [...args, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: root, show: true });
    const left = ok ? whyInstall(root, locked) : "npm ci failed";
    if (left) {
      throw new SetupError(
        `${left}; npm says why above. Nothing works without the npm packages: check the network connection and run it again.`,
      );
    }
  }
  return /** @type {const} */ ({ state: "ready", detail: `${locked.size} packages, as locked` });
}

/** @returns {string | null} why node_modules is not what the lock file says; null if it is. */
function whyInstall(/** @type {string} */ root, /** @type {Map<string, LockedPackage>} */ locked) {
  // npm writes this list when an installation has ended, and removes it when one begins.
  const installed = packagesOf(join(root, "node_modules", ".package-lock.json"));
  if (installed === null)
    return existsSync(join(root, "node_modules")) ? "node_modules is incomplete" : "node_modules is missing";
  for (const [path, wanted] of locked) {
    const found = installed.get(path);
    if (!found && wanted.optional) continue;
    if (found?.version !== wanted.version || found?.integrity !== wanted.integrity || !existsSync(join(root, path))) {
      return `node_modules differs from package-lock.json (${path.replace("node_modules/", "")})`;
    }
  }
  return null;
}

/** @returns {Map<string, LockedPackage> | null} the packages by folder, links left out; null if the file cannot be read. */
function packagesOf(/** @type {string} */ lockFile) {
  try {
    const { packages } = JSON.parse(readFileSync(lockFile, "utf8"));
    const entries = /** @type {[string, LockedPackage][]} */ (Object.entries(packages));
    return new Map(entries.filter(([path, entry]) => path.startsWith("node_modules/") && !entry.link));
  } catch {
    return null;
  }
}

/** The npm that runs this script, if one does: it need not be on PATH. @returns {[string, string[]]} */
function npm() {
  const cli = process.env.npm_execpath;
  if (cli && /\.c?js$/.test(cli) && /npm/.test(cli)) return [process.execPath, [cli]];
  return [process.platform === "win32" ? "npm.cmd" : "npm", []];
}
