/** Reports as text: Markdown tables and a few plain sentences, harmless in a terminal whatever names and themes hold. */
import type { Interval } from "./bootstrap.js";
import type { RequestLatency, Throughput } from "./latency.js";
import type { Group, MeanReport, SetReport } from "./set-report.js";
import { markdownTable, number, printable, scoreTable } from "./table.js";

/** A set's scores, the constant answers on the same rows, intervals, intents and cost. */
export function setText(set: string, model: string, report: SetReport): string {
  const { scores, constants, intervals, intent, unparsedRate, throughput } = report;
  const table = scoreTable([
    { name: model, scores },
    { name: "always harmful", scores: constants.harmful },
    { name: "always safe", scores: constants.safe },
  ]);
  const lines = [
    `95% intervals: F1 ${rangeText(intervals.f1)}, accuracy ${rangeText(intervals.accuracy)}, AUROC ${rangeText(intervals.auroc)}`,
  ];
  if (intervals.f1AboveConstant !== null)
    lines.push(
      `F1 less that of always answering harmful: ${number(intervals.f1AboveConstant.estimate)}, ${rangeText(intervals.f1AboveConstant)}`,
    );
  if (intent !== null)
    lines.push(
      `intents: mean cosine to the annotators' ${number(intent.cosine)} over ${intent.compared} prompts, none stated for ${intent.missing}`,
    );
  if (unparsedRate !== null && unparsedRate > 0) lines.push(`unparsed: ${(100 * unparsedRate).toFixed(1)}% of the answers`);
  lines.push(throughputText(throughput));
  return [`${printable(set)} (${scores.count} prompts)`, table, lines.join("\n")].join("\n\n");
}

/** The unweighted mean over sets; "" for fewer than two. */
export function meanText({ sets, f1, auroc, f1Interval, aurocInterval }: MeanReport): string {
  if (sets.length < 2) return "";
  const body = [
    ["F1, unparsed wrong", number(f1.wrong), rangeText(f1Interval)],
    ["F1, unparsed dropped", number(f1.dropped), ""],
    ["F1, unparsed as safe", number(f1.safe), ""],
    ["AUROC", number(auroc), rangeText(aurocInterval)],
  ];
  return `mean over ${sets.map(printable).join(", ")}\n\n${markdownTable(["", "mean", "95% interval"], body)}`;
}

/** Scores by theme, type or level. A group of one class has neither AUROC nor, if it is safe, recall. */
export function groupTable(groups: readonly Group[]): string {
  const body = groups.map(({ name, scores }) => {
    const { f1, recall, falsePositiveRate, accuracy } = scores.byRule.wrong;
    const counts = [scores.count, scores.harmfulCount].map(String);
    return [
      name,
      ...counts,
      ...[f1, accuracy, recall, falsePositiveRate, scores.auroc].map(number),
      String(scores.unparsedCount),
    ];
  });
  return markdownTable(["", "n", "harmful", "F1", "accuracy", "recall", "FPR", "AUROC", "unparsed"], body);
}

export function throughputText({
  prompts,
  seconds,
  millisecondsPerPrompt,
  generatedTokens,
  tokensPerPrompt,
}: Throughput): string {
  if (millisecondsPerPrompt === null || tokensPerPrompt === null) return "cost: no prompt was timed";
  return (
    `cost: ${millisecondsPerPrompt.toFixed(1)} ms a prompt in batches (${prompts} prompts in ${seconds.toFixed(1)} s), ` +
    `${tokensPerPrompt.toFixed(1)} generated tokens a prompt (${generatedTokens})`
  );
}

export function latencyText(latency: RequestLatency): string {
  const { requests, medianMilliseconds, medianInterval, p95Milliseconds, tokensPerPrompt } = latency;
  const range = medianInterval && ` (${medianInterval.low.toFixed(0)} to ${medianInterval.high.toFixed(0)})`;
  return (
    `single requests: median ${medianMilliseconds.toFixed(0)}${range ?? ""} ms, 95% within ${p95Milliseconds.toFixed(0)} ms ` +
    `(${requests} prompts, ${tokensPerPrompt.toFixed(1)} generated tokens each)`
  );
}

/** "0.612 to 0.701" */
export function rangeText(interval: Interval | null): string {
  return interval === null ? "not defined" : `${number(interval.low)} to ${number(interval.high)}`;
}
