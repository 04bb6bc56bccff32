import { dpoConfig } from "../experiments/dpo-config.js";
import { dpoTables } from "../experiments/dpo-summary.js";
import { runDpo } from "../experiments/dpo.js";
import { DPO_PRESETS } from "../experiments/presets/dpo.js";
import { defineAfterSft } from "./run-shared.js";

export default defineAfterSft(
  "dpo",
  "Preference training on the SFT model's own intent errors: LE-DPO, IF-DPO and their unions",
  DPO_PRESETS,
  dpoConfig,
  async (config, out, options) => dpoTables(await runDpo(config, out, options)),
);
