import { grpoConfig } from "../experiments/grpo-config.js";
import { grpoTables } from "../experiments/grpo-summary.js";
import { runGrpo } from "../experiments/grpo.js";
import { GRPO_PRESETS } from "../experiments/presets/grpo.js";
import { defineAfterSft } from "./run-shared.js";

export default defineAfterSft(
  "grpo",
  "Reinforcement learning with an intent-faithfulness reward, from the SFT model",
  GRPO_PRESETS,
  grpoConfig,
  async (config, out, options) => grpoTables(await runGrpo(config, out, options)),
);
