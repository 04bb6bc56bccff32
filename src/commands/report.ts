import { defineCommand } from "citty";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../cli/arguments.js";
import { interruptSignal } from "../cli/interrupt.js";
import { printable } from "../evaluate/table.js";
import { ReportFolderError, writeBundle } from "../report/bundle.js";
import { say } from "../terminal.js";

const REPORT = fileURLToPath(new URL("../../results/report", import.meta.url));

export default defineCommand({
  meta: {
    name: "report",
    description: "Put all results into one folder that opens offline: tables, notebooks, where they come from",
  },
  args: {
    out: { type: "string", description: "Folder of the report (default: results/report)", valueHint: "DIR" },
    notebooks: {
      type: "boolean",
      default: true,
      description: "With the notebooks' pages (--no-notebooks: the first page alone)",
    },
    render: {
      type: "boolean",
      default: true,
      description: "Execute notebooks without a page, or older than the runs (--no-render: take the pages that are there)",
    },
    figures: { type: "boolean", default: false, description: "Also write every figure as SVG and PNG" },
  },
  async run({ args: { out = REPORT, notebooks, render, figures } }) {
    const signal = interruptSignal();
    const onCell = (name: string, cell: number, cells: number): void => {
      say(`${name}: cell ${cell} of ${cells}`);
    };
    const flags = [
      ...(notebooks ? [] : ["--no-notebooks"]),
      ...(render ? [] : ["--no-render"]),
      ...(figures ? ["--figures"] : []),
    ];
    const command = ["npx true-intents report", ...flags].join(" ");
    try {
      const bundle = await writeBundle(resolve(out), { notebooks, render, figures, command, signal, onCell });
      const { facts, missing } = bundle.runs;
      if (!facts.some(({ own }) => own))
        console.log("There is no run of your own: the report shows the recorded runs, and says so.");
      for (const line of [...missing, ...bundle.pages.notes]) process.stderr.write(`${printable(line)}\n`);
      const failed = bundle.pages.pages.flatMap(({ name, failure }) => (failure === null ? [] : [`${name}: ${failure}`]));
      for (const line of failed) process.stderr.write(`failed: ${printable(line)}\n`);
      if (failed.length > 0) process.exitCode = 1;
      const drawn = bundle.figures === 0 ? "" : `, ${bundle.figures} figures as SVG and PNG`;
      const near = relative(process.cwd(), bundle.index);
      console.log(`${near.startsWith("..") ? bundle.index : near}: ${bundle.pages.pages.length} notebooks${drawn}`);
    } catch (error) {
      throw error instanceof ReportFolderError ? new UsageError(error.message) : error;
    }
  },
});
