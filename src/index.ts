/**
 * True Intents as a library: open a model, train an adapter on any rows or preference pairs, generate, score, classify, evaluate, compare;
 * ask any engine, judge intents, mine a model's own intent errors.
 *
 *     import { fineTuneRows, generate, openModel, openOps, resolveModel } from "true-intents";
 */
export type { LabelledPrompt } from "./data/prompt.js";
export { getSet, loadSet, setNames, type LoadedSet, type LoadOptions } from "./data/sets.js";
export { cachedEngine, type CacheOptions } from "./engines/cache.js";
export { countedEngine, describeCounts, type CountedEngine, type EngineCounts, type Prices } from "./engines/counts.js";
export type { Answer, CompletionRequest, Engine, EngineInput, Failure, Outcome } from "./engines/engine.js";
export { llamaEngine, LlamaEngineError, type LlamaEngineOptions } from "./engines/llama.js";
export { localEngine, type LocalEngineOptions } from "./engines/local.js";
export { EngineSpecError, openEngine, type OpenEngineOptions } from "./engines/open.js";
export { serverEngine, ServerEngineError, type ServerEngineOptions } from "./engines/server.js";
export {
  bootstrapInterval,
  bootstrapMean,
  pairedDifference,
  type BootstrapOptions,
  type Interval,
} from "./evaluate/bootstrap.js";
export { classify, type Classified, type ClassifyOptions } from "./evaluate/classify.js";
export { evaluateSet } from "./evaluate/evaluate-set.js";
export { mcnemar, type McNemar } from "./evaluate/mcnemar.js";
export { score, type ScoredRow, type Scores } from "./evaluate/metrics.js";
export { readPredictions, type Prediction } from "./evaluate/predictions.js";
export { accuracyStatistic, AUPRC_STATISTIC, AUROC_STATISTIC, f1Statistic, type Statistic } from "./evaluate/statistic.js";
export { dpoConfig, type DpoConfig } from "./experiments/dpo-config.js";
export { runDpo } from "./experiments/dpo.js";
export { DPO_PRESETS } from "./experiments/presets/dpo.js";
export { runBaseline, type BaselineSummary } from "./experiments/baseline.js";
export { SFT_PRESETS } from "./experiments/presets/sft.js";
export { sftConfig, type SftConfig } from "./experiments/sft-config.js";
export { runSft } from "./experiments/sft.js";
export { agreement, cohenKappa } from "./intent/agreement.js";
export { embeddingJudge, fitThresholds, type CosineThresholds } from "./intent/embedding-judge.js";
export { engineJudge, type EngineJudge, type JudgeTally } from "./intent/engine-judge.js";
export { annotatedPairsOf, type AnnotatedIntentPair } from "./intent/annotated-pairs.js";
export { judgeAgreement, type JudgeAgreement, type JudgeAgreementOptions } from "./intent/judge-agreement.js";
export type { IntentToJudge, Judge, JudgeVerdict } from "./intent/judge.js";
export { mineIntentErrors, MiningError, type MiningOptions, type MiningResult } from "./intent/mine.js";
export type { MinedSample } from "./intent/mined.js";
export { balanced, classWeighted, PAIR_SETS, pairSet, PairSetError, pairsOf, type PairSetName } from "./intent/pair-sets.js";
export { readPairs, writePairs } from "./intent/pairs-file.js";
export type { PairReason, PreferencePair } from "./intent/pairs.js";
export { intentCosine } from "./intent/similarity.js";
export { resolveModel, type ResolvedModel } from "./model/catalogue/resolve.js";
export { packSequences, type PackedBatch, type Sequence } from "./model/batch.js";
export { backward } from "./model/backward.js";
export { forward, type ForwardOptions, type ForwardPass } from "./model/forward.js";
export { generate, generateEach, GenerationError, type Completion, type GenerateOptions } from "./model/generate.js";
export { encodeInput, loadAdapter, openModel, type LanguageModel, type LoadedAdapter } from "./model/language-model.js";
export { activateLora, createLora, loraFromPeft, loraToPeft, type LoraAdapter, type LoraOptions } from "./model/lora.js";
export { readPeft, writePeft, type PeftAdapter } from "./model/peft.js";
export { labelProbabilities, scoreCompletions, type ScoreItem, type ScoreOptions } from "./model/score.js";
export { loadSentenceEncoder, type SentenceEncoder } from "./model/sentence-encoder.js";
export type { BaselineForm } from "./prompts/baseline-form.js";
export { GUARDS } from "./prompts/guards/index.js";
export { ZERO_SHOT } from "./prompts/zero-shot.js";
export { SFT_CLASSIFICATION, SFT_GENERATION, trainingText, type OutputFormat } from "./prompts/sft.js";
export type { Verdict } from "./prompts/parse.js";
export { createRandom, type Random } from "./random.js";
export { openOps } from "./tensor/backend.js";
export type { DecoderOps, Precision } from "./tensor/ops.js";
export { liveTensors } from "./tensor/tensor.js";
export { dpoLoss, type AnswerLogProbs, type DpoLossOptions, type PairLoss, type PairScores } from "./train/dpo-loss.js";
export { fineTuneDpo, type DpoFigures, type DpoOptions } from "./train/dpo.js";
export { fineTuneRows, type FineTuned, type FineTuneOptions, type TextRow } from "./train/fine-tune.js";
export { tokenisePairs, type PreferenceExample, type PreferenceRow } from "./train/pairs.js";
export { referenceLogProbs, type ReferenceLogProbs, type ReferenceOptions } from "./train/reference.js";
export { createTrainer, trainStep, TrainingError, type Loss, type LoraTrainer, type OptimiserOptions } from "./train/trainer.js";
