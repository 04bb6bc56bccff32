/** `true-intents doctor [--json]`. */
import { defineCommand } from "citty";
import { examine } from "../doctor/doctor.js";
import { reportText } from "../doctor/table.js";

export default defineCommand({
  meta: { name: "doctor", description: "Says what runs on this machine, and what to do about what does not" },
  args: { json: { type: "boolean", description: "Print JSON (see src/doctor/report.ts for its keys)" } },
  async run({ args }) {
    const report = await examine();
    process.stdout.write(`${args.json ? JSON.stringify(report, null, 2) : reportText(report)}\n`);
  },
});
