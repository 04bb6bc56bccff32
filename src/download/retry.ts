/** Tries again what a passing fault stopped. */
import { setTimeout as sleep } from "node:timers/promises";
import { DownloadError, PassingError } from "./errors.js";
import type { Patience } from "./request.js";

export interface RetryOptions {
  readonly patience: Patience;
  readonly signal?: AbortSignal;
  /** A number that grows while the work gets on: a try that got on earns all further tries anew. */
  readonly progress?: () => number;
  readonly onRetry?: (error: PassingError, pauseMs: number) => void;
}

/** Even a download that gets on a little every time is not tried more often than this. */
const maxTries = 100;

/**
 * Runs `action` until it succeeds, throws anything but a PassingError, or has failed `patience.pausesMs.length + 1` times
 * in a row without progress. A host that cannot be reached at all is tried only twice: there are other sources.
 */
export async function withRetries<T>(action: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { patience } = options;
  let fruitless = 0;
  let reached = options.progress?.() ?? 0;
  for (let tries = 1; ; tries++) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof PassingError)) throw error;
      const now = options.progress?.() ?? 0;
      fruitless = now > reached ? 0 : fruitless + 1;
      reached = Math.max(reached, now);
      const allowed = error.reason === "unreachable" && reached === 0 ? 1 : patience.pausesMs.length;
      if (fruitless > allowed || tries >= maxTries) throw finalError(error, tries);
      if (error.waitMs !== null && error.waitMs > patience.longestWaitMs) {
        throw new DownloadError(error.reason, `${error.message}; it asks to come back in ${Math.ceil(error.waitMs / 1000)} s`);
      }
      const pause = error.waitMs ?? patience.pausesMs[Math.max(0, fruitless - 1)] ?? 0;
      options.onRetry?.(error, pause);
      await sleep(pause, undefined, options.signal ? { signal: options.signal } : {}).catch(() => undefined);
      options.signal?.throwIfAborted();
    }
  }
}

function finalError(error: PassingError, tries: number): DownloadError {
  return new DownloadError(error.reason, tries === 1 ? error.message : `${error.message} (tried ${tries} times)`, {
    cause: error,
  });
}

/** The form that servers must send (RFC 9110, 5.6.7). */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** Milliseconds that a `Retry-After` header (seconds, or a date) asks for; null if absent or not understood. */
export function retryAfter(headers: Headers, now: number = Date.now()): number | null {
  const value = headers.get("retry-after");
  if (value === null) return null;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  // Date.parse makes a date of nearly anything that holds a number.
  const date = HTTP_DATE.test(value.trim()) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
