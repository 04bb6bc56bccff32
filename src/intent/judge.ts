/** What a judge says of a sampled intent beside the annotator's (paper section 4.1, rubric good / decent / bad). */
export const JUDGE_VERDICTS = ["good", "decent", "bad"] as const;
export type JudgeVerdict = (typeof JUDGE_VERDICTS)[number];

export interface IntentToJudge {
  readonly prompt: string;
  readonly goldIntent: string;
  readonly sampledIntent: string;
}

export interface Judge {
  /** For people and for the pair file's provenance. */
  readonly name: string;
  /** One verdict an item, in order; null: the judge gave none (failed, or its answer says none), with nothing assumed. */
  judge(items: readonly IntentToJudge[], options?: { readonly signal?: AbortSignal }): Promise<(JudgeVerdict | null)[]>;
}
