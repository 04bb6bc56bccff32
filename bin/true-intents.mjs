#!/usr/bin/env node
/** The command line: registers the TypeScript loader and runs src/cli.ts. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

if (!existsSync(fileURLToPath(new URL("../node_modules/tsx", import.meta.url)))) {
  console.error("true-intents: the npm packages are not installed yet. Run: npm run setup");
  process.exit(1);
}
const { register } = await import("tsx/esm/api");
register();
const { main } = await import(new URL("../src/cli.ts", import.meta.url).href);
await main(process.argv.slice(2));
