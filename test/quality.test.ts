/** The code itself: types, lint rules, format. The same commands as `npm run typecheck`, `npm run lint`, `npm run format:check`. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

it.concurrent.each([
  ["types", ["node_modules/typescript/bin/tsc", "--noEmit"]],
  ["types of the scripts", ["node_modules/typescript/bin/tsc", "--noEmit", "-p", "scripts"]],
  ["lint", ["node_modules/eslint/bin/eslint.js", ".", "--cache", "--cache-location", "build/eslint-cache"]],
  ["format", ["node_modules/prettier/bin/prettier.cjs", "--check", "--log-level", "warn", "."]],
])(
  "%s",
  async (_, args) => {
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, args, { cwd: root, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        resolve(error ? `${stdout}${stderr}` || error.message : "");
      });
    });
    expect(output).toBe("");
  },
  300_000,
);
