/**
 * The numbers of "Paved with True Intents" (arXiv 2606.27210) and of its public repository, as `results/published/*.json` holds
 * them: one file a table. F1, precision, recall and accuracy are of the harmful class, between 0 and 1; null is "not given".
 */
import type { Harm, Level, Split } from "../data/prompt.js";
import type { AIMS_TEST, BENCHMARKS } from "../experiments/presets/sets.js";

/** One of the five out-of-distribution benchmarks whose plain mean is the paper's headline. */
export type Benchmark = (typeof BENCHMARKS)[number];

/** A test set of the paper: a benchmark, or AIMS' own test split, which is in no mean over the five. */
export type TestSet = Benchmark | typeof AIMS_TEST;

/** How near a table is to the one that the paper prints. `background` is not in the paper in this form. */
export const STATUSES = ["final", "one version before", "latest of its notebook", "background"] as const;
export type Status = (typeof STATUSES)[number];

/** Where the numbers of a file were read. */
export interface PublishedSource {
  /** On GitHub. */
  readonly repository: string;
  readonly file: string;
  /** Null where the version is not known. */
  readonly commit: string | null;
  readonly cells: string | null;
}

/** What every published table has beside its rows. */
export interface Published {
  readonly title: string;
  /** Section of the project's record of the paper. */
  readonly section: string;
  /** Label or file name in the paper's LaTeX; null where the paper has no such table. */
  readonly paperLabel: string | null;
  readonly sources: readonly PublishedSource[];
  readonly status: Status;
  /** Unit of each field that is not a plain score. */
  readonly units: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

type Rows<T> = readonly Readonly<T>[];
type HarmCounts = Readonly<Record<Harm, number>>;
type BenchmarkF1 = Readonly<Record<Benchmark, number>>;

/** The four scores and the counts behind them. */
export interface PublishedConfusion {
  readonly condition: string;
  readonly accuracy: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly trueNegatives: number;
  readonly falseNegatives: number;
}

export interface AimsFacts extends Published {
  readonly rows: number;
  readonly splits: Readonly<Record<Split, number>>;
  readonly annotators: HarmCounts;
  readonly wildguardmix: HarmCounts;
  /** Annotators' label first, then WildGuardMix'. */
  readonly annotatorsByWildguardmix: Readonly<Record<Harm, HarmCounts>>;
  readonly testSplit: HarmCounts;
  readonly distillationTrainRows: number;
  /** Before the final selection; `percent` of all rows of that stage. */
  readonly earlierStage: {
    readonly levels: Rows<{ level: Level | "flagged"; count: number; percent: number }>;
    readonly afterRemoval: number;
    readonly unique: number;
  };
}

export interface AgreementTable extends Published {
  readonly rows: Rows<{
    first: string;
    second: string;
    /** Pairs of labels. */
    count: number;
    prompts: number;
    kappa: number;
    rawAgreement: number;
    meanIntentCosine: number | null;
    printedKappa: number | null;
    printedCosine: number | null;
    unparsedAsSafe: number;
  }>;
  /** Verdicts of Llama-3.1-8B on all of AIMS. */
  readonly llamaVanilla: HarmCounts & { readonly harmfulOfWildguardmixHarmful: number };
}

export interface BenchmarkList extends Published {
  readonly rows: Rows<{
    name: Benchmark;
    hub: string;
    config: string | null;
    split: string;
    count: number;
    harmful: number | null;
    safe: number | null;
  }>;
  readonly total: number;
}

export interface BenchmarkTable extends Published {
  readonly rows: Rows<{ group: string; model: string; f1: BenchmarkF1; mean: number }>;
  /** Rows that the generator holds as comments. */
  readonly notRendered: Rows<{ group: string; model: string; f1: BenchmarkF1; mean: number | null }>;
  readonly earlierVersions: Rows<{ versions: readonly string[]; model: string; f1: BenchmarkF1 }>;
}

export interface LatencyTable extends Published {
  readonly rows: Rows<{
    model: string;
    millisecondsPerPrompt: number;
    tokensPerPrompt: number;
    f1: number;
    f1Printed: number;
  }>;
  readonly detail: Rows<{
    model: string;
    output: string;
    count: number;
    tokens: number | null;
    tokensPerPrompt: number | null;
    totalSeconds: number;
    millisecondsPerPrompt: number;
    promptsPerSecond: number;
    tokensPerSecond: number | null;
    f1Used: number;
    f1Computed: number;
    /** Counts that a logging fault made too large. */
    inflated: { readonly tokens: number; readonly tokensPerPrompt: number; readonly tokensPerSecond: number } | null;
  }>;
}

/** Which intent a distilled student learnt to write. */
export const CONDITIONS = ["none", "synthetic", "human"] as const;
export type Condition = (typeof CONDITIONS)[number];

export interface DistillationGrid extends Published {
  readonly rows: Rows<{
    teacher: string;
    student: string;
    condition: Condition;
    f1: Readonly<Record<TestSet, number>>;
    mean: number;
  }>;
  /** Of the 36 means. */
  readonly distribution: {
    readonly mean: number;
    readonly standardDeviation: number;
    readonly minimum: number;
    readonly lowerQuartile: number;
    readonly median: number;
    readonly upperQuartile: number;
    readonly maximum: number;
  };
  readonly precisionRecall: Rows<{
    teacher: string;
    student: string;
    condition: Condition;
    set: Benchmark;
    precision: number;
    recall: number;
  }>;
}

/** The five training sets of the label-source ablation. */
export const LABEL_SOURCES = [
  "hardHumanLabels",
  "hardWildguardLabels",
  "randomWildguardLabels",
  "annotatedPlusRandom",
  "fullWildguardmix",
] as const;
export type LabelSource = (typeof LABEL_SOURCES)[number];
type OtherLabelSource = Exclude<LabelSource, "hardHumanLabels">;

export interface LabelSourceTable extends Published {
  readonly columns: Rows<{ key: LabelSource; name: string; trainRows: number }>;
  readonly rows: Rows<{ set: TestSet; count: number; f1: Readonly<Record<LabelSource, number>> }>;
  readonly heldOutMean: Readonly<Record<LabelSource, number>>;
  readonly sixSetMean: Readonly<Record<LabelSource, number>>;
  /** From the first column, as printed. */
  readonly heldOutDifference: Readonly<Record<OtherLabelSource, number>>;
  readonly sixSetDifference: Readonly<Record<OtherLabelSource, number>>;
}

export interface BroaderMix extends Published {
  readonly rows: Rows<{
    /** Of the annotated half; the other half has synthetic ones. */
    annotatedIntents: "human" | "synthetic";
    annotatedRows: number;
    poolRows: number;
    aimsTestF1: number;
  }>;
}

/** All prompts are harmful; `hits` were called so. */
export interface JailbreakRecall {
  readonly recall: number;
  readonly hits: number;
  readonly misses: number;
  readonly unparsed: number;
}

export interface JailbreakTable extends Published {
  readonly rows: Rows<{
    model: string;
    jailbreakv: JailbreakRecall;
    redteam2k: JailbreakRecall;
    mean: number;
    printed: { readonly jailbreakv: number; readonly redteam2k: number; readonly mean: number };
  }>;
  readonly mini: { readonly count: number; readonly rows: Rows<{ model: string; recall: number }> };
}

export interface ZeroShotTables extends Published {
  readonly aimsTest: Rows<{ condition: string; accuracy: number; precision: number; recall: number; f1: number }>;
  readonly aimsValidationAndTest: PublishedConfusion;
  /** `count` where rows were dropped. */
  readonly wildguardtestAndXstest: Rows<{ condition: string; set: Benchmark; f1: number; count: number | null }>;
  readonly confusions: readonly (PublishedConfusion & { readonly set: Benchmark })[];
  readonly selectedRows: Rows<{
    set: Benchmark;
    condition: string;
    accuracy: number | null;
    precision: number | null;
    recall: number | null;
    f1: number;
    count: number | null;
  }>;
  readonly oodValidation: Rows<{ condition: string; aegisValidation: number; toxicchatTrain: number; mean: number }>;
}

type DpoSet = "aims-test" | "wildguardmix" | "xstest";

export interface DpoEarlyTables extends Published {
  readonly conditions: Rows<{
    set: DpoSet;
    model: string;
    f1Macro: number;
    f1: number;
    recall: number;
    f1Safe: number;
    accuracy: number;
    unparsed: number;
  }>;
  readonly sweep: Rows<{
    beta: number;
    epochs: number;
    pairs: "judge" | "hard";
    f1Macro: Readonly<Record<DpoSet, number>>;
  }>;
  /** Run 0 is the model before DPO. */
  readonly runs: Rows<{
    run: number;
    group: string;
    beta: number | null;
    pairs: "balanced" | "unbalanced" | null;
    harmfulWeight: number | null;
    epochs: number | null;
    labelSmoothing: number | null;
    seed: number;
    aimsF1: number;
    aimsRecall: number;
    wildguardtestF1: number;
    xstestF1: number;
  }>;
}

export interface DistillationLengths extends Published {
  readonly prompts: number;
  readonly rows: Rows<{
    teacher: string;
    student: string;
    condition: Condition;
    accuracy: number | null;
    precision: number;
    recall: number;
    f1: number;
    tokens: number;
    seconds: number;
    tokensPerSecond: number;
  }>;
}

export interface GrpoMeans extends Published {
  readonly rows: Rows<{ what: string; mean: number }>;
}

export interface PublishedFigures extends Published {
  readonly pareto: {
    readonly priorWork: readonly string[];
    readonly ours: readonly string[];
    readonly frontier: Rows<{ model: string; millisecondsPerPrompt: number; f1: number }>;
    /** Limits of the two axes, approximately. */
    readonly axes: { readonly milliseconds: readonly number[]; readonly f1: readonly number[] };
  };
  /** Smallest and largest mean of the distillation heatmap. */
  readonly heatmapRange: readonly number[];
}

/** File name, without `.json`, to what it holds. */
export interface PublishedTables {
  readonly aims: AimsFacts;
  readonly agreement: AgreementTable;
  readonly benchmarks: BenchmarkList;
  readonly "benchmark-main": BenchmarkTable;
  readonly latency: LatencyTable;
  readonly "distillation-grid": DistillationGrid;
  readonly "label-source": LabelSourceTable;
  readonly "broader-mix": BroaderMix;
  readonly jailbreakv: JailbreakTable;
  readonly "zero-shot": ZeroShotTables;
  readonly "dpo-early": DpoEarlyTables;
  readonly "distillation-lengths": DistillationLengths;
  readonly grpo: GrpoMeans;
  readonly figures: PublishedFigures;
}
