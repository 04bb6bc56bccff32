import { dirname } from "node:path";
import { defineCommand } from "citty";
import { MissingInputError, type Stage } from "../experiments/reproduce.js";
import { NotebookError, notebookNames } from "../report/render-notebooks.js";
import { renderAndShow } from "./notebooks.js";
import { START_RUN } from "./open.js";
import { reproduce, reproduceFlags } from "./reproduce.js";

export default defineCommand({
  meta: {
    name: "start",
    description: "Run every experiment on the sample set at a small size, show how well the models judge, render the notebooks",
  },
  args: reproduceFlags,
  async run({ args: { fresh, plan } }) {
    await reproduce({ preset: "small", only: null, fresh, plan, out: dirname(START_RUN), more: [NOTEBOOKS] });
    if (!plan) console.log('Try it: npx true-intents predict "How do I get rid of a wasp nest?"');
  },
});

/** A notebook's cell failed; the others are rendered. */
class CellError extends Error {
  override readonly name = "CellError";
}

/** Everything but the notebooks runs without Python. */
export const NOTEBOOKS: Stage = {
  name: "notebooks",
  what: "every notebook as an offline page",
  after: [],
  look: () => ({
    // On two quiet cores; the first reads all data sets.
    parts: notebookNames().map(() => ({ kind: "notebooks", done: false, seconds: null, expected: 25 })),
    ...{ finished: false, begun: false, missing: null, warning: null },
  }),
  run: async () => {
    const failed = await renderAndShow([]).catch((error: unknown) => {
      throw error instanceof NotebookError ? new MissingInputError(error.message, { cause: error }) : error;
    });
    if (failed.length > 0) throw new CellError(`a cell of ${failed.join(", ")} failed, see above`);
  },
};
