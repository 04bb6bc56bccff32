import { defineCommand } from "citty";
import ablations from "./run-ablations.js";
import distillation from "./run-distillation.js";
import dpo from "./run-dpo.js";
import grpo from "./run-grpo.js";
import sft from "./run-sft.js";
import traces from "./run-traces.js";

export default defineCommand({
  meta: { name: "run", description: "Run an experiment, or go on with it" },
  subCommands: { sft, dpo, grpo, traces, distillation, ablations },
});
