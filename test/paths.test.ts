import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { cacheFolder, modelsFolder } from "../src/paths.js";

const home = join(homedir(), ".cache", "true-intents");

test.each([
  [{}, home],
  [{ TRUE_INTENTS_CACHE: "/own", XDG_CACHE_HOME: "/xdg" }, resolve("/own")],
  [{ TRUE_INTENTS_CACHE: "here" }, resolve("here")],
  [{ TRUE_INTENTS_CACHE: "", XDG_CACHE_HOME: "/xdg" }, join("/xdg", "true-intents")],
  [{ XDG_CACHE_HOME: "relative" }, home],
  [{ XDG_CACHE_HOME: "" }, home],
])("the cache with %j", (environment, folder) => {
  expect(cacheFolder(environment)).toBe(folder);
  expect(modelsFolder(environment)).toBe(join(folder, "models"));
});
