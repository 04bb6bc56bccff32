/** What each file of `results/published` must look like; the types are in `published-tables.ts`. */
import { z } from "zod";
import { LEVELS } from "../data/prompt.js";
import type { RowSchema } from "../data/rows.js";
import { AIMS_TEST, BENCHMARKS } from "../experiments/presets/sets.js";
import { CONDITIONS, LABEL_SOURCES, STATUSES, type PublishedTables } from "./published-tables.js";

const text = z.string().min(1);
const number = z.number();
const count = z.number().int().nonnegative();
/** A score between 0 and 1. */
const share = z.number().min(0).max(1);
const commit = z.string().regex(/^[0-9a-f]{8}$/);

const published = z.strictObject({
  title: text,
  section: text,
  paperLabel: text.nullable(),
  sources: z.array(z.strictObject({ repository: text, file: text, commit: commit.nullable(), cells: text.nullable() })).min(1),
  status: z.enum(STATUSES),
  units: z.record(text, text),
  notes: z.array(text),
});

const rows = <T extends z.ZodRawShape>(shape: T) => z.array(z.strictObject(shape)).min(1);
const harmCounts = z.strictObject({ harmful: count, safe: count });
const benchmark = z.enum(BENCHMARKS);
const testSet = z.enum([...BENCHMARKS, AIMS_TEST]);
const condition = z.enum(CONDITIONS);
const labelSource = z.enum(LABEL_SOURCES);
const benchmarkF1 = z.record(benchmark, share);
const distilled = { teacher: text, student: text, condition };
const scores = { accuracy: share, precision: share, recall: share, f1: share };
const confusion = { truePositives: count, falsePositives: count, trueNegatives: count, falseNegatives: count };
const jailbreak = z.strictObject({ recall: share, hits: count, misses: count, unparsed: count });
const bySource = z.record(labelSource, share);
const difference = z.record(labelSource.exclude(["hardHumanLabels"]), number);
const dpoSet = z.enum(["aims-test", "wildguardmix", "xstest"]);

