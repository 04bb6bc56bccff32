/** The list of commands tells what they are. */
import { expect, it } from "vitest";
import { commands } from "../../src/commands/index.js";

it("names every experiment that `run` has", async () => {
  const { summary, load } = commands["run"];
  const { subCommands } = await load();
  const named = summary.replace(/^.*: /, "").split(", ");
  expect(named.toSorted()).toEqual(Object.keys(subCommands as object).toSorted());
});
