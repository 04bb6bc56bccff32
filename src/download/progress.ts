/** Progress of a download: a bar on a terminal, a line at every tenth elsewhere. */
import cliProgress from "cli-progress";

/** Says something to the person who waits; one line, no line end. */
export type Log = (line: string) => void;

export interface Progress {
  /** Bytes done so far, of `total`; calls may go backwards when a download starts over. */
  update(bytes: number): void;
  /** Ends the bar; call it once, also after a failure. */
  stop(): void;
}

/** Bytes in words, decimal units as disks and download pages use them: "98.4 MB". */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

/**
 * Shows progress of `total` bytes under `label`. On a terminal (stderr) a bar that is drawn in place; elsewhere one line
 * through `log` for each tenth reached, at least two seconds apart.
 */
export function showProgress(label: string, total: number, log: Log): Progress {
  return process.stderr.isTTY ? bar(label, total) : lines(label, total, log);
}

function bar(label: string, total: number): Progress {
  const format = `${label} {bar} {percentage}%  {done} of {size}, {rate}/s`;
  const drawn = new cliProgress.SingleBar({ format, stream: process.stderr }, cliProgress.Presets.shades_classic);
  const size = formatBytes(total);
  const began = Date.now();
  let first: number | null = null;
  drawn.start(total, 0, { done: formatBytes(0), size, rate: formatBytes(0) });
  return {
    update(bytes) {
      // What an earlier run had fetched is not this run's speed.
      first ??= bytes;
      const rate = Math.max(0, bytes - first) / Math.max(0.1, (Date.now() - began) / 1000);
      drawn.update(bytes, { done: formatBytes(bytes), rate: formatBytes(Math.round(rate)) });
    },
    stop: () => drawn.stop(),
  };
}

function lines(label: string, total: number, log: Log): Progress {
  let reported = 0;
  let last = Date.now();
  return {
    update(bytes) {
      const tenth = Math.floor((bytes / total) * 10);
      if (tenth <= reported || (tenth < 10 && Date.now() - last < 2000)) return;
      reported = tenth;
      last = Date.now();
      log(`${label}: ${tenth * 10}% (${formatBytes(bytes)} of ${formatBytes(total)})`);
    },
    stop: () => undefined,
  };
}