export const PUBLISHED_SCHEMAS: { readonly [Name in keyof PublishedTables]: RowSchema<PublishedTables[Name]> } = {
  aims: published.extend({
    rows: count,
    splits: z.strictObject({ train: count, validation: count, test: count }),
    annotators: harmCounts,
    wildguardmix: harmCounts,
    annotatorsByWildguardmix: z.strictObject({ harmful: harmCounts, safe: harmCounts }),
    testSplit: harmCounts,
    distillationTrainRows: count,
    earlierStage: z.strictObject({
      levels: rows({ level: z.enum([...LEVELS, "flagged"]), count, percent: number }),
      afterRemoval: count,
      unique: count,
    }),
  }),
  agreement: published.extend({
    rows: rows({
      first: text,
      second: text,
      count,
      prompts: count,
      kappa: number.min(-1).max(1),
      rawAgreement: share,
      meanIntentCosine: share.nullable(),
      printedKappa: share.nullable(),
      printedCosine: share.nullable(),
      unparsedAsSafe: count,
    }),
    llamaVanilla: z.strictObject({ harmful: count, safe: count, harmfulOfWildguardmixHarmful: count }),
  }),
  benchmarks: published.extend({
    rows: rows({
      name: benchmark,
      hub: text,
      config: text.nullable(),
      split: text,
      count,
      harmful: count.nullable(),
      safe: count.nullable(),
    }),
    total: count,
  }),
  "benchmark-main": published.extend({
    rows: rows({ group: text, model: text, f1: benchmarkF1, mean: share }),
    notRendered: rows({ group: text, model: text, f1: benchmarkF1, mean: share.nullable() }),
    earlierVersions: rows({ versions: z.array(text).min(1), model: text, f1: benchmarkF1 }),
  }),
  latency: published.extend({
    rows: rows({ model: text, millisecondsPerPrompt: number, tokensPerPrompt: number, f1: share, f1Printed: share }),
    detail: rows({
      model: text,
      output: text,
      count,
      tokens: count.nullable(),
      tokensPerPrompt: number.nullable(),
      totalSeconds: number,
      millisecondsPerPrompt: number,
      promptsPerSecond: number,
      tokensPerSecond: number.nullable(),
      f1Used: share,
      f1Computed: share,
      inflated: z.strictObject({ tokens: count, tokensPerPrompt: number, tokensPerSecond: number }).nullable(),
    }),
  }),
  "distillation-grid": published.extend({
    rows: rows({ ...distilled, f1: z.record(testSet, share), mean: share }),
    distribution: z.strictObject({
      mean: share,
      standardDeviation: share,
      minimum: share,
      lowerQuartile: share,
      median: share,
      upperQuartile: share,
      maximum: share,
    }),
    precisionRecall: rows({ ...distilled, set: benchmark, precision: share, recall: share }),
  }),
  "label-source": published.extend({
    columns: rows({ key: labelSource, name: text, trainRows: count }),
    rows: rows({ set: testSet, count, f1: bySource }),
    heldOutMean: bySource,
    sixSetMean: bySource,
    heldOutDifference: difference,
    sixSetDifference: difference,
  }),
  "broader-mix": published.extend({
    rows: rows({ annotatedIntents: z.enum(["human", "synthetic"]), annotatedRows: count, poolRows: count, aimsTestF1: share }),
  }),
  jailbreakv: published.extend({
    rows: rows({
      model: text,
      jailbreakv: jailbreak,
      redteam2k: jailbreak,
      mean: share,
      printed: z.strictObject({ jailbreakv: share, redteam2k: share, mean: share }),
    }),
    mini: z.strictObject({ count, rows: rows({ model: text, recall: share }) }),
  }),
  "zero-shot": published.extend({
    aimsTest: rows({ condition: text, ...scores }),
    aimsValidationAndTest: z.strictObject({ condition: text, ...scores, ...confusion }),
    wildguardtestAndXstest: rows({ condition: text, set: benchmark, f1: share, count: count.nullable() }),
    confusions: rows({ condition: text, set: benchmark, ...scores, ...confusion }),
    selectedRows: rows({
      set: benchmark,
      condition: text,
      accuracy: share.nullable(),
      precision: share.nullable(),
      recall: share.nullable(),
      f1: share,
      count: count.nullable(),
    }),
    oodValidation: rows({ condition: text, aegisValidation: share, toxicchatTrain: share, mean: share }),
  }),
  "dpo-early": published.extend({
    conditions: rows({
      set: dpoSet,
      model: text,
      f1Macro: share,
      f1: share,
      recall: share,
      f1Safe: share,
      accuracy: share,
      unparsed: count,
    }),
    sweep: rows({ beta: number, epochs: count, pairs: z.enum(["judge", "hard"]), f1Macro: z.record(dpoSet, share) }),
    runs: rows({
      run: count,
      group: text,
      beta: number.nullable(),
      pairs: z.enum(["balanced", "unbalanced"]).nullable(),
      harmfulWeight: number.nullable(),
      epochs: count.nullable(),
      labelSmoothing: share.nullable(),
      seed: count,
      aimsF1: share,
      aimsRecall: share,
      wildguardtestF1: share,
      xstestF1: share,
    }),
  }),
  "distillation-lengths": published.extend({
    prompts: count,
    rows: rows({
      ...distilled,
      accuracy: share.nullable(),
      precision: share,
      recall: share,
      f1: share,
      tokens: count,
      seconds: number,
      tokensPerSecond: number,
    }),
  }),
  grpo: published.extend({ rows: rows({ what: text, mean: share }) }),
  figures: published.extend({
    pareto: z.strictObject({
      priorWork: z.array(text).min(1),
      ours: z.array(text).min(1),
      frontier: rows({ model: text, millisecondsPerPrompt: number, f1: share }),
      axes: z.strictObject({ milliseconds: z.array(number).length(2), f1: z.array(number).length(2) }),
    }),
    heatmapRange: z.array(number).length(2),
  }),
};
