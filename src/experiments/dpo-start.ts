/** Where DPO and GRPO start: the generation adapters of an SFT experiment, one a seed. */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { adapterHash } from "./evaluation.js";
import { readJson, RunFolderError, writeJson } from "./run-folder.js";

/** What an experiment says of its start. */
export interface Start {
  /** Folder of the SFT experiment, relative to the experiment's own. */
  readonly sft: string;
  /** That experiment's model. */
  readonly model: string;
  readonly seeds: readonly number[];
}

const schema = z.looseObject({
  model: z.string(),
  modes: z.looseObject({
    generation: z.looseObject({ runs: z.array(z.looseObject({ seed: z.number(), folder: z.string() })) }),
  }),
});

/** Run folders by seed. @throws RunFolderError saying what to run first */
export function startingRuns(config: Start, out: string): ReadonlyMap<number, string> {
  const folder = join(out, config.sft);
  const file = join(folder, "summary.json");
  if (!existsSync(file))
    throw new RunFolderError(folder, "holds no finished SFT experiment to start from; run it first: true-intents run sft");
  const parsed = schema.safeParse(readJson(file));
  if (!parsed.success) throw new RunFolderError(file, `field ${parsed.error.issues[0].path.join(".")} is missing or damaged`);
  const { model, modes } = parsed.data;
  if (model !== config.model)
    throw new RunFolderError(folder, `is of the model ${model}, this experiment is of ${config.model}; set model=${model}`);
  const runs = new Map(modes.generation.runs.map((run) => [run.seed, join(folder, run.folder)]));
  for (const seed of config.seeds) {
    const run = runs.get(seed);
    if (run !== undefined && existsSync(join(run, "adapter", "adapter_config.json"))) continue;
    const known = [...runs.keys()].join(", ");
    throw new RunFolderError(
      folder,
      `has no adapter of seed ${seed} (it has ${known === "" ? "none" : known}); run sft with --set seeds=…, or set seeds=${known}`,
    );
  }
  return runs;
}

const CLAIM = "start.json";
/** What a seed's folder may hold of its start before anything is trained from it. */
const OF_START = [join("sft", "predictions"), join("start", "predictions"), "mining.json"];
const claimSchema = z.object({ startSha256: z.string() });
const trainedSchema = z.looseObject({ startSha256: z.string(), referenceSha256: z.string().optional() });

/**
 * Makes a seed's folder that of the adapter in `start`, or finds that it is: what the start predicts, and what is mined from it, is of no
 * other adapter. Folders of before there was such a claim are taken for those of the adapter that a run in them was trained from.
 * @param start run folder of the SFT experiment
 * @throws RunFolderError if the folder is of another adapter, or holds something that nobody knows the adapter of
 */
export function claimStart(folder: string, start: string): void {
  const startSha256 = adapterHash(join(start, "adapter"));
  const file = join(folder, CLAIM);
  if (existsSync(file)) {
    const parsed = claimSchema.safeParse(readJson(file));
    if (!parsed.success) throw new RunFolderError(file, "is damaged; --fresh begins anew");
    if (parsed.data.startSha256 !== startSha256)
      throw new RunFolderError(
        folder,
        `began from another adapter than the one in ${start}; use another --out, or --fresh to begin anew`,
      );
    return;
  }
  const held = OF_START.find((entry) => existsSync(join(folder, entry)));
  if (held !== undefined && !trainedFrom(folder, startSha256))
    throw new RunFolderError(
      folder,
      `nothing says which adapter ${held} is of; remove this folder, or --fresh to begin all anew`,
    );
  mkdirSync(folder, { recursive: true });
  writeJson(file, { startSha256 });
}

/** Whether a run in the folder was trained from this adapter, or held to it. */
function trainedFrom(folder: string, startSha256: string): boolean {
  return readdirSync(folder).some((run) => {
    const config = join(folder, run, "config.json");
    const parsed = trainedSchema.safeParse(existsSync(config) ? readJson(config) : null);
    return parsed.success && [parsed.data.startSha256, parsed.data.referenceSha256].includes(startSha256);
  });
}
