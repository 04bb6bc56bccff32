/** The command of a run: what a shell and the command line read in it is the run's config again. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ablationsConfig } from "../../src/experiments/ablations-config.js";
import { dpoConfig } from "../../src/experiments/dpo-config.js";
import { ABLATIONS_PRESETS } from "../../src/experiments/presets/ablations.js";
import { DPO_PRESETS } from "../../src/experiments/presets/dpo.js";
import { SFT_PRESETS } from "../../src/experiments/presets/sft.js";
import { sftConfig, type SftConfig } from "../../src/experiments/sft-config.js";
import { commandOf as commandIn, type RunKind } from "../../src/report/bundle-command.js";
import { repository } from "../kernel/client.js";

/** The words as a shell splits them. */
function words(command: string): string[] {
  return execFileSync("sh", ["-c", `printf '%s\\n' ${command}`], { encoding: "utf8" })
    .split("\n")
    .slice(0, -1);
}

const runs = join(repository, "results", "runs");
const commandOf = (kind: RunKind, config: Readonly<Record<string, unknown>>) =>
  commandIn(kind, config, join(runs, `${kind}-small`));
const settingsIn = (all: readonly string[]): string[] => all.filter((_, i) => all[i - 1] === "--set");

describe("commandOf", () => {
  it("is the preset's name where nothing differs", () => {
    for (const name of ["smoke", "small", "paper"] as const)
      expect(commandOf("sft", { ...SFT_PRESETS[name] })).toEqual({
        command: `npx true-intents run sft --preset ${name}`,
        notes: [],
      });
  });

  it("makes the same config again, from whatever preset", () => {
    const change = fc.record(
      {
        seeds: fc.uniqueArray(fc.integer({ min: 0, max: 999 }), { minLength: 1, maxLength: 4 }),
        learningRates: fc.uniqueArray(fc.constantFrom(1e-5, 5e-4, 0.001, 0.25), { minLength: 1 }),
        classificationLearningRates: fc.constantFrom([0.001], [5e-4, 0.25]),
        epochs: fc.integer({ min: 1, max: 9 }),
        model: fc.constantFrom("gemma-3-270m", "smollm2-135m-instruct", "o'neill model", 'a b;$(c) "d"'),
        testSets: fc.uniqueArray(fc.constantFrom("sample-test", "xstest", "it's mine"), { minLength: 1 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.constantFrom("smoke", "small", "paper"), change, fc.boolean(), (name, changed, oneRate) => {
        const config: SftConfig = { ...SFT_PRESETS[name], ...changed };
        // A config of one rate for both modes.
        if (oneRate) Reflect.deleteProperty(config, "classificationLearningRates");
        const said = words(commandOf("sft", { ...config }).command);
        const preset = said[said.indexOf("--preset") + 1] as typeof name;
        expect(sftConfig(SFT_PRESETS[preset], settingsIn(said))).toEqual(config);
      }),
      { numRuns: 40 },
    );
  });

  it("names the folder that an experiment goes on from, and settings of DPO", () => {
    const config = { ...DPO_PRESETS.small, seeds: [22, 42], beta: 0.1, sft: "../mine" };
    const { command } = commandOf("dpo", config);
    // The config has it from the run's folder, the command line from the project's.
    expect(command).toBe("npx true-intents run dpo --preset small --sft results/runs/mine --set seeds=22,42 --set beta=0.1");
    expect(dpoConfig({ ...DPO_PRESETS.small, sft: "../mine" }, settingsIn(words(command)))).toEqual(config);
    const recorded = commandIn("dpo", { ...DPO_PRESETS.small, sft: "../../recorded/sft-small" }, join(runs, "dpo-small"));
    expect(recorded.command).toBe("npx true-intents run dpo --preset small --sft results/recorded/sft-small");
  });

  it("names of an SFT folder outside the project its last part alone", () => {
    for (const [sft, folder] of [
      [`${"../".repeat(20)}home/alice/sft`, join(runs, "dpo-small")],
      ["/home/alice/sft", join(runs, "dpo-small")],
      ["../sft", "/home/alice/dpo"],
    ]) {
      const { command } = commandIn("dpo", { ...DPO_PRESETS.small, sft }, folder);
      expect(command).toBe("npx true-intents run dpo --preset small --sft …/sft");
    }
  });

  it("says the command of ablations, too", () => {
    const config = { ...ABLATIONS_PRESETS.small, seeds: [22, 42] };
    const { command, notes } = commandOf("ablations", config);
    expect([command, notes]).toEqual(["npx true-intents run ablations --preset small --set seeds=22,42", []]);
    expect(ablationsConfig(ABLATIONS_PRESETS.small, settingsIn(words(command)))).toEqual(config);
  });

  it("names no place of a machine and no server's host, save this machine's own", () => {
    const { command } = commandOf("dpo", {
      ...DPO_PRESETS.small,
      judge: "http://gpu7.lab.example:8000/v1#m",
      trainSet: "/home/ann/rows.csv",
    });
    expect(command).toContain("judge=https://…/v1#m");
    expect(command).toContain("trainSet=…/rows.csv");
    expect(commandOf("sft", { ...SFT_PRESETS.small, model: "../../ann/m" }).command).toMatch(/model=…\/m$/);
    expect(command).not.toMatch(/gpu7|home|ann/);
    expect(commandOf("dpo", { ...DPO_PRESETS.small, judge: "http://localhost:8000/v1#m" }).command).toContain("localhost:8000");
  });

  it("says what it cannot say as a setting", () => {
    const older: Record<string, unknown> = { ...SFT_PRESETS.small };
    delete older["keep"];
    expect(commandOf("sft", older).notes).toEqual(["made before the preset had keep"]);
    const { command, notes } = commandOf("sft", { ...SFT_PRESETS.small, columns: { prompt: "text" } });
    expect([command, notes]).toEqual(["npx true-intents run sft --preset small", ['with columns: {"prompt":"text"}']]);
  });
});
