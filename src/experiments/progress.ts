/** Progress of long work: a bar drawn in place on a terminal, a line at every tenth elsewhere, both on stderr; in a notebook one output. */
import cliProgress from "cli-progress";
import { printable } from "../evaluate/table.js";
import { inNotebook, showProgress } from "../report/display.js";
import { say } from "../terminal.js";

export { say };

export interface WorkProgress {
  /** @param note what is worth seeing now: the loss, tokens per second */
  update(done: number, note?: string): void;
  /** Ends the bar; call it once, also after a failure. */
  stop(): void;
}

/** @param start how much of `total` was done before, in an earlier process */
export function showWork(label: string, total: number, start = 0): WorkProgress {
  if (inNotebook()) return showProgress(label, total, start);
  return process.stderr.isTTY ? bar(label, total, start) : lines(label, total, start);
}

function bar(label: string, total: number, start: number): WorkProgress {
  // As a value the label is not searched for {bar} and the like.
  const format = "{label} {bar} {value}/{total}, {eta_formatted} left  {note}";
  const drawn = new cliProgress.SingleBar({ format, stream: process.stderr, etaBuffer: 20 }, cliProgress.Presets.shades_classic);
  drawn.start(total, start, { label: printable(label), note: "" });
  return { update: (done, note = "") => drawn.update(done, { note: printable(note) }), stop: () => drawn.stop() };
}

function lines(label: string, total: number, start: number): WorkProgress {
  const started = performance.now();
  let reported = Math.floor((start / total) * 10);
  return {
    update(done, note = "") {
      const tenth = Math.floor((done / total) * 10);
      // Of no work at all, 0 / 0, nothing is said.
      if (!(tenth > reported)) return;
      reported = tenth;
      const left = ((performance.now() - started) / (done - start)) * (total - done);
      const time = done === total ? "" : `, ${(left / 1000).toFixed(0)} s left`;
      say(`${label}: ${done}/${total}${time}${note === "" ? "" : `  ${note}`}`);
    },
    stop: () => undefined,
  };
}
