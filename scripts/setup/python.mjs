/** The host's Python: found, asked for its version, used for pip. Nothing is ever installed into it. */
import { findProgram, run } from "./run.mjs";

/** @typedef {{ path: string, version: string }} Python */

/** @returns {Promise<Python | null>} PYTHON, python3 or python: the first that is Python 3.9 or newer. */
export async function findPython() {
  for (const name of [process.env.PYTHON, "python3", "python"]) {
    const path = name ? findProgram(name) : null;
    if (path === null) continue;
    const { ok, output } = await run(path, ["-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]);
    const [major = 0, minor = 0] = output.trim().split(".").map(Number);
    if (ok && major === 3 && minor >= 9) return { path, version: output.trim() };
  }
  return null;
}

/** Whether `python -m pip` works; Debian, for one, ships Python without it. */
export async function hasPip(/** @type {Python} */ python) {
  return (await run(python.path, ["-m", "pip", "--version"])).ok;
}

/**
 * Downloads one wheel, without what it depends on, into `folder`; its Python and platform are given, so that the host's do
 * not matter. pip's progress bar is shown.
 * @param {Python} python
 * @param {{ package: string, version: string }} wheel
 * @param {{ folder: string, pythonVersion: string, platforms: readonly string[] }} options
 * @returns {Promise<boolean>} whether pip ended well
 */
export async function pipDownload(python, wheel, { folder, pythonVersion, platforms }) {
  const args = ["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--no-deps"];
  args.push("--only-binary=:all:", "--python-version", pythonVersion, "--dest", folder);
  for (const platform of platforms) args.push("--platform", platform);
  // The unpacked wheel goes where there is room for it: the system's temporary folder may be small.
  const env = { ...process.env, TMPDIR: folder };
  return (await run(python.path, [...args, `${wheel.package}==${wheel.version}`], { show: true, env })).ok;
}
