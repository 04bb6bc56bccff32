/** The commands by name. Each is loaded when it is run, so that `--help` is quick. */
import type { AnyCommand } from "../cli/arguments.js";

export interface CommandEntry {
  /** One line of `true-intents --help`. */
  readonly summary: string;
  readonly load: () => Promise<AnyCommand>;
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  start: {
    summary: "run every experiment at a small size, show how well the models judge, render the notebooks",
    load: async () => (await import("./start.js")).default,
  },
  reproduce: {
    summary: "run all experiments at a size, and show their results in one table",
    load: async () => (await import("./reproduce.js")).default,
  },
  run: {
    summary: "run an experiment: sft, dpo, traces, distillation, grpo, ablations",
    load: async () => (await import("./run.js")).default,
  },
  model: {
    summary: "list, download and verify models",
    load: async () => (await import("./model.js")).default,
  },
  data: {
    summary: "list, download and check data sets",
    load: async () => (await import("./data.js")).default,
  },
  evaluate: {
    summary: "score a model on data sets, with intervals",
    load: async () => (await import("./evaluate.js")).default,
  },
  baseline: {
    summary: "score instruct models zero-shot, and guard models in their own form",
    load: async () => (await import("./baseline.js")).default,
  },
  judge: {
    summary: "how far a judge of intents agrees with annotators",
    load: async () => (await import("./judge.js")).default,
  },
  compare: {
    summary: "two models on the same prompts, and whether chance explains the difference",
    load: async () => (await import("./compare.js")).default,
  },
  predict: {
    summary: "what a prompt intends and whether it is harmful",
    load: async () => (await import("./predict.js")).default,
  },
  inspect: {
    summary: "token ids, logits and the greedy continuation of a text",
    load: async () => (await import("./inspect.js")).default,
  },
  bench: {
    summary: "speed and memory of the engine on this machine",
    load: async () => (await import("./bench.js")).default,
  },
  notebooks: {
    summary: "execute notebooks and write them as offline pages",
    load: async () => (await import("./notebooks.js")).default,
  },
  report: {
    summary: "put all results into one folder that opens offline",
    load: async () => (await import("./report.js")).default,
  },
  merge: {
    summary: "fold an adapter into its model, as an ordinary safetensors folder",
    load: async () => (await import("./merge.js")).default,
  },
  doctor: {
    summary: "what runs on this machine, and what to do about what does not",
    load: async () => (await import("./doctor.js")).default,
  },
};
