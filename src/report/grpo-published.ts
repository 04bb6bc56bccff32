/** The paper's own numbers on GRPO: the rows of its main table beside those that they are to beat, and the means that are given elsewhere. */
import { BENCHMARKS } from "../experiments/presets/sets.js";
import { signed } from "../evaluate/signed.js";
import { publishedDpo } from "./dpo-published.js";
import type { PlotlyFigure } from "./figure.js";
import type { IntervalSeries } from "./intervals.js";
import { loadPublished } from "./published.js";
import {
  publishedGains,
  publishedModel,
  publishedModelFigure,
  publishedModelTable,
  type PublishedModel,
} from "./published-models.js";

/** Named as ours, so that they stand beside them. */
function publishedGrpo(): readonly [PublishedModel, PublishedModel] {
  const group = "Ours, GRPO";
  return [
    publishedModel("GRPO, label + intent", group, "label + intent reward"),
    publishedModel("GRPO, label alone", group, "label reward"),
  ];
}

/** F1 on the five benchmarks: SFT, DPO, the distilled model, GRPO; each a single run. */
export function publishedGrpoTable(): object[] {
  const distilled = publishedModel("distilled into Gemma-3-12B", "Ours, distillation", "+ broader-pool");
  return publishedModelTable([...publishedDpo(), distilled, ...publishedGrpo()]);
}

/** GRPO and what it starts from as dots. */
export function publishedGrpoFigure(): PlotlyFigure {
  const [sft] = publishedDpo();
  return publishedModelFigure("The paper's GRPO (Llama-3.1-8B, single runs)", [...publishedGrpo(), sft]);
}

/** GRPO's F1 less SFT's, by benchmark. */
export function publishedGrpoGains(): IntervalSeries[] {
  const [sft] = publishedDpo();
  return publishedGains(sft, publishedGrpo());
}

/** What is known of the mean over the five benchmarks, wherever it is given. */
export function publishedMeansTable(): object[] {
  return loadPublished("grpo").rows.map(({ what, mean }) => ({ what, "mean F1": mean.toFixed(3) }));
}

/** What the published rows say of the intent's part in the reward, and how sure one can be of it. */
export function publishedIntentText(): string {
  const [both, label] = publishedGrpo();
  const gains = BENCHMARKS.map((set) => both.f1[set] - label.f1[set]);
  const up = gains.filter((gain) => gain > 0).length;
  const { rows, notes } = loadPublished("grpo");
  const means = rows.map(({ mean }) => mean);
  return [
    `Published: label + intent less label alone is ${signed(both.mean - label.mean)} on the mean, higher on ${up} of ${gains.length} benchmarks (${BENCHMARKS.map((set, i) => `${set} ${signed(gains[i])}`).join(", ")}). Both are single runs without intervals.`,
    `The means given for GRPO lie between ${Math.min(...means).toFixed(3)} and ${Math.max(...means).toFixed(3)}. ${notes.join(" ")}`,
  ].join("\n");
}
