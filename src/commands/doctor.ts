import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "doctor", description: "Says what runs on this machine, and what to do about what does not" },
  args: { json: { type: "boolean", description: "print JSON instead of a table" } },
  run() {
    console.log("thin");
  },
});
