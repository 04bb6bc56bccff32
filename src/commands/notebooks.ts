import { defineCommand } from "citty";
import { relative } from "node:path";
import { interruptSignal } from "../cli/interrupt.js";
import { describeFailure, renderNotebooks } from "../report/render-notebooks.js";
import { visibleText } from "../report/text.js";
import { say } from "../terminal.js";

export default defineCommand({
  meta: { name: "notebooks", description: "Execute notebooks and write them as offline pages to results/notebooks" },
  args: {
    names: { type: "positional", required: false, description: "Notebooks, such as 00-data; all if none is named" },
  },
  run: async ({ args }) => {
    await renderAndShow(args._);
  },
});

/**
 * Renders the named notebooks, all of them if none is named, and prints where they are; a cell that failed sets the exit code.
 * @returns names of those in which a cell failed
 * @throws NotebookError as `renderNotebooks` does
 */
export async function renderAndShow(names: readonly string[]): Promise<readonly string[]> {
  const onCell = (name: string, cell: number, cells: number): void => {
    say(`${name}: cell ${cell} of ${cells}`);
  };
  const rendered = await renderNotebooks(names, { signal: interruptSignal(), onCell });
  const shown = (path: string): string => visibleText(relative(process.cwd(), path));
  for (const { name, notebook, html, seconds, failure } of rendered) {
    const state = failure === null ? "" : ", failed";
    console.log(`${visibleText(name)} (${seconds.toFixed(1)} s${state}): ${shown(html)}, ${shown(notebook)}`);
  }
  const failed = rendered.filter(({ failure }) => failure !== null);
  for (const one of failed) {
    console.error(`\n${describeFailure(one)}`);
    const { error, traceback } = one.failure!;
    for (const line of traceback) if (!error.includes(line)) console.error(`  ${line}`);
  }
  if (failed.length > 0) process.exitCode = 1;
  else if (rendered.length === 0) console.log("there is no notebook in notebooks/");
  return failed.map(({ name }) => name);
}
