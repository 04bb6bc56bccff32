/** From facts to advice: what is missing, what that means, and what to do about it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { DoctorReport, Gap } from "./report.js";

const setupSchema = z.object({
  version: z.literal(1),
  steps: z.record(z.string(), z.object({ state: z.string(), detail: z.string(), todo: z.string().optional() })),
});

/** What set-up found missing, step by step; null if it never ran here. */
export type SetupProblems = ReadonlyMap<string, Gap>;

/** Reads build/setup.json. */
export function setupProblems(root: string): SetupProblems | null {
  let text: string;
  try {
    text = readFileSync(join(root, "build", "setup.json"), "utf8");
  } catch {
    return null;
  }
  const parsed = setupSchema.safeParse(parseJson(text));
  if (!parsed.success) return null;
  const missing = Object.entries(parsed.data.steps).filter(([, step]) => step.state !== "ready");
  return new Map(
    missing.map(([name, { detail, todo }]) => [name, { what: `${name}: ${detail}`, todo: todo || "npm run setup" }]),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Gaps in the order in which they matter. `problems`: why set-up could not do its part. */
export function findGaps(report: Omit<DoctorReport, "gaps">, problems: SetupProblems | null): Gap[] {
  const { engine, machine, models, data, tools } = report;
  const gaps: Gap[] = [];
  if (problems === null) gaps.push({ what: "set-up has not run in this folder", todo: "npm run setup" });
  if (engine.backend === null)
    gaps.push({ what: `no backend starts: ${engine.summary}`, todo: "mend or unset the variable it names" });
  if (engine.unavailable !== null) gaps.push(nativeGap(report, problems));
  if (engine.unavailable === null && engine.device === "cpu" && machine.gpus.length > 0) {
    gaps.push({
      what: `${machine.gpus.join(", ")} is not used: TensorFlow runs on the CPU`,
      todo: "npm run setup (it takes the CUDA build where nvidia-smi works; the driver must support CUDA 12.5)",
    });
  }
  const [kernels] = engine.kernels.available;
  if (engine.device === "cpu" && (kernels === "plain" || kernels === "portable") && machine.platform.endsWith("x64")) {
    gaps.push({
      what: `the kernels run without vector instructions (${kernels})`,
      todo: "use a CPU with AVX2 or better for training",
    });
  }
  if (models.every((model) => model.path === null)) {
    const [first] = models;
    gaps.push(
      problems?.get("models") ?? { what: "no model is on this machine", todo: `npx true-intents model get ${first.name}` },
    );
  }
  for (const set of data.sets) if (set.todo !== null) gaps.push({ what: `the data of ${set.name} is not here`, todo: set.todo });
  if (!report.notebooks.packages) {
    const why = problems?.get("Jupyter") ?? {
      what: "Jupyter is not installed in .venv (the notebooks need it)",
      todo: "npm run setup",
    };
    gaps.push(tools.python === null ? { ...why, todo: "install python3 with pip and venv, then npm run setup" } : why);
  } else if (report.notebooks.kernel !== "ready") {
    gaps.push({ what: `the notebooks' kernel, tslab, is ${report.notebooks.kernel}`, todo: "npm run setup" });
  }
  return gaps;
}

/** Set-up knows the reason best; the loader's words tell if something broke since. */
function nativeGap({ engine, tools }: Omit<DoctorReport, "gaps">, problems: SetupProblems | null): Gap {
  const known = ["TensorFlow library", "TensorFlow binding", "fused kernels"].flatMap((step) => problems?.get(step) ?? []);
  if (known[0]) return known[0];
  const what =
    engine.tensorflow === null
      ? `the native TensorFlow library does not load (${engine.unavailable}): much slower, float32 only`
      : `the compiled kernels do not load (${engine.unavailable}): several times slower`;
  return { what, todo: tools.compiler === null ? "install g++, then npm run setup" : "npm run setup" };
}
