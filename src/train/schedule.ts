/** Learning-rate schedules, as in transformers' `get_scheduler`. */
export interface Schedule {
  readonly kind: "constant" | "cosine" | "linear";
  /** Share of all steps over which the rate rises linearly from 0. */
  readonly warmupRatio: number;
}

/** Factor of the peak rate at `step` (from 0) of `total`: the rate of the update that this step makes. */
export function scheduleFactor(schedule: Schedule, step: number, total: number): number {
  const warmup = Math.ceil(schedule.warmupRatio * total);
  if (step < warmup) return step / Math.max(1, warmup);
  const progress = (step - warmup) / Math.max(1, total - warmup);
  switch (schedule.kind) {
    case "constant":
      return 1;
    case "linear":
      return Math.max(0, 1 - progress);
    case "cosine":
      return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
  }
}
