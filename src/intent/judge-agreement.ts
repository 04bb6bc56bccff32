/** How far a judge agrees with annotators, before it is used: it should accept what a second annotator writes and reject what belongs elsewhere. */
import { promptKey } from "../data/split.js";
import { bootstrapInterval, type BootstrapOptions, type Interval } from "../evaluate/bootstrap.js";
import type { ScoredRow } from "../evaluate/metrics.js";
import { AUROC_STATISTIC, type Statistic } from "../evaluate/statistic.js";
import { shuffledItems, type AnnotatedIntentPair } from "./annotated-pairs.js";
import type { IntentToJudge, Judge, JudgeVerdict } from "./judge.js";

/** Verdicts on one kind of pairs; the four add up to `items`. */
export interface VerdictCounts {
  readonly items: number;
  readonly good: number;
  readonly decent: number;
  readonly bad: number;
  /** Without a verdict. */
  readonly none: number;
}

export interface JudgeAgreement {
  readonly judge: string;
  /** Two annotators of one prompt: should be good, or decent. */
  readonly same: VerdictCounts;
  /** Intents of different prompts: should be bad. */
  readonly shuffled: VerdictCounts;
  /** Like words, unlike purpose (`contrastItems`): should be bad, and is hard; null where none were given. */
  readonly contrasts: VerdictCounts | null;
  /**
   * How well the verdict (good above decent above bad) tells `same` from `shuffled`: area under the ROC curve, ties counted half, with a
   * bootstrap interval over prompts (all pairs of a prompt are drawn together). Items without a verdict are left out: look at `none`.
   * Null where there is no verdict on one side.
   */
  readonly auroc: Interval | null;
  /** The same against `contrasts`. */
  readonly contrastAuroc: Interval | null;
}

export interface JudgeAgreementOptions {
  /** Of the shuffled pairs and of the bootstrap. Default 22. */
  readonly seed?: number;
  readonly resamples?: number;
  /** Pairs of like words and unlike purpose; default: none. */
  readonly contrasts?: readonly IntentToJudge[];
  readonly signal?: AbortSignal;
}

/** Asks the judge about every pair, as many shuffled ones, and the contrasts. Throws what the judge throws. */
export async function judgeAgreement(
  judge: Judge,
  pairs: readonly AnnotatedIntentPair[],
  options: JudgeAgreementOptions = {},
): Promise<JudgeAgreement> {
  const { seed = 22, resamples, contrasts = [], signal } = options;
  const sameItems = pairs.map(({ prompt, first, second }) => ({ prompt, goldIntent: first, sampledIntent: second }));
  const otherItems = shuffledItems(pairs, seed);
  const verdicts = await judge.judge([...sameItems, ...otherItems, ...contrasts], signal === undefined ? {} : { signal });
  let at = 0;
  const part = (items: readonly IntentToJudge[]): Judged[] => items.map((item) => ({ item, verdict: verdicts[at++] }));
  const [same, shuffled, contrast] = [part(sameItems), part(otherItems), part(contrasts)];
  const bootstrap = { seed, ...(resamples !== undefined && { resamples }) };
  return {
    judge: judge.name,
    same: countVerdicts(same),
    shuffled: countVerdicts(shuffled),
    contrasts: contrasts.length === 0 ? null : countVerdicts(contrast),
    auroc: ordinalAuroc(same, shuffled, bootstrap),
    contrastAuroc: ordinalAuroc(same, contrast, bootstrap),
  };
}

interface Judged {
  readonly item: IntentToJudge;
  readonly verdict: JudgeVerdict | null;
}

function countVerdicts(judged: readonly Judged[]): VerdictCounts {
  const of = (wanted: JudgeVerdict | null): number => judged.filter(({ verdict }) => verdict === wanted).length;
  return { items: judged.length, good: of("good"), decent: of("decent"), bad: of("bad"), none: of(null) };
}

const RANKS: Readonly<Record<JudgeVerdict, number>> = { good: 1, decent: 0.5, bad: 0 };

/** AUROC of the verdict's rank; drawn by prompt. */
function ordinalAuroc(same: readonly Judged[], other: readonly Judged[], options: BootstrapOptions): Interval | null {
  const all = [...same.map((judged) => ({ ...judged, match: true })), ...other.map((judged) => ({ ...judged, match: false }))];
  const rows = all.map(({ verdict, match }): ScoredRow => {
    // The statistic's positive class is named for harm; here it is the pairs that match.
    return { gold: match ? "harmful" : "safe", harm: "unparsed", harmfulProbability: verdict === null ? null : RANKS[verdict] };
  });
  const prompts = new Map<string, number>();
  const promptOf = all.map(({ item }) => {
    const key = promptKey(item.prompt);
    const known = prompts.get(key) ?? prompts.size;
    prompts.set(key, known);
    return known;
  });
  if (rows.length === 0) return null;
  const byPrompt: Statistic = {
    name: AUROC_STATISTIC.name,
    prepare() {
      const area = AUROC_STATISTIC.prepare(rows);
      const counts = new Int32Array(rows.length);
      return (drawn) => area(counts.map((_, i) => drawn[promptOf[i]]));
    },
  };
  const clusters = [...prompts.keys()].map(
    (id) => ({ id, gold: "harmful", harm: "unparsed", harmfulProbability: null }) as const,
  );
  return bootstrapInterval([clusters], byPrompt, options);
}
