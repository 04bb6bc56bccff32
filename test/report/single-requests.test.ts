import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { adapterHash } from "../../src/experiments/evaluation.js";
import { requestLatencies } from "../../src/experiments/requests.js";
import { tunedModels, type MeasuredModel } from "../../src/report/measured-models.js";
import { pointsOf } from "../../src/report/pareto-points.js";
import { requestPoints, requestTable } from "../../src/report/pareto-report.js";
import { readExperiment } from "../../src/report/runs.js";
import { readRequests, untimed, type ModelLatency } from "../../src/report/single-requests.js";
import { said, writeExperiment } from "./run-folder.js";

const run = { learningRate: 1e-3, seed: 22, chosen: true } as const;
const timed: ModelLatency = {
  ...{ model: "tiny-random SFT, generation", adapterSha256: "0", requests: 30, medianMilliseconds: 400 },
  ...{ medianInterval: { low: 380.4, high: 430 }, p95Milliseconds: 600, tokensPerPrompt: 18 },
};

let folder: string;
let models: MeasuredModel[];
beforeEach(() => {
  folder = writeExperiment(
    (["generation", "classification"] as const).map((mode) => ({ ...run, mode, predictions: { xstest: said([0]) } })),
    ["xstest"],
  );
  models = tunedModels(readExperiment(folder));
});

function keep(...latencies: readonly unknown[]): void {
  writeFileSync(join(folder, "requests.json"), JSON.stringify(latencies));
}

function writeAdapter(of: MeasuredModel, text: string): string {
  const { adapter } = of.trained!;
  mkdirSync(adapter, { recursive: true });
  for (const name of ["adapter_config.json", "adapter_model.safetensors"]) writeFileSync(join(adapter, name), text);
  return adapter;
}

describe("single requests", () => {
  it("are read from a recorded experiment, and not invented where none were measured", async () => {
    expect(await requestLatencies(models)).toEqual([]);
    keep(timed);
    expect(await requestLatencies(models)).toEqual([timed]);
    const [point] = requestPoints(pointsOf(models), [timed]);
    expect(point).toMatchObject({ model: timed.model, millisecondsPerPrompt: 400, latencyInterval: timed.medianInterval });
    expect(requestPoints(pointsOf(models), [timed])).toHaveLength(1);
  });

  it("are tables with their interval, or none", () => {
    const row = {
      model: timed.model,
      requests: 30,
      "median, ms": "400",
      "95th percentile, ms": "600",
      "tokens a prompt": "18.0",
    };
    expect(requestTable([timed])).toEqual([{ ...row, "its 95% interval": "380 to 430" }]);
    expect(requestTable([{ ...timed, medianInterval: null }])).toEqual([{ ...row, "its 95% interval": "–" }]);
  });

  it("count for the adapter that was timed, and not for one that was trained anew", () => {
    const [generation, classification] = models;
    keep({ ...timed, adapterSha256: adapterHash(writeAdapter(generation, "first")) });
    expect(readRequests(models)).toHaveLength(1);
    expect(untimed(models, readRequests(models))).toEqual([]);
    writeAdapter(generation, "second");
    writeAdapter(classification, "first");
    expect(readRequests(models)).toEqual([]);
    expect(untimed(models, readRequests(models))).toEqual([generation, classification]);
  });

  it("say which file is damaged, and in which field", async () => {
    keep({ ...timed, requests: -1 });
    await expect(requestLatencies(models)).rejects.toThrow(/requests\.json.*requests/);
    keep({ ...timed, model: undefined });
    await expect(requestLatencies(models)).rejects.toThrow(/requests\.json.*model/);
  });
});
