import { defineCommand } from "citty";
import { chosenAblations } from "../experiments/ablations-arms.js";
import { ablationsConfig } from "../experiments/ablations-config.js";
import { ablationsTables } from "../experiments/ablations-summary.js";
import { runAblations, showAblationsPlan } from "../experiments/ablations.js";
import { ABLATIONS_PRESETS } from "../experiments/presets/ablations.js";
import { columnArgs, columnFlags } from "./columns.js";
import { asUsage, outFolder, presetOf, runAndShow, runFlags, valuesOf } from "./run-shared.js";

export default defineCommand({
  meta: {
    name: "ablations",
    description: "SFT on other training rows: other labels, fewer and more rows, a broader mix",
  },
  args: {
    ...runFlags,
    only: { type: "string", description: "Run one alone: source, scale or mix; as often as needed", valueHint: "NAME" },
    plan: { type: "boolean", default: false, description: "Show the arms, and run nothing" },
    out: { type: "string", description: "Run folder (default: results/runs/ablations-PRESET)", valueHint: "DIR" },
    ...columnArgs,
  },
  async run({ args, rawArgs }) {
    const out = outFolder(args, "ablations");
    const columns = columnFlags(args);
    const preset = { ...presetOf(ABLATIONS_PRESETS, args.preset), ...(Object.keys(columns).length > 0 && { columns }) };
    const config = asUsage(() => ablationsConfig(preset, valuesOf(rawArgs, "set")));
    const only = valuesOf(rawArgs, "only");
    asUsage(() => chosenAblations(only));
    if (args.plan) {
      console.log(await showAblationsPlan(config, out, only));
      return;
    }
    const { fresh } = args;
    await runAndShow(out, async (signal) => {
      const summary = await runAblations(config, out, { fresh, only, signal });
      if (summary.arms.some(({ state }) => state === "failed")) process.exitCode = 1;
      return ablationsTables(summary);
    });
  },
});
