/** The doctor's report for people. */
import pc from "picocolors";
import { formatBytes } from "../download/progress.js";
import { visibleText } from "../report/text.js";
import type { DoctorReport, NotebookFacts } from "./report.js";

/** The report as text, one fact a line, gaps last. Colours only on a terminal. */
export function reportText(report: DoctorReport): string {
  const { engine, machine, tools, cache, models, data } = report;
  const here = models.filter((model) => model.path !== null);
  const rows: [string, string][] = [
    ["engine", engine.summary],
    ["device", `${engine.device ?? "none"}, ${engine.threads} thread${engine.threads === 1 ? "" : "s"}`],
    ["precision", engine.precision ?? "none"],
    ["kernels", `${engine.kernels.chosen ?? "none"} (available: ${engine.kernels.available.join(", ")})`],
    ["TensorFlow", engine.tensorflow ?? "not loaded"],
    ["processor", `${machine.cpu}, ${machine.cores} cores, ${machine.platform}`],
    ["memory", `${formatBytes(machine.memory.totalBytes)}, ${formatBytes(machine.memory.freeBytes)} free`],
    ["GPU", machine.gpus.join(", ") || "no NVIDIA GPU found"],
    ["Node.js", `${tools.node}, npm ${tools.npm ?? "not found"}`],
    ["Python", tools.python ?? "not found"],
    ["compiler", tools.compiler ?? "not found"],
    [
      "cache",
      `${cache.folder}, ${formatBytes(cache.bytes)}${cache.freeBytes === null ? "" : `, ${formatBytes(cache.freeBytes)} free`}`,
    ],
    ["models", here.map(({ name, bytes }) => `${name}${bytes === null ? "" : ` (${formatBytes(bytes)})`}`).join(", ") || "none"],
    ["data", data.sets.flatMap(({ name, path }) => (path === null ? [] : name)).join(", ")],
    ["notebooks", notebooksText(report.notebooks)],
    ...Object.entries(report.settings).map(([name, value]): [string, string] => ["setting", visibleText(`${name}=${value}`)]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${pc.dim(name.padEnd(width))}  ${value}`);
  const gaps = report.gaps.map(({ what, todo }) => `${pc.yellow("!")} ${what}\n  -> ${todo}`);
  return [...lines, "", ...(gaps.length > 0 ? gaps : [pc.green("Nothing is missing.")])].join("\n");
}

function notebooksText({ packages, lab, kernel }: NotebookFacts): string {
  if (!packages) return "nothing to execute them with";
  return `${lab ? "JupyterLab" : "rendering without JupyterLab"} in .venv, kernel tslab ${kernel}`;
}
