/** A `python3` for the PATH whose `pip download` hands out wheels from a folder instead of a registry. */
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { vi } from "vitest";
import { makeZip } from "./zip-builder.js";
import type { ZipEntry } from "./zip-builder.js";

export interface FakePip {
  /** Puts a package on offer; `wheel` may be damaged bytes. */
  offer(name: string, version: string, wheel: readonly ZipEntry[] | Buffer): Promise<void>;
  /** What pip was asked for: one line a call. */
  calls(): Promise<string[]>;
}

const script = (wheels: string, log: string, extra: string): string => `#!/bin/sh
echo "$@" >> '${log}'
${extra}
while [ $# -gt 0 ]; do
  if [ "$1" = "-d" ]; then folder="$2"; shift; fi
  wanted="$1"; shift
done
wheel="${wheels}/$(echo "$wanted" | sed 's/==/-/; s/-\\([^-]*\\)$/@\\1/; s/-/_/g; s/@/-/')-py3-none-any.whl"
if [ ! -f "$wheel" ]; then
  echo "ERROR: Could not find a version that satisfies the requirement $wanted (from versions: none)" >&2
  echo "ERROR: No matching distribution found for $wanted" >&2
  exit 1
fi
cp "$wheel" "$folder/"
`;

/** Installs the fake into \`folder\` and puts it first on the PATH; \`extra\` is shell that runs before each download. */
export async function fakePip(folder: string, extra = ""): Promise<FakePip> {
  const bin = join(folder, "bin");
  const wheels = join(folder, "wheels");
  const log = join(folder, "calls.log");
  await mkdir(bin, { recursive: true });
  await mkdir(wheels, { recursive: true });
  await writeFile(log, "");
  await writeFile(join(bin, "python3"), script(wheels, log, extra));
  await chmod(join(bin, "python3"), 0o755);
  vi.stubEnv("PATH", `${bin}${delimiter}${process.env["PATH"] ?? ""}`);
  return {
    offer: (name, version, wheel) =>
      writeFile(
        join(wheels, `${name.replaceAll("-", "_")}-${version}-py3-none-any.whl`),
        Buffer.isBuffer(wheel) ? wheel : makeZip(wheel),
      ),
    calls: async () => (await readFile(log, "utf8")).trim().split("\n").filter(Boolean),
  };
}
